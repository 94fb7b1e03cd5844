//! The command line.

use std::process::Output;

use tokio::process::Command;

use crate::service::{Home, Service, trackside};

async fn run(command: &mut Command) -> anyhow::Result<(Output, String, String)> {
    let output = command.output().await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    Ok((output, out, err))
}

#[tokio::test]
async fn config_init_writes_what_config_show_reads() -> anyhow::Result<()> {
    let home = Home::new()?;
    let (output, _, _) = run(trackside().current_dir(home.path()).args(["config", "init"])).await?;
    assert!(output.status.success());
    let (output, _, err) = run(trackside().current_dir(home.path()).args(["config", "init"])).await?;
    assert!(!output.status.success() && err.contains("--force"), "an existing file is kept: {err}");
    let (output, out, _) = run(trackside().current_dir(home.path()).args(["config", "show"])).await?;
    assert!(output.status.success());
    assert!(
        out.lines().any(|line| line.contains("worker.concurrency = 4") && line.contains("trackside.toml")),
        "{out}"
    );
    Ok(())
}

#[tokio::test]
async fn config_check_names_what_is_wrong() -> anyhow::Result<()> {
    let home = Home::new()?;
    let (output, out, _) = run(trackside().current_dir(home.path()).args(["config", "check"])).await?;
    assert!(output.status.success() && out.contains("1 tools"), "{out}");
    std::fs::write(home.path().join("tools/broken.toml"), "name = \"broken\"\ncomand = []\n")?;
    let (output, out, _) = run(trackside().current_dir(home.path()).args(["config", "check"])).await?;
    assert_eq!(output.status.code(), Some(1));
    assert!(out.contains("broken.toml") && out.contains("command"), "{out}");
    let (output, _, err) =
        run(trackside().current_dir(home.path()).env("TRACKSIDE_LISTEN", "0.0.0.0:0").args(["config", "check"]))
            .await?;
    assert_eq!(output.status.code(), Some(78), "{err}");
    assert!(err.contains("loopback only"), "{err}");
    let arguments = ["config", "check", "--redis-url", "http://:hunter2@127.0.0.1"];
    let (output, _, err) = run(trackside().current_dir(home.path()).args(arguments)).await?;
    assert_eq!(output.status.code(), Some(78), "{err}");
    assert!(err.contains("redis.url") && !err.contains("hunter2"), "{err}");
    Ok(())
}

#[tokio::test]
async fn a_worker_without_redis_says_what_it_needs() -> anyhow::Result<()> {
    let home = Home::new()?;
    let (output, _, err) = run(trackside().current_dir(home.path()).arg("worker")).await?;
    assert_eq!(output.status.code(), Some(78));
    assert!(err.contains("--redis-url"), "{err}");
    assert!(!home.path().join("trackside-data").exists(), "nothing is made before the settings are known to work");
    Ok(())
}

#[tokio::test]
async fn healthcheck_follows_the_service() -> anyhow::Result<()> {
    let home = Home::new()?;
    let service = Service::start(&home, None).await?;
    let url = service.url.clone();
    let (output, _, err) = run(trackside().args(["healthcheck", "--url", &url])).await?;
    assert!(output.status.success(), "{err}");
    service.terminate().await?;
    let (output, _, err) = run(trackside().args(["healthcheck", "--url", &url])).await?;
    assert_eq!(output.status.code(), Some(1));
    assert!(err.contains("cannot connect"), "{err}");
    Ok(())
}

#[tokio::test]
async fn completions_are_printed_for_a_shell() -> anyhow::Result<()> {
    let (output, out, _) = run(trackside().args(["completions", "bash"])).await?;
    assert!(output.status.success() && out.contains("healthcheck"));
    Ok(())
}

#[tokio::test]
async fn the_demo_shows_progress_outputs_and_the_brake() -> anyhow::Result<()> {
    let home = Home::new()?;
    let (output, out, err) = run(trackside().current_dir(home.path()).arg("demo")).await?;
    assert!(output.status.success(), "{out}\n{err}");
    for word in ["100 %", "outputs", "brake", "http://127.0.0.1:"] {
        assert!(out.contains(word), "{word}:\n{out}\n{err}");
    }
    Ok(())
}
