//! The layer rule, read from the folder in which a crate stands: arrows point one way,
//! `server → api → domain → infrastructure → core`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cargo_metadata::DependencyKind;

use super::finding::Finding;
use super::manifests::line_of;
use crate::workspace::Workspace;

/// The crate that may name the Redis driver, and the driver.
const REDIS: &str = "trackside-redis";
const DRIVER: &str = "fred";
/// The crate that test code of any layer may use.
const TESTKIT: &str = "trackside-testkit";
/// The one domain crate that is composed of others.
const COMPOSITE: &str = "trackside-jobs";

/// Where a crate stands; a later one may use an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Core,
    Infrastructure,
    Domain,
    Api,
    Server,
    /// Benches, examples and fuzzing: programs of users, which may use anything and which nothing uses.
    Programs,
    /// The testkit and these tasks: they use no other crate of ours.
    Apart,
}

/// A crate, as far as the rule is concerned.
#[derive(Debug)]
struct Member {
    name: String,
    folder: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Debug)]
struct Dependency {
    name: String,
    /// Only for tests, benches and examples.
    dev: bool,
    optional: bool,
    features: Vec<String>,
}

/// Every arrow that points the wrong way.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Vec<Finding>> {
    let members = members(workspace);
    let mut findings = Vec::new();
    for member in &members {
        let path = member.folder.join("Cargo.toml");
        let manifest = std::fs::read_to_string(workspace.root().join(&path))
            .with_context(|| format!("cannot read {}", path.display()))?;
        for (dependency, advice) in complaints(member, &members) {
            findings.push(Finding::new(&path, line_of(&manifest, &dependency), "layers", advice));
        }
    }
    Ok(findings)
}

/// The names of the domain crates, each of which must build without Redis.
pub(crate) fn domain_crates(workspace: &Workspace) -> Vec<String> {
    let mut names: Vec<_> = members(workspace)
        .into_iter()
        .filter(|member| Layer::of(&member.folder) == Some(Layer::Domain))
        .map(|member| member.name)
        .collect();
    names.sort();
    names
}

fn members(workspace: &Workspace) -> Vec<Member> {
    workspace
        .packages()
        .into_iter()
        .map(|package| Member {
            name: package.name.to_string(),
            folder: workspace.folder(package),
            dependencies: package
                .dependencies
                .iter()
                .map(|dependency| Dependency {
                    name: dependency.name.clone(),
                    dev: dependency.kind == DependencyKind::Development,
                    optional: dependency.optional,
                    features: dependency.features.clone(),
                })
                .collect(),
        })
        .collect()
}

/// What is wrong with the dependencies of one crate: the dependency, and what to do.
fn complaints(member: &Member, all: &[Member]) -> Vec<(String, String)> {
    let Some(layer) = Layer::of(&member.folder) else {
        let advice =
            format!("{} stands in no layer: move it below crates/, or teach xtask its folder", member.folder.display());
        return vec![(member.name.clone(), advice)];
    };
    let mut complaints = Vec::new();
    for dependency in &member.dependencies {
        let advice = if dependency.name == DRIVER {
            (member.name != REDIS).then(|| format!("only {REDIS} names {DRIVER}: use {REDIS}"))
        } else {
            let target = all.iter().find(|other| other.name == dependency.name);
            let target =
                target.filter(|target| target.name != member.name).and_then(|target| Layer::of(&target.folder));
            target.and_then(|target| objection(member, layer, dependency, target))
        };
        complaints.extend(advice.map(|advice| (dependency.name.clone(), advice)));
    }
    complaints
}

/// Why a crate in `layer` may not use a crate of ours in the layer `target`.
fn objection(member: &Member, layer: Layer, dependency: &Dependency, target: Layer) -> Option<String> {
    let name = &dependency.name;
    if layer == Layer::Apart {
        return Some(format!("{} uses no other crate of ours: remove {name}", member.name));
    }
    // Tests of every layer run against a real server.
    if dependency.dev && (name == TESTKIT || name == REDIS) {
        return None;
    }
    if target >= Layer::Programs {
        return Some(format!("{name} is for tests and tasks: make it a dev-dependency, or remove it"));
    }
    if target > layer {
        return Some(format!("{layer:?} may not use {target:?}: arrows point from server to core; remove {name}"));
    }
    if target == layer && layer == Layer::Domain && member.name != COMPOSITE {
        return Some(format!("domain crates do not know each other: connect {name} in the server, by a port"));
    }
    if dependency.dev {
        return None;
    }
    if layer == Layer::Domain && name == REDIS && !dependency.optional {
        return Some(format!("make {REDIS} optional, behind the feature `redis`: a domain crate builds without it"));
    }
    if layer == Layer::Api && (name == REDIS || dependency.features.iter().any(|feature| feature == "redis")) {
        return Some(format!(
            "the API never touches Redis: use {name} through its port, and let the server choose the store"
        ));
    }
    None
}

// === impl Layer ===

