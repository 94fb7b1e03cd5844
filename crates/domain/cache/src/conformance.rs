//! The laws of [`CacheStore`](crate::CacheStore) as functions, for every implementation of it.
//!
//! Make a [`Bed`] and name it in [`cache_store_conformance!`](crate::cache_store_conformance), which makes one test of each
//! law. A law that does not hold panics; a store that fails answers its error.

mod bed;
mod entries;
mod leases;
mod signals;

pub use bed::Bed;
pub use entries::{as_it_was, conditions, expiry, repeatable, versions};
pub use leases::{fenced_fill, judged, one_lease, renewed, throttle};
pub use signals::{bounded, echo, tags, told};

/// One test for each law, against the [`Bed`] that the expression makes; it is awaited. With `in turn` before it, one
/// future that runs all of them.
#[macro_export]
macro_rules! cache_store_conformance {
    (in turn $bed:expr) => {
        $crate::cache_store_conformance!(@every in_turn $bed)
    };
    (@every $how:ident $bed:expr) => {
        $crate::cache_store_conformance! { @$how $bed;
            as_it_was, versions, conditions, expiry, one_lease, fenced_fill, repeatable, throttle, told, tags, bounded, echo,
            judged, renewed }
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
        $crate::cache_store_conformance!(@every laws $bed);
    };
}
