//! What a load costs a Redis server, by its own count: `cargo run -p trackside-session --example loads -- redis://localhost`.
//!
//! It makes a thousand sessions of users `example-…`, ends them, and resets the server's statistics.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use futures::future::try_join_all;
use serde_json::json;
use trackside_redis::{Command, RedisService};
use trackside_session::{Config, NewSession, RedisSessionStore, SessionManager};

const SESSIONS: usize = 1_000;
const ROUNDS: usize = 10;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).context("say the URL of a Redis server")?;
    let redis = RedisService::start(trackside_redis::Config::new(url.parse()?))?;
    redis.wait_until_connected(Duration::from_secs(5)).await?;
    for (what, touch_every) in [("a load", Duration::from_secs(60)), ("a load that is noted", Duration::ZERO)] {
        let config = Config { touch_every, ..Config::default() };
        let sessions = SessionManager::new(Arc::new(RedisSessionStore::new(redis.clone())), config)?;
        let mut tokens = Vec::new();
        for number in 0..SESSIONS {
            let mut new = NewSession::of(format!("example-{number}").parse()?);
            new.context.insert("note".to_owned(), json!("x".repeat(250)));
            tokens.push(sessions.create(new).await?.0);
        }
        redis.execute("example.reset", Command::new("CONFIG").arg("RESETSTAT")).await?;
        for _ in 0..ROUNDS {
            for some in tokens.chunks(50) {
                try_join_all(some.iter().map(|token| sessions.load(token))).await?;
            }
        }
        println!("{what}: {}", cost(&redis).await?);
        for token in tokens {
            sessions.destroy(&token).await?;
        }
    }
    Ok(())
}

/// The server's microseconds for each script, and for each command that reads the record in it.
async fn cost(redis: &RedisService) -> anyhow::Result<String> {
    let stats = redis.execute("example.stats", Command::new("INFO").arg("commandstats")).await?.into_string()?;
    let of = |name: &str| {
        let line = stats.lines().find(|line| line.starts_with(&format!("cmdstat_{name}:")))?;
        line.split(',').find_map(|part| part.strip_prefix("usec_per_call=")).map(str::to_owned)
    };
    let (script, read) = (of("evalsha").context("no script was run")?, of("hmget").context("nothing was read")?);
    Ok(format!("{script} µs, of which reading the record alone {read} µs"))
}
