//! Cache entries and project data over HTTP.

use reqwest::{Response, StatusCode};

use crate::service::{Service, body, problem};

async fn put(service: &Service, path: &str, value: &'static str) -> Response {
    service.request("PUT", path).header("content-type", "text/plain").body(value).send().await.unwrap()
}

fn tag(response: &Response) -> String {
    response.headers()["etag"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_entry_is_read_as_it_was_put_with_its_type_and_no_browser_runs_it() {
    let service = Service::start().await;
    problem(service.get("/v1/cache/page/home").send().await.unwrap(), 404, "not-found").await;
    let created = put(&service, "/v1/cache/page/home?ttl_s=60", "<h1>Hello</h1>").await;
    assert_eq!(created.status(), StatusCode::CREATED);
    let read = service.get("/v1/cache/page/home").send().await.unwrap();
    assert_eq!((tag(&read), read.headers()["content-type"].to_str().unwrap()), (tag(&created), "text/plain"));
    assert_eq!(read.headers()["x-content-type-options"], "nosniff");
    assert_eq!(read.headers()["content-security-policy"], "sandbox; default-src 'none'");
    assert_eq!(read.text().await.unwrap(), "<h1>Hello</h1>");
    let head = service.request("HEAD", "/v1/cache/page/home").send().await.unwrap();
    assert_eq!(
        (head.status(), tag(&head), head.headers()["content-length"].to_str().unwrap()),
        (StatusCode::OK, tag(&created), "14")
    );
    assert_eq!(put(&service, "/v1/cache/page/home", "2").await.status(), StatusCode::NO_CONTENT);
    assert_eq!(service.request("DELETE", "/v1/cache/page/home").send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(service.request("DELETE", "/v1/cache/page/home").send().await.unwrap().status(), StatusCode::NO_CONTENT);
    problem(service.get("/v1/cache/page/home").send().await.unwrap(), 404, "not-found").await;
}

#[tokio::test]
async fn conditions_decide_by_the_version() {
    let service = Service::start().await;
    let path = "/v1/cache/page/home";
    let conditional =
        |method: &str, header: &str, value: &str| service.request(method, path).header(header, value).body("x");
    let first = tag(&conditional("PUT", "if-none-match", "*").send().await.unwrap());
    problem(conditional("PUT", "if-none-match", "*").send().await.unwrap(), 412, "precondition-failed").await;
    let known = service.get(path).header("if-none-match", &first).send().await.unwrap();
    assert_eq!((known.status(), tag(&known)), (StatusCode::NOT_MODIFIED, first.clone()));
    let second = conditional("PUT", "if-match", &first).send().await.unwrap();
    assert_eq!(second.status(), StatusCode::NO_CONTENT);
    problem(conditional("PUT", "if-match", &first).send().await.unwrap(), 412, "precondition-failed").await;
    problem(conditional("DELETE", "if-match", &first).send().await.unwrap(), 412, "precondition-failed").await;
    assert_eq!(service.get(path).header("if-none-match", &first).send().await.unwrap().status(), StatusCode::OK);
    let deleted = conditional("DELETE", "if-match", &tag(&second)).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    problem(conditional("PUT", "if-match", "nonsense").send().await.unwrap(), 422, "invalid-request").await;
}

#[tokio::test]
async fn a_tag_invalidates_what_bears_it() {
    let service = Service::start().await;
    for (path, value) in
        [("/v1/cache/a/1?tags=shop:7,x", "1"), ("/v1/cache/b/2?tags=shop:7", "2"), ("/v1/cache/b/3", "3")]
    {
        assert_eq!(put(&service, path, value).await.status(), StatusCode::CREATED);
    }
    let invalidated = service.request("DELETE", "/v1/cache/tags/shop:7").send().await.unwrap();
    assert_eq!(invalidated.status(), StatusCode::NO_CONTENT);
    for path in ["/v1/cache/a/1", "/v1/cache/b/2"] {
        problem(service.get(path).send().await.unwrap(), 404, "not-found").await;
    }
    assert_eq!(service.get("/v1/cache/b/3").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_namespace_cannot_have_the_name_of_another_route() {
    let service = Service::start().await;
    for name in ["stats", "warm"] {
        let path = format!("/v1/cache/{name}/home");
        let refused = problem(put(&service, &path, "1").await, 422, "invalid-request").await;
        assert!(refused.to_string().contains("'tags'"), "{refused}");
        problem(service.get(&path).send().await.unwrap(), 422, "invalid-request").await;
    }
    // Here only invalidating is known.
    problem(put(&service, "/v1/cache/tags/home", "1").await, 405, "method-not-allowed").await;
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_by_name() {
    let service = Service::start().await;
    let refused = |path: &'static str| async { problem(put(&service, path, "1").await, 422, "invalid-request").await };
    refused("/v1/cache/a%20b/1").await;
    refused("/v1/cache/a/%7Bb%7D").await;
    refused("/v1/cache/a/1?ttl=5").await;
    refused("/v1/cache/a/1?ttl_s=0").await;
    refused("/v1/cache/a/1?tags=a=b").await;
    let large = service.request("PUT", "/v1/cache/a/1").body(vec![b'x'; 1_048_577]).send().await.unwrap();
    let large = problem(large, 413, "payload-too-large").await;
    assert_eq!(large["detail"], "at most 1048576 bytes are accepted");
}

#[tokio::test]
async fn project_data_are_json_and_go_together() {
    let service = Service::start().await;
    let data = "/v1/projects/42/data";
    let created = service.request("PUT", data).body(r#"{"name": "x"}"#).send().await.unwrap();
    assert_eq!(created.status(), StatusCode::CREATED);
    let plan = "/v1/projects/42/entries/plan";
    service.request("PUT", plan).body("[1]").send().await.unwrap();
    let read = service.get(data).header("if-none-match", "\"1\"").send().await.unwrap();
    assert_eq!((read.headers()["content-type"].to_str().unwrap(), tag(&read)), ("application/json", tag(&created)));
    assert_eq!(body(read, 200).await["name"], "x");
    problem(service.request("PUT", data).body("{").send().await.unwrap(), 400, "malformed-json").await;
    problem(
        service.request("PUT", "/v1/projects/42/entries/data").body("1").send().await.unwrap(),
        422,
        "invalid-request",
    )
    .await;
    problem(service.request("PUT", "/v1/projects/4:2/data").body("1").send().await.unwrap(), 422, "invalid-request")
        .await;
    let invalidated = service.request("DELETE", "/v1/projects/42").send().await.unwrap();
    assert_eq!(invalidated.status(), StatusCode::NO_CONTENT);
    for path in [data, plan] {
        problem(service.get(path).send().await.unwrap(), 404, "not-found").await;
    }
    service.request("PUT", plan).body("[2]").send().await.unwrap();
    assert_eq!(service.request("DELETE", plan).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(service.request("DELETE", data).send().await.unwrap().status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn statistics_and_warming_tell_what_happened() {
    let service = Service::start().await;
    put(&service, "/v1/cache/page/home", "1").await;
    for _ in 0..3 {
        service.get("/v1/cache/page/home").send().await.unwrap();
    }
    service.get("/v1/cache/page/other").send().await.unwrap();
    let stats = service.read("/v1/cache/stats").await;
    let page = &stats["namespaces"][0];
    assert_eq!((&page["namespace"], &page["writes"], &page["misses"]), (&"page".into(), &1.into(), &1.into()));
    assert_eq!(page["hit_ratio"], 0.75);
    service.state.cache.on_warm("fails", || async { Err("no such source".into()) });
    service.state.cache.on_warm("works", || async { Ok(()) });
    let warmed = body(service.post("/v1/cache/warm").send().await.unwrap(), 200).await;
    assert_eq!((&warmed["warmed"], &warmed["failed"]), (&1.into(), &1.into()));
    assert_eq!(warmed["parts"][0]["error"], "no such source");
}
