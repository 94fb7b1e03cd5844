//! A step that waits on the server: `BLPOP` of the wake-up token, and the script right behind it on the same connection.
//!
//! The server goes on to the script when the token comes, so that a task reaches an idle worker one round trip earlier
//! than if the worker was told first and asked then. The worker has a token of its own too, by which it ends the wait.

use std::{sync::atomic::Ordering, time::Duration};

use tokio_util::sync::CancellationToken;
use trackside_core::WorkerId;
use trackside_redis::{BlockingConnection, Command, Reply, Script};

use super::{
    Inner, Line,
    call::{Call, failed},
    scripts::NUDGE,
};
use crate::{Error, Step, StepReply, limits};

type Answer = Result<Reply, trackside_redis::Error>;

pub(super) const OPERATION: &str = "queue.wait_step";
/// How long a token for one worker stays when the worker is gone.
const NUDGE_TTL: Duration = Duration::from_secs(10);
/// After how long a worker listens for pushes of plain clients as well: one that is woken more often than that would be
/// woken twice for each task.
const AT_REST: Duration = Duration::from_millis(20);
/// How much later than the push the token may be heard, when the push was one of ours and brought a token.
const TOKEN_LATENCY: Duration = Duration::from_millis(1);

// === impl Inner ===

impl Inner {
    pub(super) async fn step_when_ready(
        &self,
        line: &Line,
        step: &Step,
        patience: Duration,
        hurry: &CancellationToken,
    ) -> Result<Option<StepReply>, Error> {
        line.bell.start(&self.redis, &line.keys, self.config.idle_wait, &self.tasks, &self.shutdown)?;
        if line.cannot_wait.load(Ordering::Relaxed) {
            let _either = hurry.run_until_cancelled(line.bell.wait(patience)).await;
            return Ok(None);
        }
        self.note(line, &step.worker, line.noted.due(step)).await;
        let connection = self.waits.take(&self.redis)?;
        let (script, call, credits) = self.any_step_call(line, step)?;
        let answer = Box::pin(self.wait_and_run(&connection, line, (script, &call), &step.worker, patience, hurry));
        let (waited, ran) = answer.await?;
        self.waits.give_back(connection);
        let Some(ran) = ran else { return Ok(None) };
        let reply = ran.map_err(|error| failed(script.name(), error))?;
        if let Err(error) = waited {
            // Or the next one would be refused as well, and at once.
            tracing::warn!(queue.name = %line.name, error = &error as &dyn std::error::Error, "steps cannot wait here");
            line.cannot_wait.store(true, Ordering::Relaxed);
        }
        if reply.is_nil() {
            line.steps.refuted();
            return Ok(None);
        }
        Box::pin(self.finish_step(line, step, credits, reply)).await.map(Some)
    }

    /// What the wait answered, and what the script did unless the server does not know it.
    async fn wait_and_run(
        &self,
        connection: &BlockingConnection,
        line: &Line,
        (script, call): (&Script, &Call<'_>),
        worker: &WorkerId,
        patience: Duration,
        hurry: &CancellationToken,
    ) -> Result<(Answer, Option<Answer>), Error> {
        let own = line.keys.wake_of(worker);
        // Zero would wait for ever.
        let seconds = patience.max(Duration::from_millis(1)).as_secs_f64();
        let wait = Command::new("BLPOP").key(line.keys.wake()).key(&own).arg(seconds);
        let mut answer = std::pin::pin!(connection.wait_then_run(OPERATION, wait, script, call.words(), patience));
        let answer = loop {
            let is_push = tokio::select! {
                biased;
                answer = &mut answer => break answer,
                () = hurry.cancelled() => false,
                () = self.hear_push(line) => true,
            };
            let ttl = limits::millis(NUDGE_TTL).to_string();
            let (keys, args) =
                (vec![own.clone(), line.keys.normal().to_owned()], vec![ttl, u8::from(is_push).to_string()]);
            let nudged = self.redis.run(&NUDGE, keys, args.into_iter().map(Into::into).collect()).await;
            nudged.map_err(|error| failed(NUDGE.name(), error))?;
            if !is_push {
                break answer.await;
            }
        };
        answer.map_err(|error| failed(OPERATION, error))
    }

    /// Returns when a plain client may have pushed something that nobody was told about.
    async fn hear_push(&self, line: &Line) {
        tokio::time::sleep(AT_REST).await;
        line.bell.wait_for_push().await;
        tokio::time::sleep(TOKEN_LATENCY).await;
    }
}
