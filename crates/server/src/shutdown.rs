//! SIGTERM and SIGINT: the first asks for a graceful end, the second ends the process at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// 128 + SIGINT, as shells report it.
const INTERRUPTED: i32 = 130;

/// Cancels `stop` at the first signal; exits at the second.
///
/// # Errors
/// When the handlers cannot be installed.
pub(crate) fn on_signal(stop: CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Lives as long as the process: it has to be there for the second signal while everything else ends.
    tokio::spawn(async move {
        let name = tokio::select! { _ = terminate.recv() => "SIGTERM", _ = interrupt.recv() => "SIGINT" };
        tracing::info!(signal.name = name, "stopping: finishing what is open; a second signal stops at once");
        stop.cancel();
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::warn!("second signal: stopping at once; leases of running tasks will end by themselves");
        std::process::exit(INTERRUPTED);
    });
    Ok(())
}
