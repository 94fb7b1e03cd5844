//! What happens to every request, in order.
//!
//! ```text
//! correlation   gives the request its id and its span; names the id on the answer
//!  └ access     one log line and one measurement per request
//!     └ security   headers that tell browsers to be careful
//!        └ cors       lets pages of listed origins read answers, refusals too
//!           └ problems   writes every failure as a problem document, and logs its cause
//!              └ panics     a panicking handler becomes a failure
//!                 └ shed       refuses requests beyond a number at once
//!                    └ browser    refuses requests that another web site makes through a browser
//!                       └ identify   finds out whose key is shown, and refuses nobody yet
//!                          └ limits     holds requests against a policy, where the settings name one: also those without a good key
//!                             └ keys       refuses callers without the key that the route asks for
//!                                └ slow body  gives up bodies that do not arrive
//!                                   └ body limit, routes; `timeout` around those that answer at once (router.rs)
//! ```

pub(crate) mod access;
pub(crate) mod browser;
pub(crate) mod correlation;
pub(crate) mod cors;
pub(crate) mod keys;
pub(crate) mod limits;
pub(crate) mod panics;
pub(crate) mod problems;
pub(crate) mod security;
pub(crate) mod shed;
pub(crate) mod slow_body;
pub(crate) mod timeout;

use std::sync::Arc;

use axum::{Router, extract::DefaultBodyLimit, middleware};
use tokio::sync::Semaphore;
use tower::util::option_layer;
use tower_http::catch_panic::CatchPanicLayer;

use crate::ApiState;

/// Puts the layers around the routes.
pub(crate) fn around(routes: Router<ApiState>, state: &ApiState) -> Router<ApiState> {
    let places = Arc::new(Semaphore::new(state.config.max_in_flight.clamp(1, Semaphore::MAX_PERMITS)));
    // The layer added last is the first to see a request: read this upwards.
    routes
        .layer(DefaultBodyLimit::max(state.config.max_body_bytes))
        .layer(middleware::from_fn_with_state(state.clone(), slow_body::bound))
        .layer(middleware::from_fn_with_state(state.clone(), keys::check))
        .layer(middleware::from_fn_with_state(state.clone(), limits::hold))
        .layer(middleware::from_fn_with_state(state.clone(), keys::identify))
        .layer(middleware::from_fn_with_state(state.clone(), browser::refuse_other_sites))
        .layer(middleware::from_fn_with_state(places, shed::beyond))
        .layer(CatchPanicLayer::custom(panics::to_problem))
        .layer(middleware::from_fn(problems::write))
        .layer(option_layer(cors::layer(&state.config.allowed_origins)))
        .layer(middleware::from_fn_with_state(state.clone(), security::harden))
        .layer(middleware::from_fn(access::record))
        .layer(middleware::from_fn(correlation::attach))
}
