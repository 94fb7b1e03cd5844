//! What a store is told of the brake (Q-L11).

use trackside_core::UserId;

/// Whom a brake holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BrakeScope {
    /// One user's tasks.
    User(UserId),
    /// Every task.
    Everyone,
}

/// A change of the brake, as the control part made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrakeChange {
    /// Whom it holds.
    pub scope: BrakeScope,
    /// On or off.
    pub engaged: bool,
    /// Grows with every change; a store ignores one that is older than what it has for the scope.
    pub revision: u64,
}

/// Brakes that are on in a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrakePage {
    /// The last change of each; all of them are engaged.
    pub brakes: Vec<BrakeChange>,
    /// Where the next page begins; 0 after the last one.
    pub next: u64,
}
