//! The laws of [`SessionStore`](crate::SessionStore) as functions, for every implementation of it.
//!
//! Make a [`Bed`] and name it in [`session_store_conformance!`](crate::session_store_conformance), which makes one test of each
//! law. A law that does not hold panics; a store that fails answers its error.

mod bed;
mod contexts;
mod ends;
mod lives;
mod secrets;

pub use bed::Bed;
pub use contexts::no_lost_update;
pub use ends::{everywhere, limit, list, no_resurrection};
pub use lives::{as_it_was, lifetimes};
pub use secrets::{one_chain, privilege_change, repeatable, reuse};

/// One test for each law, against the [`Bed`] that the expression makes; it is awaited. With `in turn` before it, one
/// future that runs all of them.
#[macro_export]
macro_rules! session_store_conformance {
    (in turn $bed:expr) => {
        $crate::session_store_conformance!(@every in_turn $bed)
    };
    (@every $how:ident $bed:expr) => {
        $crate::session_store_conformance! { @$how $bed;
            as_it_was, lifetimes, no_resurrection, no_lost_update, one_chain, reuse, privilege_change, everywhere, limit, list,
            repeatable }
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
        $crate::session_store_conformance!(@every laws $bed);
    };
}
