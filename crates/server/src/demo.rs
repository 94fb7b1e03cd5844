//! `trackside demo`: the main job on the embedded default, in one process, from start to end.

mod screen;
mod show;

use std::{path::PathBuf, sync::Arc};

use anyhow::Context;
use tokio_util::sync::CancellationToken;
use trackside_api::Access;

use crate::{
    cli::DemoArgs,
    config::{self, Config, Overrides},
    failure::Failure,
    program::Program,
    serve::{self, Door},
    shutdown, telemetry, wiring,
};

/// Runs the show. Settings of the environment are left out on purpose: the demo is the same everywhere.
pub(crate) async fn run(args: &DemoArgs) -> Result<(), Failure> {
    let folder = tempfile::Builder::new().prefix("trackside-demo-").tempdir().context("a folder for the demo")?;
    let config = settings(args, folder.path().to_path_buf())?;
    let telemetry = telemetry::init(&config)?;
    let parts = wiring::assemble(&config).await?;
    let listener = serve::listen(config.server.listen).await?;
    let address = listener.local_addr().context("the address that is listened on")?;
    let stop = CancellationToken::new();
    shutdown::on_signal(stop.clone())?;
    let program = Program::start(&config, parts, &stop)?;
    let metrics = Arc::new(telemetry::Metrics(telemetry.metrics()));
    let served = async {
        let served =
            serve::http(&config, program.parts(), Access::Anyone, metrics, Door { listener, tls: None }, &stop).await;
        stop.cancel();
        served
    };
    let shown = async {
        let url = format!("http://{address}");
        let shown = tokio::select! {
            shown = show::run(program.parts(), &url, args.keep) => shown,
            () = stop.cancelled() => Err(anyhow::anyhow!("stopped before the end of the demo")),
        };
        if args.keep && shown.is_ok() {
            stop.cancelled().await;
        }
        stop.cancel();
        shown
    };
    let (served, shown) = tokio::join!(served, shown);
    program.end().await;
    telemetry::end(telemetry).await;
    shown?;
    served?;
    Ok(())
}

/// The defaults, in a folder of the demo's own, with the built-in tools and a quiet log.
fn settings(args: &DemoArgs, folder: PathBuf) -> anyhow::Result<Config> {
    let path = |name: &str| folder.join(name).display().to_string();
    let values = vec![
        ("data_dir", path("data")),
        ("tools_dir", path("no-tools-here")),
        ("server.listen", args.listen.to_string()),
        ("server.drain_ms", "500".to_owned()),
        ("log.filter", "error".to_owned()),
    ];
    // A file named by nobody would be read from the current folder; the demo has its own, which is empty.
    let file = folder.join("demo.toml");
    std::fs::write(&file, "").context("a folder for the demo")?;
    Ok(config::load(&Overrides { config: Some(file), values }, &std::collections::BTreeMap::new())?.config)
}
