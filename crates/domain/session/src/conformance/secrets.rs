//! S-L5, S-L6, S-L7 and S-L11: secrets that are replaced.

use std::time::Duration;

use super::bed::{Bed, HOUR, MINUTE, next, secret, soon};
use crate::{Creation, Error, Found, Rotation, Saved, Turned};

/// S-L5.
pub async fn one_chain(bed: &Bed) -> Result<(), Error> {
    let made = bed.create().await?;
    let (first, second) = (next(Rotation::Routine, MINUTE)?, next(Rotation::Routine, MINUTE)?);
    for asked in [&first, &second, &first] {
        let turned = bed.rotate(&made, asked).await?;
        assert!(matches!(turned, Turned::Rotated { salt, .. } if salt == first.salt), "{turned:?}");
    }
    assert_eq!(bed.store.load(&made.key, &second.hash, HOUR).await?, Found::Unknown);
    let late = bed.found(&made).await?;
    assert!(matches!(&late, Found::Active(record) if record.is_superseded), "{late:?}");
    assert!(matches!(bed.save(&made, 1, "{}").await?, Saved::Written(record) if record.is_superseded));
    // A change of privileges needs the secret that holds.
    assert_eq!(bed.rotate(&made, &next(Rotation::PrivilegeChange, MINUTE)?).await?, Turned::Superseded);

    let arrived = bed.found(&made.after(&first)).await?;
    assert!(matches!(&arrived, Found::Active(record) if !record.is_superseded && record.version == 2), "{arrived:?}");
    assert_eq!(bed.rotate(&made, &next(Rotation::Routine, MINUTE)?).await?, Turned::Superseded);
    assert!(bed.is_active(&made).await?, "the secret before is not honoured");

    let third = next(Rotation::Routine, MINUTE)?;
    assert!(matches!(bed.rotate(&made.after(&first), &third).await?, Turned::Rotated { .. }));
    assert_eq!(bed.rotate(&made, &next(Rotation::Routine, MINUTE)?).await?, Turned::Superseded);
    assert!(bed.is_active(&made.after(&third)).await?);
    assert!(bed.is_active(&made).await?, "its grace period is not over");
    Ok(())
}

/// S-L6.
pub async fn reuse(bed: &Bed) -> Result<(), Error> {
    let made = bed.create().await?;
    let (soon_over, over) =
        (next(Rotation::Routine, Duration::from_millis(300))?, next(Rotation::Routine, Duration::ZERO)?);
    bed.rotate(&made, &soon_over).await?;
    assert_eq!(bed.store.load(&made.key, &secret()?, HOUR).await?, Found::Unknown);
    assert!(bed.is_active(&made.after(&soon_over)).await?, "a guess has ended it");
    soon("reuse", async || Ok(bed.found(&made).await? == Found::Reused)).await?;
    assert_eq!(bed.found(&made.after(&soon_over)).await?, Found::Unknown, "the thief is in it still");
    assert_eq!(bed.found(&made).await?, Found::Unknown);

    // Whatever is asked with such a secret; and also one from many rotations ago.
    for (rotations, ask) in [(1, 0), (1, 1), (1, 2), (16, 0)] {
        let made = bed.create().await?;
        let mut last = made.after(&over);
        bed.rotate(&made, &over).await?;
        for _ in 1..rotations {
            let following = next(Rotation::Routine, Duration::ZERO)?;
            bed.rotate(&last, &following).await?;
            last = last.after(&following);
        }
        assert!(bed.is_active(&last).await?);
        let is_reused = match ask {
            0 => bed.found(&made).await? == Found::Reused,
            1 => bed.save(&made, 1, "{}").await? == Saved::Reused,
            _ => bed.rotate(&made, &next(Rotation::Routine, MINUTE)?).await? == Turned::Reused,
        };
        assert!(is_reused && !bed.is_active(&last).await?, "{rotations} {ask}");
    }
    Ok(())
}

/// S-L7.
pub async fn privilege_change(bed: &Bed) -> Result<(), Error> {
    let made = bed.create().await?;
    let raised = next(Rotation::PrivilegeChange, MINUTE)?;
    assert!(matches!(bed.rotate(&made, &raised).await?, Turned::Rotated { .. }));
    assert_eq!(bed.found(&made).await?, Found::Unknown);
    assert_eq!(bed.save(&made, 1, "{}").await?, Saved::Unknown);
    assert_eq!(bed.rotate(&made, &next(Rotation::Routine, MINUTE)?).await?, Turned::Unknown, "it tells the new secret");
    assert!(bed.is_active(&made.after(&raised)).await?, "a request under way has ended it");

    let made = bed.create().await?;
    let raised = next(Rotation::PrivilegeChange, Duration::ZERO)?;
    bed.rotate(&made, &raised).await?;
    assert_eq!(bed.found(&made).await?, Found::Reused);
    assert!(!bed.is_active(&made.after(&raised)).await?);
    Ok(())
}

/// S-L11.
pub async fn repeatable(bed: &Bed) -> Result<(), Error> {
    let new = bed.unborn(&bed.user_id)?;
    let one = super::bed::at_most(1, crate::WhenFull::Refuse);
    let made = bed.created(&new, one).await?;
    assert_eq!(bed.store.create(&new, one).await?, Creation::Created(made.record.clone()));
    assert_eq!(bed.store.list(&made.key.user).await?.len(), 1);
    let mut last = made;
    for (rotation, grace) in
        [(Rotation::Routine, MINUTE), (Rotation::PrivilegeChange, MINUTE), (Rotation::PrivilegeChange, Duration::ZERO)]
    {
        let asked = next(rotation, grace)?;
        for _ in 0..3 {
            let turned = bed.rotate(&last, &asked).await?;
            assert!(matches!(turned, Turned::Rotated { salt, .. } if salt == asked.salt), "{rotation:?} {turned:?}");
        }
        last = last.after(&asked);
        assert!(bed.is_active(&last).await?);
    }
    for ended in [true, false, false] {
        assert_eq!(bed.store.destroy(&last.key, crate::Authority::Secret(&last.secret)).await?, ended);
        bed.store.destroy_all(&last.key.user, None).await?;
    }
    Ok(())
}
