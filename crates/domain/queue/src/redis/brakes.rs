//! The brake on Redis: who is held, and what is parked for it (Q-L11).

use trackside_redis::Command;

use super::{Inner, Line, call::failed, scripts, views};
use crate::{BrakeChange, BrakePage, BrakeScope, Error, MAX_BATCH};

// === impl Inner ===

impl Inner {
    pub(super) async fn set_brake(&self, line: &Line, change: &BrakeChange) -> Result<(), Error> {
        let (state, user) = (if change.engaged { "p" } else { "r" }, views::user_of(&change.scope));
        let call = self.call(line).arg(user).arg(state).arg(change.revision);
        call.run(self, &scripts::BRAKE).await?;
        Ok(())
    }

    pub(super) async fn unpark(&self, line: &Line, scope: &BrakeScope, limit: usize) -> Result<usize, Error> {
        let everyone = u8::from(*scope == BrakeScope::Everyone);
        let call = self.call(line).arg(views::user_of(scope)).arg(everyone).arg(limit);
        views::count(&call.run(self, &scripts::UNPARK).await?, &scripts::UNPARK)
    }

    pub(super) async fn braked(&self, line: &Line, cursor: u64) -> Result<BrakePage, Error> {
        let command = Command::new("HSCAN").key(line.keys.brake()).arg(cursor).arg("COUNT").arg(MAX_BATCH);
        let reply = self.redis.execute("queue.braked", command).await;
        reply.and_then(views::braked).map_err(|error| failed("queue.braked", error))
    }

    pub(super) async fn parked(&self, line: &Line, scope: &BrakeScope) -> Result<u64, Error> {
        let command = match scope {
            BrakeScope::User(user) => {
                Command::new("ZLEXCOUNT").key(line.keys.parked()).arg(format!("[{user}\0")).arg(format!("({user}\u{1}"))
            }
            BrakeScope::Everyone => Command::new("ZCARD").key(line.keys.parked()),
        };
        let reply = self.redis.execute("queue.parked", command).await;
        reply.and_then(|count| count.as_u64()).map_err(|error| failed("queue.parked", error))
    }
}
