//! R-L8 and R-L10: units for later, and what all processes know.

use std::time::Duration;

use super::bed::{Bed, HOUR, SETTLED, counter};
use crate::{Counter, Error, Target};

/// R-L8.
pub async fn leases(bed: &Bed) -> Result<(), Error> {
    for algorithm in SETTLED {
        let one = Counter { wish: 30, ..counter("user", "hot", algorithm, 100, HOUR)? };
        let mut taken = 0;
        for granted in [30, 30, 30, 6] {
            let answer = bed.take(std::slice::from_ref(&one)).await?;
            taken += 1 + granted;
            assert!(answer.allowed && answer.counters[0].granted == granted, "{algorithm:?}: {answer:?}");
            assert_eq!(answer.counters[0].remaining, 100 - taken, "{algorithm:?}");
        }
        let answer = bed.take(std::slice::from_ref(&one)).await?;
        assert!(!answer.allowed && answer.counters[0].granted == 0, "{algorithm:?}: {answer:?}");
    }
    Ok(())
}

/// R-L10.
pub async fn overrides(bed: &Bed) -> Result<(), Error> {
    const LONG: Duration = Duration::from_secs(60);
    let target = |value: &str| -> Result<Target, Error> {
        Ok(Target { policy: bed.policy.clone(), limit: "user".parse()?, value: value.to_owned() })
    };
    let known = async |version| -> Result<(u64, Vec<(Target, u64)>), Error> {
        let shared = bed.store.sync("p-1", LONG, version).await?;
        assert!(shared.processes >= 1, "{shared:?}");
        Ok(shared.overrides.map_or((version, Vec::new()), |(version, mut overrides)| {
            overrides.sort_by(|(a, _), (b, _)| a.value.cmp(&b.value));
            (version, overrides)
        }))
    };
    let (version, _) = known(0).await?;
    bed.store.put_override(&target("alice")?, Some(500)).await?;
    bed.store.put_override(&target("Übersicht / 1")?, Some(0)).await?;
    let (after, overrides) = known(version).await?;
    assert!(after != version && overrides == [(target("alice")?, 500), (target("Übersicht / 1")?, 0)], "{overrides:?}");
    assert_eq!(bed.store.sync("p-1", LONG, after).await?.overrides, None, "told again what is known");
    for _ in 0..2 {
        bed.store.put_override(&target("alice")?, None).await?;
    }
    let (last, overrides) = known(after).await?;
    assert!(last != after && overrides == [(target("Übersicht / 1")?, 0)], "{overrides:?}");
    bed.store.put_override(&target("Übersicht / 1")?, None).await?;
    let shared = bed.store.sync("p-1", LONG, last).await?;
    assert!(shared.overrides.is_some_and(|(_, overrides)| overrides.is_empty()), "the last one was taken away unseen");
    Ok(())
}
