//! Rate limits as programs in other languages see them.

use serde_json::{Value, json};

use crate::service::{Service, body, problem};

async fn post(service: &Service, verb: &str, request: Value) -> reqwest::Response {
    service.post(&format!("/v1/limits/{verb}")).json(&request).send().await.unwrap()
}

fn header(response: &reqwest::Response, name: &str) -> String {
    response.headers().get(name).map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_call_is_allowed_until_a_limit_is_reached_and_then_told_when_to_come_back() {
    let service = Service::start().await;
    let request = json!({"policy": "free", "subject": {"user": "alice", "project": "tower", "ip": "203.0.113.9"}});
    for remaining in [2, 1, 0] {
        let response = post(&service, "check", request.clone()).await;
        assert_eq!(
            header(&response, "ratelimit-policy"),
            "\"user\";q=3;w=60, \"project\";q=100;w=60, \"ip\";q=50;w=60"
        );
        let field = header(&response, "ratelimit");
        assert!(field.starts_with(&format!("\"user\";r={remaining};t=")), "{field}");
        assert!(header(&response, "x-ratelimit-limit").is_empty());
        let allowed = body(response, 200).await;
        assert_eq!((&allowed["allowed"], &allowed["source"]), (&json!(true), &json!("local")));
        let user = &allowed["limits"][0];
        assert_eq!(
            (&user["dimension"], &user["limit"], &user["remaining"]),
            (&json!("user"), &json!(3), &json!(remaining))
        );
        assert!(user["reset_ms"].as_u64().unwrap() <= 67_500 && allowed.get("retry_after_ms").is_none(), "{allowed}");
    }
    let response = post(&service, "check", request).await;
    let retry_after: u64 = header(&response, "retry-after").parse().unwrap();
    assert_eq!(header(&response, "content-type"), "application/problem+json");
    let correlation = header(&response, "x-correlation-id");
    let denied = body(response, 429).await;
    let wait = denied["retry_after_ms"].as_u64().unwrap();
    assert_eq!(retry_after, wait.div_ceil(1_000));
    assert_eq!((&denied["allowed"], &denied["status"]), (&json!(false), &json!(429)));
    assert_eq!(denied["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(denied["violated-policies"], json!(["user"]));
    assert_eq!(denied["correlation_id"], correlation);
    // What was denied by one limit was not taken from the others.
    assert_eq!(denied["limits"][1]["remaining"], 97);
}

#[tokio::test]
async fn a_call_may_weigh_more_and_a_look_takes_nothing() {
    let service = Service::start().await;
    let look = json!({"policy": "free", "subject": {"user": "bob"}, "cost": 2, "peek": true});
    for _ in 0..3 {
        let seen = body(post(&service, "check", look.clone()).await, 200).await;
        assert_eq!(
            seen["limits"],
            json!([{
                "name": "user", "dimension": "user", "unit": "cost", "limit": 3, "remaining": 3, "window_ms": 60_000,
                "reset_ms": 0, "exceeded": false
            }])
        );
    }
    let two = json!({"policy": "free", "subject": {"user": "bob"}, "cost": 2});
    assert_eq!(body(post(&service, "check", two.clone()).await, 200).await["limits"][0]["remaining"], 1);
    assert_eq!(body(post(&service, "check", two).await, 429).await["limits"][0]["remaining"], 1);
    let never = json!({"policy": "free", "subject": {"user": "bob"}, "cost": 4});
    let response = post(&service, "check", never).await;
    assert_eq!(header(&response, "retry-after"), "");
    assert!(body(response, 429).await.get("retry_after_ms").is_none());
}

#[tokio::test]
async fn what_was_reserved_is_settled_once() {
    let service = Service::start().await;
    let request = json!({"policy": "llm", "subject": {"user": "alice"}, "cost": 4_000});
    let reserved = body(post(&service, "reserve", request.clone()).await, 200).await;
    let reservation = reserved["reservation"].as_str().unwrap();
    let left = |decision: &Value| -> Vec<u64> {
        decision["limits"].as_array().unwrap().iter().map(|limit| limit["remaining"].as_u64().unwrap()).collect()
    };
    assert_eq!(left(&reserved), [9, 6_000, 0]);
    let denied = body(post(&service, "reserve", request.clone()).await, 429).await;
    assert!(denied["violated-policies"] == json!(["running"]) && denied.get("reservation").is_none(), "{denied}");
    let held = json!({"reservation": reservation});
    assert_eq!(body(post(&service, "renew", held.clone()).await, 200).await, json!({"held": true}));
    for settled in [true, false] {
        let settle = json!({"reservation": reservation, "cost": 1_000});
        assert_eq!(body(post(&service, "settle", settle).await, 200).await, json!({"settled": settled}));
    }
    assert_eq!(body(post(&service, "renew", held).await, 200).await, json!({"held": false}));
    let again = body(post(&service, "reserve", request).await, 200).await;
    assert_eq!(left(&again), [8, 5_000, 0]);
    let refund = json!({"reservation": again["reservation"], "refund": true});
    assert_eq!(body(post(&service, "settle", refund).await, 200).await, json!({"settled": true}));
    let look = json!({"policy": "llm", "subject": {"user": "alice"}, "peek": true});
    assert_eq!(left(&body(post(&service, "check", look).await, 200).await), [9, 9_000, 1]);
}

#[tokio::test]
async fn the_policies_are_listed() {
    let service = Service::start().await;
    let policies = service.read("/v1/limits/policies").await;
    let names: Vec<&str> =
        policies["policies"].as_array().unwrap().iter().map(|p| p["policy"].as_str().unwrap()).collect();
    assert_eq!(names, ["free", "llm"]);
    let free = &policies["policies"][0];
    assert_eq!((&free["outage"], &free["shadow"], &free["within"]), (&json!("local"), &json!(false), &Value::Null));
    let user = json!({
        "name": "user", "dimension": "user", "unit": "cost", "limit": 3, "window_ms": 60_000, "algorithm": "window"
    });
    assert_eq!(free["limits"][0], user);
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_by_its_field() {
    let service = Service::start().await;
    let user = json!({"user": "alice"});
    let cases = [
        ("check", "policy", json!({"policy": "fre", "subject": user})),
        ("check", "policy", json!({"subject": user})),
        ("check", "subject", json!({"policy": "free"})),
        ("check", "subject", json!({"policy": "free", "subject": {}})),
        ("check", "subject", json!({"policy": "free", "subject": {"tenant": "acme"}})),
        ("check", "subject.usr", json!({"policy": "free", "subject": {"usr": "alice"}})),
        ("check", "subject.user", json!({"policy": "free", "subject": {"user": ""}})),
        ("check", "subject.user", json!({"policy": "free", "subject": {"user": "a{b}"}})),
        ("check", "subject.ip", json!({"policy": "free", "subject": {"ip": "localhost"}})),
        ("check", "cost", json!({"policy": "free", "subject": user, "cost": 0})),
        ("check", "cost", json!({"policy": "free", "subject": user, "cost": -1})),
        ("reserve", "peek", json!({"policy": "llm", "subject": user, "peek": true})),
        ("settle", "reservation", json!({"reservation": "x", "cost": 1})),
        (
            "settle",
            "cost",
            json!({"reservation": "0198c2d47c1e7b6a9a530d7f5a2f4c11.WyJmcmVlIixbImEiLG51bGwsbnVsbCxudWxsLG51bGwsbnVsbF1d"}),
        ),
        (
            "settle",
            "refund",
            json!({"reservation": "0198c2d47c1e7b6a9a530d7f5a2f4c11.WyJmcmVlIixbImEiLG51bGwsbnVsbCxudWxsLG51bGwsbnVsbF1d", "cost": 1, "refund": true}),
        ),
    ];
    for (verb, field, request) in cases {
        let refused = problem(post(&service, verb, request.clone()).await, 422, "invalid-request").await;
        assert_eq!(refused["errors"][0]["field"], field, "{request}: {refused}");
    }
    let near = json!({"policy": "fre", "subject": user});
    assert_eq!(
        problem(post(&service, "check", near).await, 422, "invalid-request").await["errors"][0]["suggestion"],
        "free"
    );
}

#[tokio::test]
async fn one_subject_gets_a_limit_of_its_own_without_a_restart() {
    let service = Service::start().await;
    let put =
        async |request: Value| service.request("PUT", "/v1/limits/overrides").json(&request).send().await.unwrap();
    let check = async || {
        let request = json!({"policy": "free", "subject": {"user": "carol"}, "cost": 3});
        post(&service, "check", request).await.status()
    };
    assert_eq!([check().await, check().await], [200, 429]);
    let to = |to: Value| json!({"policy": "free", "limit": "user", "subject": {"user": "carol"}, "to": to});
    assert_eq!(put(to(json!(7))).await.status(), 204);
    assert_eq!([check().await, check().await], [200, 429]);
    let overrides = service.read("/v1/limits/overrides").await;
    assert_eq!(overrides, json!({"overrides": [{"policy": "free", "limit": "user", "value": "carol", "to": 7}]}));
    assert_eq!(put(to(Value::Null)).await.status(), 204);
    assert_eq!(service.read("/v1/limits/overrides").await, json!({"overrides": []}));
    for (field, request) in [
        ("to", to(json!(u64::MAX))),
        ("limit", json!({"policy": "free", "limit": "gold", "subject": {"user": "carol"}, "to": 1})),
        ("limit", json!({"policy": "free", "limit": "a b", "subject": {"user": "carol"}, "to": 1})),
        ("subject", json!({"policy": "free", "limit": "user", "subject": {"ip": "::1"}, "to": 1})),
    ] {
        let refused = problem(put(request.clone()).await, 422, "invalid-request").await;
        assert_eq!(refused["errors"][0]["field"], field, "{request}: {refused}");
    }
}

#[tokio::test]
async fn the_figures_of_the_limiter_are_in_the_statistics() {
    let service = Service::start().await;
    let request = json!({"policy": "free", "subject": {"user": "dave"}, "cost": 2});
    for status in [200, 429, 429] {
        body(post(&service, "check", request.clone()).await, status).await;
    }
    let limiter = &service.read("/api/stats").await["limiter"];
    assert_eq!(limiter["processes"], 1);
    let free = &limiter["policies"][0];
    assert_eq!(
        (&free["allowed"]["local"], &free["denied"]["local"], &free["remembered"]),
        (&json!(1), &json!(2), &json!(1))
    );
}

#[tokio::test]
async fn the_service_itself_is_limited_by_address_and_probes_are_not() {
    let service = Service::configured(|config| {
        config.request_policy = Some("free".parse().unwrap());
        config.trusted_proxies = trackside_ratelimit::TrustedProxies::new(["127.0.0.1"]).unwrap();
        config.limit_fields = trackside_ratelimit::Fields::WithLegacy;
    })
    .await;
    let from = async |address: &str, path: &str| {
        service.get(path).header("x-forwarded-for", format!("198.51.100.1, {address}")).send().await.unwrap()
    };
    for remaining in (0..50).rev() {
        let response = from("203.0.113.9", "/v1/queues").await;
        assert_eq!(
            (response.status().as_u16(), header(&response, "x-ratelimit-remaining")),
            (200, remaining.to_string())
        );
    }
    let denied = from("203.0.113.9", "/v1/queues").await;
    assert!(header(&denied, "ratelimit").starts_with("\"ip\";r=0;t=") && !header(&denied, "retry-after").is_empty());
    problem(denied, 429, "limit-exceeded").await;
    assert_eq!(from("203.0.113.9", "/health/live").await.status(), 200);
    assert_eq!(from("203.0.113.10", "/v1/queues").await.status(), 200, "another client of the same proxy");
}
