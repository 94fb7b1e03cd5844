//! The rows of the table, played on the stage.

use anyhow::ensure;
use futures::future::join_all;
use trackside_testkit::eventually;

use super::{
    answer::Answer,
    stage::Stage,
    table::{Row, Says, TABLE},
    trouble::Trouble,
};
use crate::service::PATIENCE;

/// What has become of a row's requests.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Past {
    /// So many were answered with success.
    pub(crate) done: u64,
    /// Of so many it is not known.
    pub(crate) unsure: u64,
}

// === impl Stage ===

impl Stage {
    /// Waits until the service has noticed that its Redis is away.
    pub(crate) async fn notices(&self) {
        let path = "/health/ready";
        eventually(|| async { self.service.get(path).await.is_ok_and(|(_, body)| body["ready"] == false) }, PATIENCE)
            .await;
    }

    /// Asks all rows, those of the global brake after the others and one after the other. What is not as it must be is
    /// told.
    pub(crate) async fn play(&self, trouble: Option<Trouble>) -> Vec<String> {
        let is_for_all = |at: &usize| TABLE[*at].operation.ends_with(" /v1/brake");
        let (last, first): (Vec<usize>, Vec<usize>) = (0..TABLE.len()).partition(is_for_all);
        let mut wrong = join_all(first.into_iter().map(|at| self.comes_to(at, trouble))).await;
        for at in last {
            wrong.push(self.comes_to(at, trouble).await);
        }
        wrong.into_iter().filter_map(Result::err).collect()
    }

    /// Waits until every row is answered as if nothing had been.
    pub(crate) async fn recovers(&self) -> Vec<String> {
        let answers = join_all((0..TABLE.len()).map(|at| self.comes_to(at, None))).await;
        answers.into_iter().filter_map(Result::err).collect()
    }

    /// Asks one row until it is answered as it must be, or as it never may.
    async fn comes_to(&self, at: usize, trouble: Option<Trouble>) -> Result<(), String> {
        eventually(|| self.ask(at, trouble), PATIENCE).await
    }

    /// Asks one row.
    ///
    /// # Errors
    /// The outer one is an answer for the time being: as with the store away, which a busy machine can make it appear. The
    /// inner one is an answer that must not be.
    async fn ask(&self, at: usize, trouble: Option<Trouble>) -> Result<Result<(), String>, String> {
        let row = &TABLE[at];
        let allowed = trouble.map_or_else(|| vec![Says::Same], |trouble| trouble.says(row));
        let (past, before) = (&self.past[at], self.past[at].get());
        let mut told = String::new();
        let outcome = async {
            // Until it is answered, nobody knows.
            past.set(Past { unsure: before.unsure + 1, ..before });
            let answer = Answer::to(self.things[at].request(&self.caller, row)?).await?;
            told = answer.told();
            past.set(Past { unsure: before.unsure + u64::from(answer.is_unsure()), ..before });
            answer.check_manners(&self.described(row.operation)?, &self.secrets)?;
            let holds =
                |says: &Says| statuses(row, before, *says).contains(&answer.status()) && answer.check(*says).is_ok();
            if allowed.iter().any(holds) {
                past.update(|past| Past { done: past.done + u64::from(answer.status() < 300), ..past });
                return Ok(true);
            }
            let needs_the_store = row.lost != Says::Same;
            let seems_lost = needs_the_store && [row.lost, Says::Refused].iter().any(holds);
            ensure!(seems_lost, "none of {allowed:?}");
            anyhow::Ok(false)
        };
        let outcome = outcome.await;
        let wrong = |why: &str| format!("{} {}: {why}\n    {told}", row.operation, row.body);
        match outcome {
            Ok(true) => Ok(Ok(())),
            Ok(false) => Err(wrong("as with the store away")),
            Err(error) => Ok(Err(wrong(&format!("{error:#}")))),
        }
    }
}

/// The statuses that the row may be answered with.
fn statuses(row: &Row, past: Past, says: Says) -> Vec<u16> {
    match says {
        Says::Refused => vec![503],
        Says::Code(status) => vec![status],
        Says::Soon(status) => vec![row.well, status],
        Says::Same | Says::Degraded if past.done + past.unsure > 0 => vec![row.well, row.again],
        Says::Same | Says::Degraded => vec![row.well],
    }
}
