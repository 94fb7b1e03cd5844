//! The server in a container, where none is installed.
//!
//! It shares the host's network and the server's folder under the same path, so that ports, sockets, certificates and
//! data are where they would be without a container.

use std::{
    path::Path,
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use nix::unistd::{getegid, geteuid};
use testcontainers::{
    ContainerAsync, GenericImage, ImageExt,
    core::{Mount, WaitFor},
    runners::AsyncRunner,
};
use tokio::runtime;

use crate::keeper::Keeper;

/// Names the image, as `name:tag`, with `redis-server` on its path.
const OVERRIDE: &str = "TRACKSIDE_TEST_REDIS_IMAGE";
const IMAGE: &str = "redis:7.2-alpine";

/// Runs the server until its folder is gone, which is how the end of a killed test process shows in a container.
const SCRIPT: &str =
    r#"redis-server "$@" & while kill -0 $! && [ -e "$FOLDER/server.conf" ]; do sleep 0.2; done; kill -9 $!"#;

/// A container that is removed when dropped, or when the test process ends.
#[derive(Debug)]
pub(super) struct KeptContainer {
    /// `None` while it is being dropped.
    requests: Option<mpsc::Sender<(Request, mpsc::Sender<Result<()>>)>>,
    owner: Option<JoinHandle<()>>,
    _keeper: Keeper,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Request {
    Pause,
    Resume,
}

// === impl KeptContainer ===

impl KeptContainer {
    /// Starts the server and waits for `sentence` in its log.
    pub(super) fn start(args: &[String], folder: &Path, sentence: &str, within: Duration) -> Result<Self> {
        let image = std::env::var(OVERRIDE).unwrap_or_else(|_| IMAGE.to_owned());
        let (name, tag) = image.rsplit_once(':').unwrap_or((&image, "latest"));
        let keeper = Keeper::watch(folder, None)?;
        let folder = folder.display().to_string();
        let script = ["sh", "-c", SCRIPT, "redis-server"].map(str::to_owned);
        let request = GenericImage::new(name, tag)
            .with_wait_for(WaitFor::message_on_stdout(sentence))
            .with_env_var("FOLDER", folder.as_str())
            .with_cmd(script.into_iter().chain(args.iter().cloned()))
            .with_network("host")
            .with_host_config_modifier(|host| host.auto_remove = Some(true))
            .with_mount(Mount::bind_mount(folder.as_str(), folder.as_str()))
            // Who may write into the folder.
            .with_user(format!("{}:{}", geteuid(), getegid()))
            .with_startup_timeout(within);
        let (requests, inbound) = mpsc::channel();
        let (started, outcome) = mpsc::channel::<Result<()>>();
        // The client of the engine belongs to one runtime; the tests' runtimes come and go.
        let owner = thread::spawn(move || {
            let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(started.send(Err(error.into()))),
            };
            runtime.block_on(async {
                match request.start().await {
                    Ok(container) => {
                        drop(started.send(Ok(())));
                        own(container, &inbound).await;
                    }
                    Err(error) => drop(started.send(Err(error.into()))),
                }
            });
        });
        outcome.recv().context("the container's thread ended")?.with_context(|| format!("no container of {image}"))?;
        Ok(Self { requests: Some(requests), owner: Some(owner), _keeper: keeper })
    }

    pub(super) fn ask(&self, request: Request) -> Result<()> {
        let (answer, outcome) = mpsc::channel();
        let requests = self.requests.as_ref().context("the container is being removed")?;
        requests.send((request, answer)).map_err(|_| anyhow!("the container's thread ended"))?;
        outcome.recv().context("the container's thread ended")?
    }
}

impl Drop for KeptContainer {
    fn drop(&mut self) {
        // Ends the thread's loop, which kills and removes the container.
        drop(self.requests.take());
        if let Some(owner) = self.owner.take() {
            // A panic in it was printed there.
            let _ = owner.join();
        }
    }
}

/// Does what is asked until nobody can ask any more, then ends the server as a power cut would.
#[expect(clippy::print_stderr, reason = "nobody is left to take an error, and a container that stays must be seen")]
async fn own(container: ContainerAsync<GenericImage>, inbound: &mpsc::Receiver<(Request, mpsc::Sender<Result<()>>)>) {
    while let Ok((request, answer)) = inbound.recv() {
        let outcome = match request {
            Request::Pause => container.pause().await,
            Request::Resume => container.unpause().await,
        };
        // Whoever asked is waiting for it.
        drop(answer.send(outcome.map_err(Into::into)));
    }
    // A frozen container cannot be ended by every engine; going on fails when it is not frozen, which is as well.
    let _ = container.unpause().await;
    if let Err(error) = container.stop_with_timeout(Some(0)).await {
        eprintln!("the container did not end: {error}");
    }
    // It removes itself as it ends, so this finds nothing to remove.
    let _ = container.rm().await;
}
