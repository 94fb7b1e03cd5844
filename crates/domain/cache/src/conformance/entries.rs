//! Laws of single entries.

use std::time::Duration;

use bytes::Bytes;

use super::bed::{Bed, MINUTE, ONE, TWO, done, entry, is_refused, soon};
use crate::{Condition, Error, NewEntry, Stamp, Written};

/// C-L1.
pub async fn as_it_was(bed: &Bed) -> Result<(), Error> {
    assert_eq!(bed.store.get(&bed.key("a")?).await?, None, "nothing is a miss");
    let stamp = Stamp::new(vec![("t:1".parse()?, 7), ("a".parse()?, 9)]);
    let values = [
        Some(Bytes::from_static(b"{\"a\": 1}")),
        Some(Bytes::new()),
        Some(Bytes::from_static(b"\x01\x00\xff raw")),
        Some(vec![b'x'; 100_000].into()),
        None,
    ];
    for value in values {
        let content_type = Some("text/plain; charset=utf-8".into());
        let put = NewEntry { value, content_type, ttl: MINUTE, stale_for: MINUTE, stamp: stamp.clone() };
        let version = done(&bed.store.put(&bed.key("a b ä")?, &put, Condition::Always, crate::Writer::random()).await?);
        let read = bed.store.get(&bed.key("a b ä")?).await?;
        assert!(read.is_some(), "what was put is not there");
        let Some(read) = read else { continue };
        assert_eq!((&read.value, &read.content_type, &read.stamp), (&put.value, &put.content_type, &put.stamp));
        assert_eq!(read.version, version);
        assert!(read.fresh_for > MINUTE - Duration::from_secs(20) && read.fresh_for <= MINUTE, "{read:?}");
        assert!(read.kept_for > read.fresh_for && read.kept_for <= MINUTE * 2, "{read:?}");
    }
    assert!(matches!(bed.delete("a b ä").await?, Written::Done { existed: true, .. }));
    assert!(matches!(bed.delete("a b ä").await?, Written::Done { existed: false, .. }));
    assert_eq!(bed.value("a b ä").await?, None);
    Ok(())
}

/// C-L2.
pub async fn versions(bed: &Bed) -> Result<(), Error> {
    let mut last = 0;
    for round in 0..3 {
        let put = bed.version_of_put("a", "1").await?;
        let again = bed.version_of_put("a", "2").await?;
        let deleted = done(&bed.delete("a").await?);
        assert!(last < put && put < again && again < deleted, "{round}: {last} {put} {again} {deleted}");
        last = deleted;
    }
    Ok(())
}

/// C-L3.
pub async fn conditions(bed: &Bed) -> Result<(), Error> {
    let first = done(&bed.put("a", "1", Condition::Absent).await?);
    assert!(is_refused(&bed.put("a", "2", Condition::Absent).await?, first));
    assert!(is_refused(&bed.put("a", "2", Condition::Version(first + 1)).await?, first));
    assert!(is_refused(&bed.put("a", "2", Condition::AtMost(first - 1)).await?, first));
    assert!(is_refused(&bed.put("a", "2", Condition::Leased).await?, first));
    assert_eq!(bed.value("a").await?.as_deref(), Some(&b"1"[..]), "a refused change changed something");
    let second = done(&bed.put("a", "2", Condition::Version(first)).await?);
    let third = done(&bed.put("a", "3", Condition::AtMost(second)).await?);
    let stale = bed.store.delete(&bed.key("a")?, Condition::Version(second), ONE).await?;
    assert!(is_refused(&stale, third));
    let deleted = done(&bed.store.delete(&bed.key("a")?, Condition::Version(third), ONE).await?);
    assert!(is_refused(&bed.put("a", "4", Condition::Version(third)).await?, deleted), "a version that is gone");
    assert!(is_refused(&bed.put("a", "4", Condition::AtMost(third)).await?, deleted), "a deletion is a change");
    done(&bed.put("a", "4", Condition::Absent).await?);
    assert!(is_refused(&bed.store.delete(&bed.key("b")?, Condition::Version(1), ONE).await?, 0));
    done(&bed.put("b", "1", Condition::AtMost(0)).await?);
    Ok(())
}

/// C-L4.
pub async fn expiry(bed: &Bed) -> Result<(), Error> {
    let mut short = entry("1");
    (short.ttl, short.stale_for) = (Duration::from_millis(300), Duration::from_secs(2));
    let key = bed.key("a")?;
    let version = done(&bed.store.put(&key, &short, Condition::Always, ONE).await?);
    let read = bed.store.get(&key).await?;
    assert!(read.is_some_and(|read| read.fresh_for <= short.ttl), "fresh for longer than its ttl");
    soon("stale", async || Ok(bed.store.get(&key).await?.is_none_or(|read| !read.is_fresh()))).await?;
    // Stale entries are absent for whoever wants to be the first.
    let stale = bed.store.get(&key).await?;
    assert!(stale.is_some_and(|stale| stale.version == version && stale.value.is_some()), "not kept while stale");
    soon("gone", async || Ok(bed.store.get(&key).await?.is_none())).await?;
    assert!(done(&bed.put("a", "2", Condition::Absent).await?) > version);
    (short.ttl, short.stale_for) = (Duration::from_millis(1), MINUTE);
    bed.store.put(&bed.key("b")?, &short, Condition::Always, ONE).await?;
    soon("replaced", async || Ok(matches!(bed.put("b", "2", Condition::Absent).await?, Written::Done { .. }))).await
}

/// C-L7.
pub async fn repeatable(bed: &Bed) -> Result<(), Error> {
    let key = bed.key("a")?;
    let first = done(&bed.store.put(&key, &entry("1"), Condition::Absent, ONE).await?);
    assert_eq!(done(&bed.store.put(&key, &entry("1"), Condition::Absent, ONE).await?), first);
    let second = done(&bed.store.put(&key, &entry("2"), Condition::Version(first), TWO).await?);
    assert_eq!(done(&bed.store.put(&key, &entry("2"), Condition::Version(first), TWO).await?), second);
    assert!(
        is_refused(&bed.store.put(&key, &entry("1"), Condition::Absent, ONE).await?, second),
        "not the last writer"
    );
    let deleted = bed.store.delete(&key, Condition::Version(second), ONE).await?;
    assert_eq!(bed.store.delete(&key, Condition::Version(second), ONE).await?, deleted);
    bed.lookup("a", TWO).await?;
    let filled = done(&bed.fill("a", "3", TWO).await?);
    assert_eq!(done(&bed.fill("a", "3", TWO).await?), filled);
    Ok(())
}
