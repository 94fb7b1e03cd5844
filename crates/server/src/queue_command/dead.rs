//! `trackside queue dead …`

use anyhow::anyhow;
use http::Method;
use serde_json::{Value, json};
use trackside_queue::MAX_BATCH;

use super::{address, pages, read, service::Service, show, show_items, views};
use crate::{
    cli::queue::{DeadCommand, FilterArgs, SelectArgs},
    failure::Failure,
    output::count,
};

/// Dead letters that one request handles.
const SWEEP: usize = 1_000;

/// Runs one command.
pub(super) async fn run(service: &Service, command: &DeadCommand, json: bool) -> Result<(), Failure> {
    match command {
        DeadCommand::Ls { queue, limit, filter } => {
            let path = address(queue, &format!("/dead?{}", query(filter)?));
            show_items(json, "tasks", &pages(service, &path, *limit).await?, views::dead)
        }
        DeadCommand::Requeue(select) => {
            let requeued = sweep(service, Method::POST, "/dead/requeue", select, "requeued").await?;
            let text = json!({"requeued": requeued}).to_string();
            show(json, &text, |_: &Value| Ok(format!("requeued {} of {}\n", count(requeued, "task"), select.queue)))
        }
        DeadCommand::Purge(select) => {
            let purged = sweep(service, Method::DELETE, "/dead", select, "purged").await?;
            let text = json!({"purged": purged}).to_string();
            show(json, &text, |_: &Value| Ok(format!("purged {} of {}\n", count(purged, "dead letter"), select.queue)))
        }
    }
}

/// Requeues or purges what is selected, part by part; answers how many it was.
async fn sweep(
    service: &Service,
    method: Method,
    what: &str,
    select: &SelectArgs,
    counted: &str,
) -> Result<u64, Failure> {
    let path = address(&select.queue, what);
    let ask = async |body: Value| -> Result<Value, Failure> {
        Ok(read(&service.ask(method.clone(), &path, Some(body.to_string())).await?)?)
    };
    let mut handled = 0;
    let mut body = match (select.ids.is_empty(), select.all, select.filter == FilterArgs::default()) {
        (false, false, true) => {
            for ids in select.ids.chunks(MAX_BATCH) {
                let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                handled += ask(json!({"task_ids": ids})).await?[counted].as_u64().unwrap_or(0);
            }
            return Ok(handled);
        }
        (true, true, true) => json!({"all": true, "limit": SWEEP}),
        (true, false, false) => json!({"filter": select.filter, "limit": SWEEP}),
        _ => return Err(Failure::usage(anyhow!("say which dead letters: their ids, a filter, or --all"))),
    };
    loop {
        let answer = ask(body.clone()).await?;
        handled += answer[counted].as_u64().unwrap_or(0);
        match answer["next_cursor"].as_str() {
            Some(cursor) => body["cursor"] = cursor.into(),
            None => return Ok(handled),
        }
    }
}

/// The filter as parameters of an address, each with `&` behind it.
fn query(filter: &FilterArgs) -> anyhow::Result<String> {
    let Value::Object(said) = serde_json::to_value(filter)? else { return Ok(String::new()) };
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in &said {
        pairs.append_pair(name, value.as_str().unwrap_or_default());
    }
    let query = pairs.finish();
    Ok(if query.is_empty() { query } else { query + "&" })
}
