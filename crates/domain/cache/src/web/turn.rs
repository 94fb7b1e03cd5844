//! [`Turn`]: what is known of one request between the layer and the loader that runs its handler.
//!
//! A loader runs in a task of its own, may run for others as well, and may be left alone; so what it was given and what it
//! found are in a place that both sides see.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use axum_core::{body::Body, response::Response};
use http::Request;

use super::answer::Answer;

/// Where a request is.
pub(super) enum State<S, E> {
    /// Its handler has not been called.
    Waiting(S, Request<Body>),
    /// Its handler is at work, or was given up.
    Taken,
    /// Its handler's answer may be kept.
    Found(Arc<Answer>),
    /// Its handler's answer may not be kept.
    Passing(Response),
    /// Its handler failed.
    Failed(E),
}

/// Both sides hold one.
pub(super) struct Turn<S, E>(Arc<Mutex<State<S, E>>>);

// === impl Turn ===

impl<S, E> Turn<S, E> {
    pub(super) fn new(service: S, request: Request<Body>) -> Self {
        Self(Arc::new(Mutex::new(State::Waiting(service, request))))
    }

    /// What is to be run, once.
    pub(super) fn take_request(&self) -> Option<(S, Request<Body>)> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match mem::replace(&mut *state, State::Taken) {
            State::Waiting(service, request) => Some((service, request)),
            other => {
                *state = other;
                None
            }
        }
    }

    pub(super) fn put(&self, found: State<S, E>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }

    /// Where the request is now.
    pub(super) fn take(&self) -> State<S, E> {
        mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), State::Taken)
    }
}

impl<S, E> Clone for Turn<S, E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
