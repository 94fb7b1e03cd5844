//! Laws of leases.

use std::time::Duration;

use super::bed::{Bed, MINUTE, ONE, TWO, done, entry, soon};
use crate::{Claim, Condition, Error, Lookup, Stamp, Written};

/// C-L5.
pub async fn one_lease(bed: &Bed) -> Result<(), Error> {
    assert_eq!(bed.claim("a", ONE).await?, Claim::Granted);
    assert_eq!(bed.claim("a", ONE).await?, Claim::Granted, "asked again after a lost answer");
    for _ in 0..2 {
        let claim = bed.claim("a", TWO).await?;
        assert!(matches!(claim, Claim::Busy(left) if left <= MINUTE), "{claim:?}");
    }
    // Each of these ends it.
    bed.store.release(&bed.key("a")?, TWO, Duration::ZERO).await?;
    assert!(matches!(bed.claim("a", TWO).await?, Claim::Busy(_)), "released by somebody else");
    bed.store.release(&bed.key("a")?, ONE, Duration::ZERO).await?;
    assert_eq!(bed.claim("a", TWO).await?, Claim::Granted);
    bed.delete("a").await?;
    assert_eq!(bed.claim("a", ONE).await?, Claim::Granted);
    done(&bed.fill("a", "1", ONE).await?);
    assert_eq!(bed.claim("a", TWO).await?, Claim::Fresh);
    bed.delete("a").await?;
    assert_eq!(bed.claim("a", ONE).await?, Claim::Granted);
    bed.put("a", "2", Condition::Always).await?;
    assert_eq!(bed.claim("a", TWO).await?, Claim::Fresh);
    // And so does its time.
    let short = Lookup { writer: ONE, lease: Duration::from_millis(50), stamp: None, after: 0 };
    assert_eq!(bed.store.lookup(&bed.key("b")?, &short).await?.claim, Claim::Granted);
    soon("taken over", async || Ok(bed.claim("b", TWO).await? == Claim::Granted)).await
}

/// C-L6.
pub async fn fenced_fill(bed: &Bed) -> Result<(), Error> {
    let is_refused = |written: Written| matches!(written, Written::Refused { .. });
    bed.claim("deleted", ONE).await?;
    bed.delete("deleted").await?;
    assert!(is_refused(bed.fill("deleted", "old", ONE).await?));
    assert_eq!(bed.value("deleted").await?, None);

    bed.claim("put", ONE).await?;
    bed.put("put", "new", Condition::Always).await?;
    assert!(is_refused(bed.fill("put", "old", ONE).await?));
    assert_eq!(bed.value("put").await?.as_deref(), Some(&b"new"[..]));

    let short = Lookup { writer: ONE, lease: Duration::from_millis(10), stamp: None, after: 0 };
    bed.store.lookup(&bed.key("late")?, &short).await?;
    soon("taken over", async || Ok(bed.claim("late", TWO).await? == Claim::Granted)).await?;
    assert!(is_refused(bed.fill("late", "old", ONE).await?));
    done(&bed.fill("late", "new", TWO).await?);
    assert_eq!(bed.value("late").await?.as_deref(), Some(&b"new"[..]));
    assert!(is_refused(bed.fill("never leased", "old", ONE).await?));
    Ok(())
}

/// C-L8.
pub async fn throttle(bed: &Bed) -> Result<(), Error> {
    let key = bed.key("a")?;
    let mut stale = entry("1");
    (stale.ttl, stale.stale_for) = (Duration::from_millis(1), MINUTE);
    bed.store.put(&key, &stale, Condition::Always, ONE).await?;
    soon("stale", async || Ok(bed.claim("a", ONE).await? == Claim::Granted)).await?;
    bed.store.release(&key, ONE, MINUTE).await?;
    let found = bed.lookup("a", TWO).await?;
    assert!(matches!(found.claim, Claim::Busy(_)) && found.entry.is_some(), "{found:?}");
    // With nothing to serve, somebody has to load.
    bed.delete("a").await?;
    assert_eq!(bed.claim("a", TWO).await?, Claim::Granted);
    bed.store.release(&key, TWO, Duration::from_millis(20)).await?;
    assert_eq!(bed.claim("a", ONE).await?, Claim::Granted);
    // And a throttle ends with its time.
    bed.store.put(&key, &stale, Condition::Always, TWO).await?;
    soon("stale again", async || Ok(bed.claim("a", ONE).await? == Claim::Granted)).await?;
    bed.store.release(&key, ONE, Duration::from_millis(20)).await?;
    soon("loaded again", async || Ok(bed.claim("a", TWO).await? == Claim::Granted)).await
}

/// C-L13.
pub async fn judged(bed: &Bed) -> Result<(), Error> {
    let key = bed.key("a")?;
    let stamp = |version| Ok::<_, Error>(Stamp::new(vec![("t".parse()?, version)]));
    let mut tagged = entry("1");
    tagged.stamp = stamp(5)?;
    let version = done(&bed.store.put(&key, &tagged, Condition::Always, ONE).await?);
    let lookup = async |writer, stamp, after| {
        let lookup = Lookup { writer, lease: MINUTE, stamp, after };
        Ok::<_, Error>(bed.store.lookup(&key, &lookup).await?.claim)
    };
    assert_eq!(lookup(ONE, Some(stamp(5)?), version - 1).await?, Claim::Fresh);
    assert_eq!(lookup(ONE, None, 0).await?, Claim::Fresh);
    assert_eq!(lookup(ONE, Some(stamp(6)?), 0).await?, Claim::Granted);
    assert!(matches!(lookup(TWO, None, version).await?, Claim::Busy(_)), "a version that is worth nothing was found");
    bed.store.release(&key, ONE, MINUTE).await?;
    assert_eq!(lookup(TWO, Some(stamp(6)?), 0).await?, Claim::Granted, "throttled with nothing to serve");
    Ok(())
}

/// C-L14.
pub async fn renewed(bed: &Bed) -> Result<(), Error> {
    let key = bed.key("a")?;
    let renew = async |writer, millis| bed.store.renew(&key, writer, Duration::from_millis(millis)).await;
    assert!(!renew(ONE, 60_000).await?, "nobody has it");
    let short = Lookup { writer: ONE, lease: MINUTE / 3, stamp: None, after: 0 };
    assert_eq!(bed.store.lookup(&key, &short).await?.claim, Claim::Granted);
    assert!(!renew(TWO, 60_000).await?, "it is somebody else's");
    assert!(renew(ONE, 60_000).await?);
    let claim = bed.claim("a", TWO).await?;
    assert!(matches!(claim, Claim::Busy(left) if left > Duration::from_secs(30)), "{claim:?}");
    // A time that is renewed may also be shorter, and ends it.
    assert!(renew(ONE, 10).await?);
    soon("over", async || Ok(!renew(ONE, 1).await?)).await?;
    assert!(!renew(ONE, 60_000).await?, "it was over");
    assert_eq!(bed.claim("a", TWO).await?, Claim::Granted);
    bed.delete("a").await?;
    assert!(!renew(TWO, 60_000).await?, "a deletion ended it");
    assert!(matches!(bed.fill("a", "old", TWO).await?, Written::Refused { .. }));
    Ok(())
}
