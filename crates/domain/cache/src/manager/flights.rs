//! One load per key in this process: whoever comes while it is under way waits for its outcome.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::Cached;
use crate::{Error, NamespaceName};

/// What everybody who waited gets.
pub(crate) type Outcome = Result<Cached, Error>;

/// The loads of a namespace that are under way.
#[derive(Debug, Default)]
pub(crate) struct Flights(Mutex<HashMap<Arc<str>, watch::Receiver<Option<Outcome>>>>);

/// Who asked for a load.
#[derive(Debug)]
pub(crate) enum Seat {
    /// The first: has to load, and to tell the others.
    Pilot(watch::Sender<Option<Outcome>>, Passenger),
    /// Any later one.
    Passenger(Passenger),
}

/// Waits for an outcome.
#[derive(Debug)]
pub(crate) struct Passenger(watch::Receiver<Option<Outcome>>);

/// Ends a flight when it is dropped, whatever happened on it.
#[derive(Debug)]
pub(crate) struct Landing<'f> {
    flights: &'f Flights,
    key: Arc<str>,
    outcome: watch::Sender<Option<Outcome>>,
}

// === impl Flights ===

impl Flights {
    pub(crate) fn board(&self, key: &Arc<str>) -> Seat {
        let mut flights = self.lock();
        if let Some(flight) = flights.get(key) {
            return Seat::Passenger(Passenger(flight.clone()));
        }
        let (sender, receiver) = watch::channel(None);
        flights.insert(Arc::clone(key), receiver.clone());
        Seat::Pilot(sender, Passenger(receiver))
    }

    /// Whether a load of this key is.
    pub(crate) fn is_under_way(&self, key: &str) -> bool {
        self.lock().contains_key(key)
    }

    /// Makes sure that the flight ends.
    pub(crate) fn landing(&self, key: &Arc<str>, outcome: watch::Sender<Option<Outcome>>) -> Landing<'_> {
        Landing { flights: self, key: Arc::clone(key), outcome }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, watch::Receiver<Option<Outcome>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Passenger ===

impl Passenger {
    /// The outcome; `None` when the flight ended without one. Cancel-safe.
    pub(crate) async fn outcome(&mut self) -> Option<Outcome> {
        self.0.wait_for(Option::is_some).await.ok()?.clone()
    }

    pub(crate) fn namespace_lost(namespace: &NamespaceName) -> Error {
        let source: Arc<dyn std::error::Error + Send + Sync> = Arc::from(Box::from("the load was given up"));
        Error::Loader { namespace: namespace.clone(), source }
    }
}

// === impl Landing ===

impl Landing<'_> {
    /// Tells the outcome.
    pub(crate) fn tell(self, outcome: Outcome) {
        self.outcome.send_replace(Some(outcome));
    }
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.key);
    }
}
