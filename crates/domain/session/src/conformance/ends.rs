//! S-L3, S-L8, S-L9 and S-L10: sessions that are ended, and those that are left.

use std::time::Duration;

use super::bed::{Bed, MINUTE, Made, at_most, next, secret, soon};
use crate::{
    Authority, Creation, Error, Found, NewRecord, Rotation, Saved, SessionId, SessionKey, Turned, UserTag, WhenFull,
};

/// S-L3.
pub async fn no_resurrection(bed: &Bed) -> Result<(), Error> {
    let user = UserTag::of(&bed.user_id);
    for way in 0..5 {
        let lives = NewRecord { idle: Duration::from_millis(300), ..bed.unborn(&bed.user_id)? };
        let made = if way == 0 { bed.created(&lives, None).await? } else { bed.create().await? };
        match way {
            0 => soon("idle", async || Ok(!bed.is_active(&made).await?)).await?,
            1 => assert!(bed.store.destroy(&made.key, Authority::Secret(&made.secret)).await?),
            2 => assert!(bed.store.destroy(&made.key, Authority::Owner).await?),
            3 => bed.store.destroy_all(&user, None).await?,
            _ => drop(bed.created(&bed.unborn(&bed.user_id)?, at_most(1, WhenFull::OldestGoes)).await?),
        }
        assert_eq!(bed.store.load(&made.key, &made.secret, Duration::ZERO).await?, Found::Unknown, "{way}");
        assert_eq!(bed.save(&made, 1, "{}").await?, Saved::Unknown, "{way}");
        assert_eq!(bed.rotate(&made, &next(Rotation::Routine, MINUTE)?).await?, Turned::Unknown, "{way}");
        assert_eq!(bed.found(&made).await?, Found::Unknown, "{way}");
        assert!(!ids(bed, &user).await?.contains(&made.key.id), "{way}");
        assert!(!bed.store.destroy(&made.key, Authority::Owner).await?, "{way}");
    }
    Ok(())
}

/// S-L8.
pub async fn everywhere(bed: &Bed) -> Result<(), Error> {
    let user = UserTag::of(&bed.user_id);
    let other = bed.created(&bed.unborn(&bed.other)?, None).await?;
    let (first, kept, last) = (bed.create().await?, bed.create().await?, bed.create().await?);
    bed.store.destroy_all(&user, Some(kept.key.id)).await?;
    assert!(bed.is_active(&kept).await?);
    assert!(!bed.is_active(&first).await? && !bed.is_active(&last).await?);
    assert_eq!(ids(bed, &user).await?, [kept.key.id]);
    bed.store.destroy_all(&user, Some(other.key.id)).await?;
    assert!(!bed.is_active(&kept).await?, "kept for the session of another user");
    assert!(ids(bed, &user).await?.is_empty());
    let new = bed.create().await?;
    assert!(bed.is_active(&new).await? && bed.is_active(&other).await?);
    assert!(!bed.is_active(&first).await? && !bed.is_active(&kept).await?);
    assert!(!bed.store.destroy(&SessionKey { user, ..other.key }, Authority::Owner).await?);
    assert!(!bed.store.destroy(&other.key, Authority::Secret(&secret()?)).await?);
    assert!(bed.is_active(&other).await?);
    Ok(())
}

/// S-L9.
pub async fn limit(bed: &Bed) -> Result<(), Error> {
    let three = at_most(3, WhenFull::OldestGoes);
    let mut made: Vec<Made> = Vec::new();
    for _ in 0..5 {
        made.push(bed.created(&bed.unborn(&bed.user_id)?, three).await?);
        // Being used does not make a session younger.
        bed.store.load(&made[0].key, &made[0].secret, Duration::ZERO).await?;
    }
    let mut living = Vec::new();
    for session in &made {
        living.push(bed.is_active(session).await?);
    }
    assert_eq!(living, [false, false, true, true, true]);

    let refused = bed.store.create(&bed.unborn(&bed.user_id)?, at_most(3, WhenFull::Refuse)).await?;
    assert_eq!(refused, Creation::Full);
    assert!(bed.is_active(&made[2]).await?);
    bed.store.destroy(&made[2].key, Authority::Owner).await?;
    bed.created(&bed.unborn(&bed.user_id)?, at_most(3, WhenFull::Refuse)).await?;
    // One that has ended by itself does not count.
    let brief = NewRecord { idle: Duration::from_millis(100), ..bed.unborn(&bed.other)? };
    let one = at_most(1, WhenFull::Refuse);
    bed.created(&brief, one).await?;
    let new = bed.unborn(&bed.other)?;
    soon("room", async || Ok(bed.store.create(&new, one).await? != Creation::Full)).await
}

/// S-L10.
pub async fn list(bed: &Bed) -> Result<(), Error> {
    let user = UserTag::of(&bed.user_id);
    assert!(bed.store.list(&user).await?.is_empty());
    let brief = NewRecord { idle: Duration::from_millis(100), ..bed.unborn(&bed.user_id)? };
    bed.created(&brief, None).await?;
    let (first, second) = (bed.create().await?, bed.create().await?);
    bed.created(&bed.unborn(&bed.other)?, None).await?;
    soon("the brief one ends", async || Ok(bed.store.list(&user).await?.len() == 2)).await?;
    let used = async || {
        bed.store.load(&first.key, &first.secret, Duration::ZERO).await?;
        Ok(ids(bed, &user).await? == [first.key.id, second.key.id])
    };
    soon("the one that was used is first", used).await?;
    let listed = bed.store.list(&user).await?;
    let (made, shown) = (&second.record, &listed[1]);
    assert_eq!(shown.device, made.device);
    assert_eq!((shown.created_at, shown.last_seen_at), (made.created_at, made.last_seen_at));
    assert_eq!((shown.expires_at, shown.absolute_expires_at), (made.expires_at, made.absolute_expires_at));
    for _ in 0..260 {
        bed.create().await?;
    }
    assert_eq!(bed.store.list(&user).await?.len(), 256);
    bed.store.destroy_all(&user, None).await?;
    assert!(bed.store.list(&user).await?.is_empty());
    Ok(())
}

async fn ids(bed: &Bed, user: &UserTag) -> Result<Vec<SessionId>, Error> {
    Ok(bed.store.list(user).await?.iter().map(|summary| summary.id).collect())
}
