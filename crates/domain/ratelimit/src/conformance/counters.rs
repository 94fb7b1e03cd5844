//! R-L1 to R-L5 and R-L9: what is admitted and what is denied.

use std::{slice, time::Duration};

use tokio::{task::JoinSet, time::sleep};

use super::bed::{Bed, HOUR, RATES, SETTLED, counter, of, verdict};
use crate::{Algorithm, Ask, Counter, Error, Group, Verdict};

/// R-L1.
pub async fn all_or_nothing(bed: &Bed) -> Result<(), Error> {
    for algorithm in RATES {
        let [user, project, ip] = [
            counter("user", "alice", algorithm, 2, HOUR)?,
            counter("project", "tower", algorithm, 5, HOUR)?,
            counter("ip", "192.0.2.1", algorithm, 9, HOUR)?,
        ];
        let all = [user.clone(), project.clone(), ip.clone()];
        for left in [[1, 4, 8], [0, 3, 7]] {
            let answer = bed.take(&all).await?;
            let remaining: Vec<u64> = answer.counters.iter().map(|state| state.remaining).collect();
            assert!(answer.allowed && remaining == left, "{algorithm:?}: {answer:?}");
        }
        for _ in 0..3 {
            let answer = bed.take(&all).await?;
            let verdicts: Vec<bool> = answer.counters.iter().map(|state| state.verdict == Verdict::Room).collect();
            assert!(!answer.allowed && verdicts == [false, true, true], "{algorithm:?}: {answer:?}");
        }
        assert_eq!(bed.remaining(&project).await?, 3, "{algorithm:?}: a denied call has taken");
        assert_eq!(bed.remaining(&ip).await?, 7, "{algorithm:?}: a denied call has taken");
    }
    for algorithm in RATES {
        all_or_nothing_at_once(bed, algorithm).await?;
    }
    // Of different kinds too, whichever has no room.
    let mixed: Vec<Counter> = SETTLED
        .into_iter()
        .zip([3, 1, 2])
        .map(|(algorithm, limit)| counter(algorithm.as_str(), "mixed", algorithm, limit, HOUR))
        .collect::<Result<_, _>>()?;
    assert!(bed.take(&mixed).await?.allowed);
    assert!(!bed.take(&mixed).await?.allowed);
    assert_eq!([bed.remaining(&mixed[0]).await?, bed.remaining(&mixed[2]).await?], [2, 1]);
    Ok(())
}

/// Of many who ask at the same time for one of their own, and with it for one or two that all share.
async fn all_or_nothing_at_once(bed: &Bed, algorithm: Algorithm) -> Result<(), Error> {
    const CALLERS: u64 = 60;
    let tower = counter("project", "crowd", algorithm, 50, HOUR)?;
    let city = counter("tenant", "crowd", algorithm, 70, HOUR)?;
    let callers: Vec<Vec<Counter>> = (0..CALLERS)
        .map(|caller| {
            let own = counter("user", &format!("crowd-{caller}"), algorithm, 5, HOUR)?;
            let shared = [of(&tower, 1 + caller % 3), of(&city, 2)];
            Ok([own].into_iter().chain(shared.into_iter().take(1 + usize::from(caller % 2 == 0))).collect())
        })
        .collect::<Result<_, Error>>()?;
    let mut calls = JoinSet::new();
    for (caller, counters) in callers.iter().enumerate() {
        let (store, ask) = (bed.store.clone(), bed.ask(counters.clone()));
        calls.spawn(async move { (caller, store.take(&ask).await) });
    }
    let (mut of_tower, mut of_city, mut admitted) = (0, 0, 0);
    for (caller, answer) in calls.join_all().await {
        let (counters, answer) = (&callers[caller], answer?);
        let units = if answer.allowed { 1 } else { 0 };
        admitted += units;
        of_tower += units * counters[1].units;
        of_city += units * counters.get(2).map_or(0, |city| city.units);
        assert_eq!(answer.counters.len(), counters.len(), "{algorithm:?}: {answer:?}");
        assert_eq!(bed.remaining(&counters[0]).await?, 5 - units, "{algorithm:?}: {answer:?}");
    }
    let remaining = [bed.remaining(&tower).await?, bed.remaining(&city).await?];
    assert_eq!(remaining, [50 - of_tower, 70 - of_city], "{algorithm:?}: {admitted} were admitted");
    assert!((1..CALLERS).contains(&admitted), "{algorithm:?} admitted {admitted}");
    Ok(())
}

