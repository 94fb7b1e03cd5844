//! The loop that keeps the latched state.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::{
    AgentControl, BrakeScope, BusSignal, Channel, ControlEvent, Error, Message, PauseRequest, Release, manager::is_away,
};

/// Never returns; every await may be dropped.
pub(crate) async fn keep(control: &AgentControl) {
    let config = &control.inner.config;
    let mut feed = control.inner.bus.listen();
    let mut missed_something = true;
    let mut is_away_now = false;
    loop {
        let chores = do_chores(control, missed_something).await;
        if let Err(error) = &chores {
            if !is_away_now {
                tracing::warn!(
                    error = error as &dyn std::error::Error,
                    "the control bus is away: brakes stay as they were, and new ones act in this process only"
                );
            }
        } else if is_away_now {
            tracing::info!("the control bus is back and read again");
        }
        is_away_now = chores.is_err();
        missed_something = missed_something && is_away_now;
        let wait = match chores {
            Ok(next_expiry) => next_expiry.map_or(config.reread, |next| next.min(config.reread)),
            Err(_) => config.retry,
        };
        missed_something |= listen(control, &mut feed, Instant::now() + wait.max(Duration::from_millis(1))).await;
    }
}

/// Handles messages until `until`, or until something else is to be done. True when the state must be read again.
async fn listen(control: &AgentControl, feed: &mut crate::BusFeed, until: Instant) -> bool {
    loop {
        let signal = tokio::select! {
            biased;
            signal = timeout_at(until, feed.next()) => signal,
            () = control.inner.wake.notified() => return false,
        };
        match signal {
            Err(_) => return false,
            Ok(BusSignal::Gap) => return true,
            Ok(BusSignal::Message { channel, scope, message }) => {
                if obey(control, channel, scope, *message).await {
                    return false;
                }
            }
        }
    }
}

/// Takes a message in. True when there is something to do about it.
async fn obey(control: &AgentControl, channel: Channel, scope: BrakeScope, message: Message) -> bool {
    match (channel, message.revision) {
        (Channel::Status, _) => {
            if let BrakeScope::User(user_id) = scope {
                let at = message.at.unwrap_or_else(|| control.latch().now());
                control.tell(ControlEvent::Status { user_id, status: message.status.unwrap_or_default(), at });
            }
            false
        }
        (Channel::Pause, Some(_)) => {
            let state = message.brake(scope);
            control.change(|latch| state.and_then(|state| latch.engage(state)));
            // It may have an expiry to wait for.
            true
        }
        (Channel::Resume, Some(revision)) => {
            control.change(|latch| latch.release(&scope, revision));
            false
        }
        (Channel::Pause, None) => {
            tracing::info!(brake.scope = %scope, "another program has paused");
            let reason = message.reason.unwrap_or_else(|| "paused by another program".to_owned());
            let request = PauseRequest { reason: Some(reason), by: message.by, expires_in: None };
            control.change(|latch| latch.engage_alone(scope, request).1);
            true
        }
        (Channel::Resume, None) => {
            // The others hear of it by the release's own message.
            match control.inner.bus.release(&scope, Release::Foreign).await {
                Ok(released) if released.changed => {
                    tracing::info!(brake.scope = %scope, "another program has resumed");
                    control.change(|latch| latch.release(&scope, released.revision));
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(
                    brake.scope = %scope,
                    error = &error as &dyn std::error::Error,
                    "another program's resume was not carried out"
                ),
            }
            false
        }
    }
}

/// Writes what is pending, reads what may have changed, ends what is over; answers when the next pause ends.
async fn do_chores(control: &AgentControl, missed_something: bool) -> Result<Option<Duration>, Error> {
    write_pending(control).await?;
    let known = if missed_something { None } else { control.latch().revision() };
    let answer = control.inner.bus.brakes(known).await?;
    control.change(|latch| latch.take(answer));
    if missed_something {
        control.tell(ControlEvent::Resync);
    }
    // What the bus has forgotten is pending now.
    write_pending(control).await?;
    let (due, _) = control.latch().expired();
    for scope in due {
        let released = control.inner.bus.release(&scope, Release::Expired).await?;
        if released.changed {
            control.change(|latch| latch.release(&scope, released.revision));
        }
    }
    Ok(control.latch().expired().1)
}

async fn write_pending(control: &AgentControl) -> Result<(), Error> {
    let pending = control.latch().pending();
    for (scope, pending) in pending {
        let engaged = match control.inner.bus.engage(&scope, &pending.request()).await {
            Ok(engaged) => engaged,
            Err(error) if is_away(&error) => return Err(error),
            Err(error) => {
                tracing::error!(brake.scope = %scope, error = &error as &dyn std::error::Error, "a pause cannot be written");
                return Err(error);
            }
        };
        let was_pending = control.latch().written(&scope);
        if was_pending {
            control.change(|latch| latch.engage(engaged.state));
        } else {
            // It was resumed while it was being written.
            control.inner.bus.release(&scope, Release::Ordered).await?;
        }
    }
    Ok(())
}
