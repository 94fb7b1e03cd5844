//! What was said during a trouble holds after it: what was taken is there, and what was refused was not done.

use anyhow::{Context, ensure};
use serde_json::Value;
use trackside_testkit::eventually;

use super::{stage::Stage, table::TABLE};
use crate::service::PATIENCE;

// === impl Stage ===

impl Stage {
    /// Waits until everything that was taken without the store is in the store.
    pub(crate) async fn catches_up(&self) {
        let operation = self.path_of("PATCH /v1/progress/{id}");
        let key = format!("progress:{}", operation.rsplit('/').next().unwrap_or_default());
        let events = || self.victim.redis.try_cli(&["XRANGE", &key, "-", "+"]);
        let is_written = || async { events().is_ok_and(|events| events.contains("\"percent\":40")) };
        eventually(is_written, PATIENCE).await;
        let is_empty = || async { self.read("/v1/cache/stats").await.is_ok_and(|stats| stats["remembered_now"] == 0) };
        eventually(is_empty, PATIENCE).await;
        let agent = self.path_of("POST /v1/agents/{user_id}/pause");
        let agent = agent.trim_end_matches("/pause");
        let is_paused = || async {
            let agent = self.read(agent).await?;
            ensure!(agent["paused"] == true && agent["pending"] == false, "{agent}");
            anyhow::Ok(())
        };
        eventually(is_paused, PATIENCE).await;
    }

    /// Every queue accounts for its tasks, and has those that were accepted and no others.
    ///
    /// # Errors
    /// When a task is missing, or one is there that was refused.
    pub(crate) async fn kept_its_word(&self) -> anyhow::Result<()> {
        for queue in self.read("/v1/queues?limit=200").await?["queues"].as_array().context("queues")? {
            let name = queue["queue"].as_str().context("a name")?;
            let audit = self.read(&format!("/v1/queues/{name}/audit")).await?;
            ensure!(audit["balanced"] == true, "{name}: {audit}");
        }
        let enqueues = TABLE.iter().enumerate().filter(|(_, row)| row.operation == "POST /v1/queues/{queue}/tasks");
        for (at, row) in enqueues {
            let tasks = row.body.matches("kind").count() as u64;
            let past = self.past[at].get();
            let audit = self.read(&format!("/v1/queues/{}/audit", self.things[at].queue())).await?;
            let created = audit["created"].as_u64().context("a number")?;
            // One was there before.
            let least = 1 + tasks * past.done;
            let most = least + tasks * past.unsure;
            ensure!((least..=most).contains(&created), "{created} and not {least} to {most}: {audit}");
        }
        Ok(())
    }

    async fn read(&self, path: &str) -> anyhow::Result<Value> {
        self.caller.did("GET", path, &Value::Null).await
    }

    /// Where the things of an operation's first row are.
    fn path_of(&self, operation: &str) -> String {
        let row = TABLE.iter().position(|row| row.operation == operation);
        row.map(|at| self.things[at].path(&self.caller, operation)).unwrap_or_default()
    }
}