/// R-L2.
pub async fn limit(bed: &Bed) -> Result<(), Error> {
    const LIMIT: u64 = 20;
    for algorithm in RATES {
        let one = counter("user", "many-at-once", algorithm, LIMIT, HOUR)?;
        let mut calls = JoinSet::new();
        for _ in 0..100 {
            let (store, ask) = (bed.store.clone(), bed.ask(vec![one.clone()]));
            calls.spawn(async move { store.take(&ask).await });
        }
        let mut admitted = 0;
        for answer in calls.join_all().await {
            admitted += u64::from(answer?.allowed);
        }
        // What `fast` counts before it denies may keep others out for a moment.
        let least = if algorithm == Algorithm::Fast { 1 } else { LIMIT };
        assert!((least..=LIMIT).contains(&admitted), "{algorithm:?} admitted {admitted} of {LIMIT}");

        let heavy = counter("user", "heavy", algorithm, LIMIT, HOUR)?;
        assert!(bed.take(&[of(&heavy, 15)]).await?.allowed);
        assert!(!bed.take(&[of(&heavy, 6)]).await?.allowed, "{algorithm:?}");
        assert!(bed.take(&[of(&heavy, 5)]).await?.allowed, "{algorithm:?}");
        let none = counter("user", "none", algorithm, 0, HOUR)?;
        assert_eq!(verdict(&bed.take(slice::from_ref(&none)).await?), Some(Verdict::Never), "{algorithm:?}");
    }
    Ok(())
}

/// R-L3.
pub async fn peek(bed: &Bed) -> Result<(), Error> {
    for algorithm in RATES {
        let one = counter("user", "seen", algorithm, 2, HOUR)?;
        for remaining in [2, 2, 2] {
            let answer = bed.peek(slice::from_ref(&one)).await?;
            assert!(answer.allowed && answer.counters[0].remaining == remaining, "{algorithm:?}: {answer:?}");
        }
        assert!(!bed.peek(&[of(&one, 3)]).await?.allowed, "{algorithm:?}");
        assert!(bed.take(&[of(&one, 2)]).await?.allowed);
        let (seen, told) = (bed.peek(slice::from_ref(&one)).await?, bed.take(slice::from_ref(&one)).await?);
        assert!(!seen.allowed && !told.allowed, "{algorithm:?}");
        assert!(matches!(verdict(&seen), Some(Verdict::After(_))), "{algorithm:?}: {seen:?}");
        assert_eq!(seen.counters[0].remaining, 0);
    }
    Ok(())
}

/// R-L4.
pub async fn retry(bed: &Bed) -> Result<(), Error> {
    let window = Duration::from_millis(400);
    for algorithm in RATES {
        let one = counter("user", "patient", algorithm, 4, window)?;
        let impossible = of(&one, 5);
        assert_eq!(verdict(&bed.take(&[impossible]).await?), Some(Verdict::Never), "{algorithm:?}");
        // Until it is full: a slow machine may see a window pass in between.
        let wait = loop {
            let answer = bed.take(&[of(&one, 2)]).await?;
            match verdict(&answer) {
                Some(Verdict::After(wait)) => break wait,
                _ => assert!(answer.allowed, "{algorithm:?}: {answer:?}"),
            }
        };
        assert!(wait > Duration::ZERO && wait <= 2 * window, "{algorithm:?}: {wait:?}");
        sleep(wait + Duration::from_millis(2)).await;
        assert!(bed.take(&[of(&one, 2)]).await?.allowed, "{algorithm:?}: denied after {wait:?}");
    }
    Ok(())
}

/// R-L5.
pub async fn alone(bed: &Bed) -> Result<(), Error> {
    for algorithm in RATES {
        let full = counter("user", "alice", algorithm, 1, HOUR)?;
        let alone = bed.ask(vec![full.clone()]);
        assert!(bed.store.take(&alone).await?.allowed);
        assert!(!bed.store.take(&alone).await?.allowed);
        let others = [
            bed.ask(vec![counter("user", "bob", algorithm, 1, HOUR)?]),
            bed.ask(vec![counter("project", "alice", algorithm, 1, HOUR)?]),
            bed.ask(vec![counter("user", "alice", algorithm, 1, HOUR / 2)?]),
            Ask { group: Group { policy: bed.other.clone(), within: None }, ..alone.clone() },
            Ask { group: Group { policy: bed.policy.clone(), within: Some("acme".to_owned()) }, ..alone.clone() },
        ];
        for other in others {
            assert!(bed.store.take(&other).await?.allowed, "{algorithm:?}: {other:?}");
        }
        assert!(!bed.store.take(&alone).await?.allowed, "{algorithm:?}");
    }
    Ok(())
}

/// R-L9.
pub async fn shadow(bed: &Bed) -> Result<(), Error> {
    for algorithm in RATES {
        let hidden = Counter { is_shadow: true, ..counter("user", "hidden", algorithm, 2, HOUR)? };
        let real = counter("project", "real", algorithm, 4, HOUR)?;
        let both = [hidden.clone(), real.clone()];
        for round in 0..4 {
            let answer = bed.take(&both).await?;
            assert!(answer.allowed, "{algorithm:?}: {answer:?}");
            assert_eq!(answer.counters[0].verdict == Verdict::Room, round < 2, "{algorithm:?}: {answer:?}");
        }
        assert!(!bed.take(&both).await?.allowed, "{algorithm:?}: the real one has no room");
        assert_eq!([bed.remaining(&hidden).await?, bed.remaining(&real).await?], [0, 0], "{algorithm:?}");
    }
    Ok(())
}
