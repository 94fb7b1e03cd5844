//! The laws of [`RateLimitStore`](crate::RateLimitStore) as functions, for every implementation of it.
//!
//! Make a [`Bed`] and name it in [`rate_limit_store_conformance!`](crate::rate_limit_store_conformance), which makes one test of each
//! law. A law that does not hold panics; a store that fails answers its error.

mod bed;
mod counters;
mod reservations;
mod shared;

pub use bed::Bed;
pub use counters::{all_or_nothing, alone, limit, peek, retry, shadow};
pub use reservations::{one_settlement, places, repeatable};
pub use shared::{leases, overrides};

/// One test for each law, against the [`Bed`] that the expression makes; it is awaited. With `in turn` before it, one
/// future that runs all of them.
#[macro_export]
macro_rules! rate_limit_store_conformance {
    (in turn $bed:expr) => {
        $crate::rate_limit_store_conformance!(@every in_turn $bed)
    };
    (@every $how:ident $bed:expr) => {
        $crate::rate_limit_store_conformance! { @$how $bed;
            all_or_nothing, limit, peek, retry, alone, one_settlement, places, leases, shadow, overrides, repeatable }
    };
    (@in_turn $bed:expr; $($law:ident),*) => {
        async {
            $($crate::conformance::$law(&$bed.await).await?;)*
            Ok::<(), $crate::Error>(())
        }
    };
    (@laws $bed:expr; $($law:ident),*) => {
        $(
            #[tokio::test]
            async fn $law() {
                let bed = $bed.await;
                $crate::conformance::$law(&bed).await.unwrap();
            }
        )*
    };
    ($bed:expr) => {
        $crate::rate_limit_store_conformance!(@every laws $bed);
    };
}