impl Layer {
    fn of(folder: &Path) -> Option<Self> {
        let parts: Vec<_> = folder.iter().map(|part| part.to_string_lossy()).collect();
        let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
        match parts[..] {
            ["crates", "infrastructure", "core"] => Some(Self::Core),
            ["crates", "infrastructure", _] => Some(Self::Infrastructure),
            ["crates", "domain", _] => Some(Self::Domain),
            ["crates", "api"] => Some(Self::Api),
            ["crates", "server"] => Some(Self::Server),
            ["benches"] | ["benches", "peers", _] | ["examples"] | ["examples", _] | ["fuzz"] => Some(Self::Programs),
            ["crates", "testkit"] | ["xtask"] => Some(Self::Apart),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name folder`, then the dependencies: `name`, with `dev:` or `optional:` before it and `+feature` after it.
    fn member(name: &str, folder: &str, dependencies: &[&str]) -> Member {
        let dependencies = dependencies.iter().map(|text| {
            let (kind, rest) = text.split_once(':').unwrap_or(("", text));
            let mut parts = rest.split('+');
            Dependency {
                name: parts.next().unwrap_or_default().to_owned(),
                dev: kind == "dev",
                optional: kind == "optional",
                features: parts.map(str::to_owned).collect(),
            }
        });
        Member { name: name.to_owned(), folder: folder.into(), dependencies: dependencies.collect() }
    }

    /// The workspace with the dependencies of one of its crates, and who is complained about.
    fn objected(name: &str, folder: &str, dependencies: &[&str]) -> Vec<String> {
        let mut all = vec![
            member("trackside-core", "crates/infrastructure/core", &[]),
            member("trackside-resilience", "crates/infrastructure/resilience", &[]),
            member("trackside-redis", "crates/infrastructure/redis", &[]),
            member("trackside-queue", "crates/domain/queue", &[]),
            member("trackside-progress", "crates/domain/progress", &[]),
            member("trackside-api", "crates/api", &[]),
            member("trackside", "crates/server", &[]),
            member("trackside-testkit", "crates/testkit", &[]),
        ];
        all.retain(|member| member.name != name);
        complaints(&member(name, folder, dependencies), &all).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn arrows_from_the_server_to_the_core_are_fine() {
        let all = ["trackside-api", "trackside-queue", "trackside-redis", "trackside-core", "tokio"];
        assert!(objected("trackside", "crates/server", &all).is_empty());
        assert!(
            objected("trackside-redis", "crates/infrastructure/redis", &["trackside-resilience", "fred"]).is_empty()
        );
        let queue = ["trackside-core", "optional:trackside-redis", "dev:trackside-redis", "dev:trackside-testkit"];
        assert!(objected("trackside-queue", "crates/domain/queue", &queue).is_empty());
    }

    #[test]
    fn arrows_that_point_up_are_found() {
        assert_eq!(objected("trackside-core", "crates/infrastructure/core", &["trackside-redis"]), ["trackside-redis"]);
        assert_eq!(
            objected("trackside-redis", "crates/infrastructure/redis", &["trackside-queue"]),
            ["trackside-queue"]
        );
        assert_eq!(objected("trackside-queue", "crates/domain/queue", &["dev:trackside-api"]), ["trackside-api"]);
        assert_eq!(objected("trackside-api", "crates/api", &["trackside"]), ["trackside"]);
    }

    #[test]
    fn domain_crates_know_each_other_only_in_the_composite() {
        assert_eq!(objected("trackside-queue", "crates/domain/queue", &["trackside-progress"]), ["trackside-progress"]);
        assert!(
            objected("trackside-jobs", "crates/domain/jobs", &["trackside-queue", "trackside-progress"]).is_empty()
        );
    }

    #[test]
    fn redis_is_optional_in_the_domain_and_absent_from_the_api() {
        assert_eq!(objected("trackside-queue", "crates/domain/queue", &["trackside-redis"]), ["trackside-redis"]);
        assert_eq!(objected("trackside-api", "crates/api", &["trackside-redis"]), ["trackside-redis"]);
        assert_eq!(objected("trackside-api", "crates/api", &["trackside-queue+redis"]), ["trackside-queue"]);
        assert!(objected("trackside-api", "crates/api", &["dev:trackside-redis", "trackside-queue"]).is_empty());
    }

    #[test]
    fn one_crate_names_the_driver() {
        assert_eq!(objected("trackside-queue", "crates/domain/queue", &["dev:fred"]), ["fred"]);
        assert_eq!(objected("trackside-benches", "benches", &["fred", "trackside-queue"]), ["fred"]);
    }

    #[test]
    fn the_testkit_uses_nothing_of_ours_and_is_used_by_tests_only() {
        assert_eq!(objected("trackside-testkit", "crates/testkit", &["dev:trackside-core"]), ["trackside-core"]);
        assert_eq!(objected("trackside", "crates/server", &["trackside-testkit"]), ["trackside-testkit"]);
    }

    #[test]
    fn a_crate_outside_the_layers_is_found() {
        assert_eq!(objected("trackside-utils", "crates/utils", &[]), ["trackside-utils"]);
    }
}
