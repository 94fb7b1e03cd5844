//! `trackside token create | list | revoke`.

use std::collections::BTreeMap;

use anyhow::{anyhow, ensure};
use trackside_api::{ApiKeyRecord, ApiKeySecret, Binding, Scope};
use trackside_core::Timestamp;

use crate::{
    cli::token::{CreateArgs, TokenArgs, TokenCommand},
    failure::Failure,
    keys_file::{self, KeysFile},
    output::{self, Align},
};

/// Runs one of the three. The key goes to standard output, alone; what is said about it to standard error.
pub(crate) fn run(args: &TokenArgs) -> Result<(), Failure> {
    let environment: BTreeMap<String, String> = std::env::vars().collect();
    let file = keys_file::named(args.file.as_deref(), &environment).map_err(Failure::usage)?;
    match &args.command {
        TokenCommand::Create(create) => make(&file, create)?,
        TokenCommand::List { json } => list(&file, *json)?,
        TokenCommand::Revoke { ids } => revoke(&file, ids)?,
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "standard output is for the key alone")]
fn make(file: &KeysFile, args: &CreateArgs) -> anyhow::Result<()> {
    ensure!(!args.name.trim().is_empty(), "--name must say what the key is for");
    let set = |names: &[String]| names.iter().cloned().collect();
    let binding = Binding { users: set(&args.users), projects: set(&args.projects), tenants: set(&args.tenants) };
    let expires_at = args.expires_in.map(|span| Timestamp::now().plus(span));
    let secret = file.change(|keys| {
        let secret = ApiKeySecret::generate()?;
        keys.push(ApiKeyRecord::new(args.name.trim(), &secret, &args.scopes, binding, expires_at));
        Ok(secret)
    })?;
    let until = expires_at.map_or_else(|| "without end".to_owned(), |end| format!("until {end}"));
    eprintln!("key {} ({}), {until}; it is shown only now:", secret.id(), args.name.trim());
    output::print(&format!("{}\n", secret.expose()))
}

fn list(file: &KeysFile, json: bool) -> anyhow::Result<()> {
    let keys = file.records()?;
    if json {
        let shown: Vec<_> = keys.iter().map(as_json).collect();
        return output::print(&format!("{}\n", serde_json::to_string_pretty(&shown)?));
    }
    let columns = ["ID", "NAME", "SCOPES", "BOUND TO", "CREATED", "EXPIRES"].map(|heading| (heading, Align::Left));
    let rows: Vec<Vec<String>> = keys.iter().map(row).collect();
    output::print(&output::table(&columns, &rows))
}

/// Everything but the hash, which is of no use to a reader.
fn as_json(key: &ApiKeyRecord) -> serde_json::Value {
    serde_json::json!({
        "id": key.id, "name": key.name, "scopes": key.scopes, "users": key.users, "projects": key.projects,
        "tenants": key.tenants, "created_at": key.created_at, "expires_at": key.expires_at,
        "expired": key.expires_at.is_some_and(|end| end <= Timestamp::now()),
    })
}

fn row(key: &ApiKeyRecord) -> Vec<String> {
    let scopes: Vec<&str> = key.scopes.iter().copied().map(Scope::as_str).collect();
    let kinds = [("user", &key.users), ("project", &key.projects), ("tenant", &key.tenants)];
    let names = kinds.into_iter().flat_map(|(kind, names)| names.iter().map(move |name| format!("{kind} {name}")));
    let bound: Vec<String> = names.collect();
    let expires = key.expires_at.map_or_else(
        || "never".to_owned(),
        |end| match end <= Timestamp::now() {
            true => format!("{end} (over)"),
            false => end.to_string(),
        },
    );
    let bound = if bound.is_empty() { "nothing".to_owned() } else { bound.join(", ") };
    let cells = [key.id.clone(), key.name.clone(), scopes.join(","), bound, key.created_at.to_string(), expires];
    cells.iter().map(|cell| output::line(cell, 200)).collect()
}

fn revoke(file: &KeysFile, ids: &[String]) -> anyhow::Result<()> {
    file.change(|keys| {
        for id in ids {
            let place = keys.iter().position(|key| key.id == *id);
            keys.remove(place.ok_or_else(|| anyhow!("there is no key {id}; nothing was revoked"))?);
        }
        Ok(())
    })?;
    output::print(&format!("revoked: {}\n", ids.join(", ")))
}
