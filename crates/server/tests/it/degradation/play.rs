//! The rows of the table, played on the stage.

use anyhow::Context;
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
    /// One was answered with success.
    done: bool,
    /// Of one it is not known.
    unsure: bool,
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
    pub(crate) async fn play(&self, trouble: Trouble) -> Vec<String> {
        let is_for_all = |at: &usize| TABLE[*at].operation.ends_with(" /v1/brake");
        let (last, first): (Vec<usize>, Vec<usize>) = (0..TABLE.len()).partition(is_for_all);
        let mut wrong = join_all(first.into_iter().map(|at| self.ask(at, Some(trouble)))).await;
        for at in last {
            wrong.push(self.ask(at, Some(trouble)).await);
        }
        wrong.into_iter().filter_map(Result::err).collect()
    }

    /// Waits until every row is answered as if nothing had been.
    pub(crate) async fn recovers(&self) {
        join_all((0..TABLE.len()).map(|at| eventually(move || self.ask(at, None), PATIENCE))).await;
    }

    /// Asks one row.
    ///
    /// # Errors
    /// What is wrong with the answer.
    async fn ask(&self, at: usize, trouble: Option<Trouble>) -> Result<(), String> {
        let row = &TABLE[at];
        let allowed = trouble.map_or_else(|| vec![Says::Same], |trouble| trouble.says(row));
        let mut told = String::new();
        let past = &self.past[at];
        let outcome = async {
            // Until it is answered, nobody knows.
            let before = past.replace(Past { unsure: true, ..past.get() });
            let answer = Answer::to(self.things[at].request(&self.caller, row)?).await?;
            told = answer.told();
            past.set(Past { unsure: before.unsure || answer.is_unsure(), ..before });
            answer.check_manners(&self.described(row.operation)?, &self.secrets)?;
            let holds =
                |says: &&Says| statuses(row, before, **says).contains(&answer.status()) && answer.check(**says).is_ok();
            let says = allowed.iter().find(holds).with_context(|| format!("neither of {allowed:?}"))?;
            past.update(|past| Past { done: past.done || *says == Says::Same, ..past });
            anyhow::Ok(())
        };
        outcome.await.map_err(|error| format!("{} {}: {error:#}\n    {told}", row.operation, row.body))
    }
}

/// The statuses that the row may be answered with.
fn statuses(row: &Row, past: Past, says: Says) -> Vec<u16> {
    match says {
        Says::Refused => vec![503],
        Says::Code(status) => vec![status],
        Says::Soon(status) => vec![row.well, status],
        Says::Same | Says::Degraded if past.done => vec![row.again],
        Says::Same | Says::Degraded if past.unsure => vec![row.well, row.again],
        Says::Same | Says::Degraded => vec![row.well],
    }
}
