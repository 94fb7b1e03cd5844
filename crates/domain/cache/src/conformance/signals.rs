//! Laws of tags and of what is told.

use std::{sync::Arc, time::Duration};

use super::bed::{Bed, ONE, done, listening, next, soon};
use crate::{CacheSignal, Condition, Error, Tag, Writer};

/// C-L9.
pub async fn told(bed: &Bed) -> Result<(), Error> {
    let (mut one, mut two) = (listening(bed).await?, listening(bed).await?);
    let changed = |version| CacheSignal::Changed { namespace: bed.namespace.clone(), key: Arc::from("a b"), version };
    let mut expected = vec![changed(bed.version_of_put("a b", "1").await?)];
    bed.put("a b", "2", Condition::Absent).await?;
    expected.push(changed(done(&bed.delete("a b").await?)));
    bed.claim("a b", ONE).await?;
    expected.push(changed(done(&bed.fill("a b", "3", ONE).await?)));
    bed.claim("c", ONE).await?;
    bed.store.release(&bed.key("c")?, ONE, Duration::ZERO).await?;
    expected.push(CacheSignal::Released { namespace: bed.namespace.clone(), key: Arc::from("c") });
    let tag: Tag = format!("told-{}", bed.namespace).parse()?;
    expected.push(CacheSignal::Tag { tag: tag.clone(), version: bed.store.invalidate_tag(&tag).await? });
    for feed in [&mut one, &mut two] {
        let mut missing = expected.clone();
        while !missing.is_empty() {
            match next(feed).await {
                // Whoever reads everything anew after this has missed nothing.
                CacheSignal::Gap => missing.clear(),
                signal => missing.retain(|expected| *expected != signal),
            }
        }
    }
    Ok(())
}

/// C-L10.
pub async fn tags(bed: &Bed) -> Result<(), Error> {
    let tag = |name: &str| format!("{name}-{}", bed.namespace).parse::<Tag>();
    let (a, b) = (tag("a")?, tag("b")?);
    let first = bed.store.tag_versions(&[a.clone(), b.clone()]).await?;
    assert_eq!(bed.store.tag_versions(&[a.clone(), b.clone()]).await?, first, "a version that changes by itself");
    assert!(first.iter().all(|version| *version > 0));
    let renewed = bed.store.invalidate_tag(&a).await?;
    assert!(renewed > first[0]);
    assert_eq!(bed.store.tag_versions(&[b.clone(), a.clone()]).await?, [first[1], renewed]);
    assert!(bed.store.invalidate_tag(&a).await? > renewed);
    assert_eq!(bed.store.tag_versions(&[]).await?, [0; 0]);
    Ok(())
}

/// C-L11.
pub async fn bounded(bed: &Bed) -> Result<(), Error> {
    let mut feed = listening(bed).await?;
    let key = bed.key("a")?;
    for _ in 0..crate::feed::FEED_CAPACITY + 500 {
        bed.store.delete(&key, Condition::Always, Writer::random()).await?;
    }
    let last = bed.version_of_put("a", "last").await?;
    let mut gaps = 0;
    loop {
        match next(&mut feed).await {
            CacheSignal::Gap => gaps += 1,
            CacheSignal::Changed { version, .. } if version == last => break,
            _ => {}
        }
    }
    assert!(gaps > 0, "thousands of signals were kept for a feed that nobody read");
    Ok(())
}

/// C-L12.
pub async fn echo(bed: &Bed) -> Result<(), Error> {
    let mut feed = listening(bed).await?;
    for mark in 1..=3 {
        let version = bed.version_of_put("a", "1").await?;
        bed.store.mark(mark).await?;
        let (mut heard, mut sent) = (false, false);
        soon("the mark", async || {
            match next(&mut feed).await {
                CacheSignal::Gap => heard = true,
                CacheSignal::Changed { version: told, .. } => heard |= told == version,
                CacheSignal::Mark(told) => sent = told == mark,
                _ => {}
            }
            assert!(!sent || heard, "the mark came before what had happened before it");
            Ok(sent)
        })
        .await?;
    }
    Ok(())
}
