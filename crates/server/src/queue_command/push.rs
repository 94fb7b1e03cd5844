//! `trackside queue push`: any number of tasks, a few hundred per request.

use std::{collections::BTreeMap, io::IsTerminal, path::Path};

use anyhow::{Context, anyhow};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader};

use super::service::{Refused, Service};
use crate::{
    cli::queue::{Level, PushArgs},
    failure::Failure,
    output,
};

/// Tasks of one request; it is accepted as a whole or not at all.
const BATCH: usize = 256;
/// Bytes of one request, well below what the service accepts; a single task may be longer.
const BATCH_BYTES: usize = 1024 * 1024;

/// A task as the HTTP API takes it.
#[derive(Serialize)]
struct NewTask<'a> {
    kind: Option<&'a str>,
    payload: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<Level>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<String>,
}

#[derive(Deserialize)]
struct Accepted {
    tasks: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Receipt {
    task_id: String,
    status: String,
    #[serde(default)]
    replayed: bool,
}

/// What was read and not sent yet, and what was sent.
struct Push<'a> {
    service: &'a Service,
    args: &'a PushArgs,
    json: bool,
    tasks: Vec<String>,
    bytes: usize,
    /// Where each task of the request stands in the input, from 1.
    places: Vec<usize>,
    pushed: u64,
    /// Where the last task stands that was sent.
    reached: usize,
    replayed: u64,
    last: Option<Receipt>,
}

/// Adds the tasks and says what was added.
pub(super) async fn run(service: &Service, args: &PushArgs, json: bool) -> Result<(), Failure> {
    let mut push = Push {
        service,
        args,
        json,
        tasks: Vec::new(),
        bytes: 0,
        places: Vec::new(),
        pushed: 0,
        reached: 0,
        replayed: 0,
        last: None,
    };
    let result = push.all().await;
    push.report(result.is_ok())?;
    result
}

impl Push<'_> {
    async fn all(&mut self) -> Result<(), Failure> {
        match (&self.args.file, self.args.payloads.is_empty()) {
            (Some(path), _) if path != Path::new("-") => {
                let file =
                    tokio::fs::File::open(path).await.with_context(|| format!("cannot read {}", path.display()))?;
                self.lines(BufReader::new(file)).await?;
            }
            (None, false) => {
                for (at, payload) in self.args.payloads.iter().enumerate() {
                    self.add(at + 1, payload).await?;
                }
            }
            (file, _) => {
                if file.is_none() && std::io::stdin().is_terminal() {
                    let error = "nothing to push: give JSON as an argument, by --file, or on standard input";
                    return Err(Failure::usage(anyhow!(error)));
                }
                self.lines(BufReader::new(tokio::io::stdin())).await?;
            }
        }
        self.send().await
    }

    async fn lines(&mut self, input: impl AsyncBufRead + Unpin) -> Result<(), Failure> {
        let mut lines = input.lines();
        let mut number = 0;
        while let Some(line) = lines.next_line().await.with_context(|| format!("line {}", number + 1))? {
            number += 1;
            if !line.trim().is_empty() {
                self.add(number, &line).await?;
            }
        }
        Ok(())
    }

    async fn add(&mut self, place: usize, text: &str) -> Result<(), Failure> {
        let task = self.task(place, text).with_context(|| format!("{} {place}", self.unit()))?;
        if self.tasks.len() == BATCH || self.bytes + task.len() > BATCH_BYTES {
            self.send().await?;
        }
        self.bytes += task.len();
        self.tasks.push(task);
        self.places.push(place);
        Ok(())
    }

    /// The task that a line or an argument stands for.
    fn task(&self, place: usize, text: &str) -> anyhow::Result<String> {
        let args = self.args;
        let key = args.idempotency_key.as_ref().map(|key| format!("{key}/{place}"));
        if args.tasks {
            let mut task: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).context("not a JSON object")?;
            if let Some(key) = key {
                task.insert("idempotency_key".to_owned(), serde_json::value::to_raw_value(&key)?);
            }
            return Ok(serde_json::to_string(&task)?);
        }
        Ok(serde_json::to_string(&NewTask {
            kind: args.kind.as_deref(),
            payload: serde_json::from_str(text).context("not JSON")?,
            priority: args.priority,
            delay_ms: args.delay_ms,
            max_attempts: args.max_attempts.map(std::num::NonZeroU32::get),
            user_id: args.user_id.as_deref(),
            idempotency_key: key,
        })?)
    }

    async fn send(&mut self) -> Result<(), Failure> {
        if self.tasks.is_empty() {
            return Ok(());
        }
        let body = format!("[{}]", std::mem::take(&mut self.tasks).join(","));
        let places = std::mem::take(&mut self.places);
        self.bytes = 0;
        let path = format!("/v1/queues/{}/tasks", self.args.queue);
        let answer = match self.service.try_ask(Method::POST, &path, Some(body)).await? {
            Ok(answer) => answer,
            Err(refused) => return Err(self.at_its_place(refused, &places).into_failure()),
        };
        let accepted: Accepted = serde_json::from_str(&answer).context("the service's answer")?;
        for task in &accepted.tasks {
            let receipt: Receipt = serde_json::from_str(task.get()).context("the service's answer")?;
            if receipt.replayed {
                self.replayed += 1;
            } else {
                self.pushed += 1;
            }
            self.last = Some(receipt);
        }
        self.reached = places.last().copied().unwrap_or(self.reached);
        if self.json {
            let lines: Vec<&str> = accepted.tasks.iter().map(|task| task.get()).collect();
            output::print(&(lines.join("\n") + "\n"))?;
        }
        Ok(())
    }

    /// The service counts the tasks of a request; the caller's lines are meant.
    fn at_its_place(&self, mut refused: Refused, places: &[usize]) -> Refused {
        for error in refused.problem["errors"].as_array_mut().into_iter().flatten() {
            let field = error["field"].as_str().unwrap_or_default();
            let parsed = field.strip_prefix('[').and_then(|rest| rest.split_once(']'));
            if let Some((index, rest)) = parsed
                && let Some(place) = index.parse().ok().and_then(|index: usize| places.get(index))
            {
                let field = format!("{} {place}: {}", self.unit(), rest.trim_start_matches('.'));
                error["field"] = field.trim_end_matches([':', ' ']).into();
            }
        }
        refused
    }

    fn unit(&self) -> &'static str {
        if self.args.payloads.is_empty() { "line" } else { "argument" }
    }

    /// Says what was added, also when the rest could not be.
    fn report(&self, is_whole: bool) -> Result<(), Failure> {
        let queue = &self.args.queue;
        let again = match self.replayed {
            0 => String::new(),
            replayed => format!(", {replayed} known already"),
        };
        let pushed = output::count(self.pushed, "task");
        let line = match &self.last {
            _ if self.json => return Ok(()),
            Some(receipt) if is_whole && self.pushed + self.replayed == 1 => {
                format!("{} {} in {queue}{again}\n", receipt.task_id, receipt.status)
            }
            _ if !is_whole && self.reached > 0 => {
                format!("pushed {pushed} to {queue}{again}, up to {} {}\n", self.unit(), self.reached)
            }
            _ => format!("pushed {pushed} to {queue}{again}\n"),
        };
        Ok(output::print(&line)?)
    }
}
