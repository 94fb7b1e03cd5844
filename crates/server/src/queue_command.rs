//! `trackside queue …`: what operators and scripts do with queues, through a running service or straight on Redis.

mod dead;
mod push;
mod repair;
mod service;
mod views;

use anyhow::{Context, anyhow};
use http::{Method, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{json, value::RawValue};
use trackside_core::QueueName;
use trackside_queue::MAX_BATCH;

use self::service::Service;
use crate::{
    cli::queue::{QueueArgs, QueueCommand},
    failure::Failure,
    output,
};

/// A page of `queues` or `tasks`, each item as it came.
#[derive(Deserialize)]
struct Page {
    #[serde(alias = "queues", alias = "tasks")]
    items: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

/// Runs one command.
pub(crate) async fn run(args: &QueueArgs) -> Result<(), Failure> {
    let service = Service::reach(&args.reach).await?;
    let result = command(&service, &args.command, args.reach.json).await;
    service.close().await;
    result
}

async fn command(service: &Service, command: &QueueCommand, json: bool) -> Result<(), Failure> {
    match command {
        QueueCommand::Ls => {
            let queues = pages(service, "/v1/queues?", usize::MAX).await?;
            show_items(json, "queues", &queues, views::queues)
        }
        QueueCommand::Show { queue } => {
            let answer = service.ask(Method::GET, &address(queue, ""), None).await?;
            show(json, &answer, views::queue)?;
            if json { Ok(()) } else { show_workers(service, queue).await }
        }
        QueueCommand::Push(args) => push::run(service, args, json).await,
        QueueCommand::Peek { queue, limit } => {
            let answer = service.ask(Method::GET, &address(queue, &format!("/tasks?limit={limit}")), None).await?;
            show(json, &answer, |page: &Page| views::upcoming(&read_all(&page.items)?))
        }
        QueueCommand::Pause { queue } => {
            let answer = service.ask(Method::POST, &address(queue, "/pause"), None).await?;
            show(json, &answer, |_: &views::Queue| Ok(format!("{queue} is paused\n")))
        }
        QueueCommand::Resume { queue } => {
            let answer = service.ask(Method::POST, &address(queue, "/resume"), None).await?;
            show(json, &answer, |_: &views::Queue| Ok(format!("{queue} is resumed\n")))
        }
        QueueCommand::Dead { command } => dead::run(service, command, json).await,
        QueueCommand::Audit { queue } => {
            let answer = service.ask(Method::GET, &address(queue, "/audit"), None).await?;
            show(json, &answer, views::audit)?;
            let audit: views::Audit = read(&answer)?;
            if audit.balanced { Ok(()) } else { Err(anyhow!("{queue} does not balance").into()) }
        }
        QueueCommand::Repair { queue } => repair::run(service, queue, json).await,
    }
}

/// The workers of a queue, for people; an older service does not know them.
async fn show_workers(service: &Service, queue: &QueueName) -> Result<(), Failure> {
    let path = address(queue, &format!("/workers?limit={MAX_BATCH}"));
    match service.try_ask(Method::GET, &path, None).await? {
        Ok(answer) => show(false, &answer, views::workers),
        Err(refused) if refused.status == StatusCode::NOT_FOUND => Ok(()),
        Err(refused) => Err(refused.into_failure()),
    }
}

/// Up to `limit` items of a list, page by page.
async fn pages(service: &Service, path: &str, limit: usize) -> Result<Vec<Box<RawValue>>, Failure> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    while items.len() < limit {
        let size = (limit - items.len()).min(MAX_BATCH);
        let answer = service.ask(Method::GET, &format!("{path}limit={size}{cursor}"), None).await?;
        let page: Page = read(&answer)?;
        items.extend(page.items);
        match page.next_cursor {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    Ok(items)
}

fn address(queue: &QueueName, rest: &str) -> String {
    format!("/v1/queues/{queue}{rest}")
}

/// Prints an answer: as it came for programs, else for people.
fn show<T: DeserializeOwned>(
    json: bool,
    answer: &str,
    view: impl Fn(&T) -> anyhow::Result<String>,
) -> Result<(), Failure> {
    let text = if json { format!("{}\n", answer.trim_end()) } else { view(&read(answer)?)? };
    Ok(output::print(&text)?)
}

/// Prints the items of a list: as they came for programs, else for people.
fn show_items<T: DeserializeOwned>(
    json: bool,
    name: &str,
    items: &[Box<RawValue>],
    view: impl Fn(&[T]) -> anyhow::Result<String>,
) -> Result<(), Failure> {
    let text = if json { format!("{}\n", json!({name: items})) } else { view(&read_all(items)?)? };
    Ok(output::print(&text)?)
}

fn read<T: DeserializeOwned>(answer: &str) -> anyhow::Result<T> {
    serde_json::from_str(answer).context("the service's answer")
}

fn read_all<T: DeserializeOwned>(items: &[Box<RawValue>]) -> anyhow::Result<Vec<T>> {
    items.iter().map(|item| read(item.get())).collect()
}
