//! R-L6, R-L7 and R-L11: reservations, and the places they hold.

use std::{slice, time::Duration};

use super::bed::{Bed, HOUR, SETTLED, counter, of, soon, verdict};
use crate::{Algorithm, Counter, Error, ReservationId, Settlement, Unit, Verdict};

/// R-L6.
pub async fn one_settlement(bed: &Bed) -> Result<(), Error> {
    for algorithm in SETTLED {
        let tokens = counter("tokens", "alice", algorithm, 1_000, HOUR)?;
        let requests = Counter { unit: Unit::Request, ..counter("requests", "alice", algorithm, 10, HOUR)? };
        let both = [of(&tokens, 400), requests.clone()];
        let left = async || Ok::<_, Error>((bed.remaining(&tokens).await?, bed.remaining(&requests).await?));

        // Less was used than was reserved; the call itself counts.
        let id = ReservationId::generate();
        assert!(bed.reserve(&both, id).await?.allowed);
        assert_eq!(left().await?, (600, 9), "{algorithm:?}");
        assert!(bed.settle(&both, id, Settlement::Used(150)).await?);
        assert_eq!(left().await?, (850, 9), "{algorithm:?}");
        assert!(!bed.settle(&both, id, Settlement::Used(0)).await?, "settled twice");
        assert!(!bed.settle(&both, id, Settlement::Refund).await?, "settled twice");
        assert_eq!(left().await?, (850, 9), "{algorithm:?}");

        // Nothing happened.
        let id = ReservationId::generate();
        assert!(bed.reserve(&both, id).await?.allowed);
        assert!(bed.settle(&both, id, Settlement::Refund).await?);
        assert_eq!(left().await?, (850, 9), "{algorithm:?}");

        // More was used, and more than was left.
        let id = ReservationId::generate();
        assert!(bed.reserve(&both, id).await?.allowed);
        assert!(bed.settle(&both, id, Settlement::Used(2_000)).await?);
        assert_eq!(left().await?, (0, 8), "{algorithm:?}");
        assert!(matches!(verdict(&bed.take(&[of(&tokens, 1)]).await?), Some(Verdict::After(_))), "{algorithm:?}");

        // Whoever changes a token settles nothing with it.
        let bob = [of(&counter("tokens", "bob", algorithm, 1_000, HOUR)?, 400)];
        let eve = counter("tokens", "eve", algorithm, 1_000, HOUR)?;
        assert!(bed.take(&[of(&eve, 500)]).await?.allowed);
        let id = ReservationId::generate();
        assert!(bed.reserve(&bob, id).await?.allowed);
        assert!(!bed.settle(slice::from_ref(&eve), id, Settlement::Refund).await?);
        assert!(!bed.settle(&bob, ReservationId::generate(), Settlement::Refund).await?);
        assert_eq!([bed.remaining(&eve).await?, bed.remaining(&bob[0]).await?], [500, 600], "{algorithm:?}");
        assert!(bed.settle(&bob, id, Settlement::Used(0)).await?);
        assert_eq!(bed.remaining(&bob[0]).await?, 1_000, "{algorithm:?}");
    }
    Ok(())
}

/// R-L7.
pub async fn places(bed: &Bed) -> Result<(), Error> {
    let place = counter("running", "alice", Algorithm::Concurrent, 2, HOUR)?;
    let one = slice::from_ref(&place);
    let [first, second, third] = [(); 3].map(|()| ReservationId::generate());
    assert!(bed.reserve(one, first).await?.allowed);
    assert!(bed.reserve(one, second).await?.allowed);
    let full = bed.reserve(one, third).await?;
    assert!(!full.allowed && full.counters[0].remaining == 0, "{full:?}");
    assert!(bed.renew(one, first).await?);
    assert!(!bed.renew(one, third).await?, "renewed what it never had");
    assert!(bed.settle(one, first, Settlement::Used(1)).await?);
    assert!(!bed.renew(one, first).await?, "renewed what it gave up");
    assert!(bed.reserve(one, third).await?.allowed);

    // With a budget: one that has no room takes no place either.
    let budget = of(&counter("tokens", "alice", Algorithm::Window, 10, HOUR)?, 6);
    let free = counter("running", "bob", Algorithm::Concurrent, 2, HOUR)?;
    let both = [budget, free.clone()];
    assert!(bed.reserve(&both, ReservationId::generate()).await?.allowed);
    assert!(!bed.reserve(&both, ReservationId::generate()).await?.allowed);
    assert_eq!(bed.remaining(&free).await?, 1);

    // A holder that crashed.
    let short = counter("running", "crashed", Algorithm::Concurrent, 1, Duration::from_millis(300))?;
    let one = slice::from_ref(&short);
    let crashed = ReservationId::generate();
    assert!(bed.reserve(one, crashed).await?.allowed);
    soon("a crashed holder's place", async || Ok(bed.reserve(one, ReservationId::generate()).await?.allowed)).await?;
    assert!(!bed.renew(one, crashed).await?, "renewed what it has lost");
    Ok(())
}

/// R-L11.
pub async fn repeatable(bed: &Bed) -> Result<(), Error> {
    for algorithm in SETTLED {
        let counters = [
            of(&counter("tokens", "again", algorithm, 100, HOUR)?, 60),
            counter("running", algorithm.as_str(), Algorithm::Concurrent, 1, HOUR)?,
        ];
        let id = ReservationId::generate();
        for _ in 0..3 {
            assert!(bed.reserve(&counters, id).await?.allowed, "{algorithm:?}");
            assert_eq!(bed.remaining(&counters[0]).await?, 40, "{algorithm:?}");
        }
        assert!(bed.settle(&counters, id, Settlement::Refund).await?);
        assert_eq!(bed.remaining(&counters[0]).await?, 100, "{algorithm:?}");
        assert_eq!(bed.remaining(&counters[1]).await?, 1, "{algorithm:?}");
    }
    Ok(())
}
