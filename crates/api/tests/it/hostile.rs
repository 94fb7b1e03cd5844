//! Whatever a request is made of, the service answers it and does not fail.
//!
//! Every operation of the API description is asked with hostile names, parameters, headers and bodies: examples in which
//! something was replaced, JSON of other shapes, and bytes. `cargo xtask fuzz` does this for as long as one likes.

use std::sync::Arc;

use axum::{Router, body::Body};
use http::{HeaderName, HeaderValue, Request};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{TestCaseError, TestRunner},
};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use trackside_api::{ApiConfig, openapi_document, router};

use crate::{documents::operations, service::setup};

/// What parsers read beside paths, queries and bodies.
const HEADERS: [&str; 13] = [
    "authorization",
    "content-length",
    "content-type",
    "cookie",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "last-event-id",
    "origin",
    "stripe-signature",
    "traceparent",
    "x-api-key",
    "x-correlation-id",
];

/// A request in numbers and texts, which shrink well.
#[derive(Debug, Clone)]
struct Hostile {
    operation: prop::sample::Index,
    texts: Vec<String>,
    headers: Vec<(usize, Vec<u8>)>,
    /// Whose place in the example it takes, and what.
    instead: (prop::sample::Index, Value),
    bytes: Option<Vec<u8>>,
}

/// Texts that mean something to one parser or another, and any others.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9_.:-]{1,20}",
        "\\PC{0,40}",
        "(\\.\\./|%2e|%00|/|\\\\|\\*|\\?|\\[|\\{|\\}|'|\"|;| ){1,8}",
        "-?[0-9]{1,25}(\\.[0-9]{1,5})?(e[0-9]{1,4})?",
        "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        "([*0-9,/L#-]{1,6} ){4,5}[*0-9,/L#A-Z-]{1,6}",
        "[+-]?[0-9]{1,6}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})",
        "(trk_|trs1_|Bearer trk_)[0-9a-v_]{0,70}",
        "t=[0-9]{0,20}(,v1=[0-9a-f]{0,10}){0,3}",
        "#[0-9]{0,20}",
        Just("a".repeat(5_000)),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![0_u64, 1, 1 << 31, 1 << 53, u64::MAX]).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((text(), inner), 0..6).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

fn hostile() -> impl Strategy<Value = Hostile> {
    let header = (0..HEADERS.len(), prop_oneof![text().prop_map(String::into_bytes), vec(any::<u8>(), 0..60)]);
    let bytes = prop::option::weighted(0.1, vec(any::<u8>(), 0..200));
    let instead = (any::<prop::sample::Index>(), value());
    (any::<prop::sample::Index>(), vec(text(), 8), vec(header, 0..4), instead, bytes)
        .prop_map(|(operation, texts, headers, instead, bytes)| Hostile { operation, texts, headers, instead, bytes })
}

/// An operation of the description.
struct Operation {
    method: String,
    path: String,
    queries: Vec<String>,
    example: Option<Value>,
}

fn described() -> Vec<Operation> {
    let document = serde_json::to_value(openapi_document()).unwrap();
    let of = |(name, operation): (String, &Value)| {
        let (method, path) = name.split_once(' ').unwrap();
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let queries = parameters.filter(|it| it["in"] == "query").map(|it| it["name"].as_str().unwrap().to_owned());
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let example = example(&document, schema);
        Operation { method: method.to_owned(), path: path.to_owned(), queries: queries.collect(), example }
    };
    operations(&document).into_iter().map(of).collect()
}

/// The example that the description gives for a body.
fn example(document: &Value, schema: &Value) -> Option<Value> {
    if let Some(reference) = schema["$ref"].as_str() {
        return example(document, document.pointer(reference.strip_prefix('#')?)?);
    }
    let choices = ["oneOf", "anyOf"].iter().filter_map(|it| schema[*it].as_array()).flatten();
    let own = schema.get("example").cloned();
    own.or_else(|| choices.filter_map(|choice| example(document, choice)).next())
}

/// Every place in a value.
fn places(value: &Value, at: String, found: &mut Vec<String>) {
    let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| places(member, format!("{at}/{}", escaped(name)), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| places(item, format!("{at}/{index}"), found));
        }
        _ => {}
    }
    found.push(at);
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

// === impl Hostile ===

impl Hostile {
    fn request(&self, operations: &[Operation]) -> Request<Body> {
        let operation = self.operation.get(operations);
        let mut texts = self.texts.iter().cycle();
        let mut next = || encoded(texts.next().map_or("", String::as_str));
        let mut parts = operation.path.split('{');
        let mut target = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            target += &next();
            target += part.split_once('}').map_or("", |(_, rest)| rest);
        }
        let queries: Vec<String> = operation.queries.iter().map(|name| format!("{name}={}", next())).collect();
        // Half of them say nothing, so that the rest of the request is read.
        if self.texts.first().is_some_and(|text| text.len() % 2 == 0) && !queries.is_empty() {
            target = format!("{target}?{}", queries.join("&"));
        }
        let mut request = Request::builder().method(operation.method.as_str()).uri(target).header("host", "localhost");
        if operation.example.is_some() {
            request = request.header("content-type", "application/json");
        }
        for (name, bytes) in &self.headers {
            if let Ok(value) = HeaderValue::from_bytes(bytes) {
                request = request.header(HeaderName::from_static(HEADERS[*name]), value);
            }
        }
        request.body(self.body(operation)).unwrap()
    }

    fn body(&self, operation: &Operation) -> Body {
        let (place, value) = &self.instead;
        match (&self.bytes, &operation.example) {
            (Some(bytes), _) => Body::from(bytes.clone()),
            (None, None) => Body::empty(),
            (None, Some(example)) => {
                let mut words = example.clone();
                let mut all = Vec::new();
                places(&words, String::new(), &mut all);
                let at: &String = place.get(&all);
                if let Some(replaced) = words.pointer_mut(at) {
                    *replaced = value.clone();
                }
                Body::from(words.to_string())
            }
        }
    }
}

async fn status(router: Router, request: Request<Body>) -> u16 {
    router.oneshot(request).await.unwrap().status().as_u16()
}

#[test]
fn no_request_makes_the_service_fail() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut setup = runtime.block_on(setup());
    // A hostile lease asks for the longest wait there is.
    setup.state.config = Arc::new(ApiConfig { max_lease_wait: std::time::Duration::ZERO, ..ApiConfig::default() });
    let router = router(setup.state);
    let operations = described();
    assert!(operations.iter().filter(|operation| operation.example.is_some()).count() > 20);
    let outcome = TestRunner::default().run(&hostile(), |hostile| {
        let request = hostile.request(&operations);
        let asked = format!("{} {}", request.method(), request.uri());
        let status = runtime.block_on(status(router.clone(), request));
        // 503: an answer of its own, such as that of a lease while the service stops; never the end of a mistake.
        if status >= 500 { Err(TestCaseError::fail(format!("{asked}: {status}"))) } else { Ok(()) }
    });
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[test]
fn examples_are_taken_as_they_are() {
    let operations = described();
    let enqueue = operations.iter().find(|it| it.path.ends_with("/tasks") && it.method == "POST").unwrap();
    let example = enqueue.example.clone().unwrap();
    let mut found = Vec::new();
    places(&example, String::new(), &mut found);
    assert!(found.contains(&String::new()) && found.contains(&"/kind".to_owned()), "{found:?}");
    assert_eq!(json!({"a/b": 1}).pointer("/a~1b"), Some(&json!(1)));
}
