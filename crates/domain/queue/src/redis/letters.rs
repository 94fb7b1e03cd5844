//! Dead letters that leave: back to their levels, or for good.

use super::{
    Inner, Line,
    scripts::{PURGE, REQUEUE, SCRIPT_TASKS},
    views,
};
use crate::{DeadRef, Error};

// === impl Inner ===

impl Inner {
    pub(super) async fn requeue(&self, line: &Line, letters: &[DeadRef]) -> Result<usize, Error> {
        let mut requeued = 0;
        for some in letters.chunks(SCRIPT_TASKS) {
            let call = some.iter().fold(self.call(line), |call, it| call.id(it.id).arg(views::death(it)));
            requeued += views::count(&call.run(self, &REQUEUE).await?, &REQUEUE)?;
        }
        Ok(requeued)
    }

    pub(super) async fn purge(&self, line: &Line, letters: &[DeadRef]) -> Result<usize, Error> {
        let mut purged = 0;
        for some in letters.chunks(SCRIPT_TASKS) {
            let call = some.iter().fold(self.call(line), |call, it| call.id(it.id).bucket(it.id).arg(views::death(it)));
            purged += views::count(&call.run(self, &PURGE).await?, &PURGE)?;
        }
        Ok(purged)
    }
}
