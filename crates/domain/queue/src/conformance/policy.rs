//! The limits of a queue are the store's: everybody who asks is told the same ones (Q-L25 to Q-L28).

use std::{num::NonZeroU32, time::Duration};

use super::{Harness, driver::Driver};
use crate::{Error, QueuePolicy, Rate};

/// A policy replaces the one before it as a whole.
pub async fn policies_are_kept_for_everybody(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    assert_eq!(driver.store().policy(&driver.queue).await?, QueuePolicy::default());
    let rate = NonZeroU32::new(3).map(|count| Rate::new(count, Duration::from_secs(1)));
    let all = QueuePolicy {
        max_depth: Some(1_000_000),
        max_bytes: Some(1 << 40),
        max_active: NonZeroU32::new(5),
        rate,
        tenant_max_active: NonZeroU32::new(2),
        tenant_rate: rate.map(|rate| Rate { burst: Some(NonZeroU32::MIN), ..rate }),
        fair: NonZeroU32::new(4),
        age_after: Some(Duration::from_secs(60)),
    };
    let one = QueuePolicy { max_active: NonZeroU32::new(1), ..QueuePolicy::default() };
    for policy in [all, one, QueuePolicy::default()] {
        driver.store().set_policy(&driver.queue, &policy).await?;
        assert_eq!(driver.store().policy(&driver.queue).await?, policy);
    }
    let wrong = QueuePolicy { age_after: Some(Duration::ZERO), ..QueuePolicy::default() };
    let refused = driver.store().set_policy(&driver.queue, &wrong).await;
    assert!(matches!(refused, Err(Error::InvalidPolicy { field: "age_after_ms", .. })), "{refused:?}");
    Ok(())
}
