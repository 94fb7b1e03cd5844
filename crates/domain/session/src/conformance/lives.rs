//! S-L1 and S-L2: what is let in, and for how long.

use std::time::Duration;

use super::bed::{Bed, HOUR, MINUTE, secret, soon};
use crate::{Error, Found, NewRecord, SessionId, SessionKey, UserTag};

/// S-L1.
pub async fn as_it_was(bed: &Bed) -> Result<(), Error> {
    let new = bed.unborn(&bed.user_id)?;
    let made = bed.created(&new, None).await?;
    let record = &made.record;
    assert_eq!((&record.user_id, record.version, record.is_superseded), (&bed.user_id, 1, false));
    assert_eq!((&record.context, &record.device), (&new.context, &new.device));
    assert_eq!(record.created_at, record.last_seen_at);
    assert_eq!(record.expires_at.millis_since(record.created_at), 3_600_000);
    assert_eq!(record.absolute_expires_at.millis_since(record.created_at), 7_200_000);
    assert_eq!(bed.found(&made).await?, Found::Active(made.record.clone()));

    let other_id = SessionKey { id: SessionId::generate(), ..made.key };
    let other_user = SessionKey { user: UserTag::of(&bed.other), ..made.key };
    for (key, secret) in [(made.key, secret()?), (other_id, made.secret), (other_user, made.secret)] {
        assert_eq!(bed.store.load(&key, &secret, HOUR).await?, Found::Unknown, "{key:?}");
    }
    assert!(bed.is_active(&made).await?, "a wrong guess has ended it");
    Ok(())
}

/// S-L2.
pub async fn lifetimes(bed: &Bed) -> Result<(), Error> {
    let short = Duration::from_millis(300);
    let idle = NewRecord { idle: short, ..bed.unborn(&bed.user_id)? };
    let idle = bed.created(&idle, None).await?;
    soon("idle", async || Ok(!bed.is_active(&idle).await?)).await?;

    let used = bed.create().await?;
    let noted = async |touch_every| match bed.store.load(&used.key, &used.secret, touch_every).await? {
        Found::Active(record) => Ok(record),
        _ => Err(Error::NoSession),
    };
    soon("a use is noted", async || Ok(noted(Duration::ZERO).await?.expires_at > used.record.expires_at)).await?;
    let last = noted(MINUTE).await?;
    assert!(last.last_seen_at > used.record.last_seen_at);
    assert_eq!(last.expires_at.millis_since(last.last_seen_at), 3_600_000);
    assert_eq!(last.absolute_expires_at, used.record.absolute_expires_at);
    assert_eq!(noted(MINUTE).await?, last, "a use so soon is noted");

    let absolute = NewRecord { idle: short, absolute: short, ..bed.unborn(&bed.user_id)? };
    let absolute = bed.created(&absolute, None).await?;
    assert_eq!(absolute.record.expires_at, absolute.record.absolute_expires_at);
    let used = async || bed.store.load(&absolute.key, &absolute.secret, Duration::ZERO).await;
    soon("absolute", async || Ok(used().await? == Found::Unknown)).await
}
