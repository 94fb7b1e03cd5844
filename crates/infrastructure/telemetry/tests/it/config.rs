//! The variables that OpenTelemetry standardises.

use std::{collections::HashMap, time::Duration};

use trackside_telemetry::{Error, LogFormat, OtlpConfig};

fn read(variables: &[(&str, &str)]) -> Result<Option<OtlpConfig>, Error> {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    OtlpConfig::from_variables(|name| variables.get(name).map(|value| (*value).to_owned()))
}

#[test]
fn nothing_set_means_no_collector() {
    assert_eq!(read(&[]).unwrap(), None);
    assert_eq!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]).unwrap(), None);
}

#[test]
fn the_address_for_traces_goes_before_the_common_one_and_is_used_as_it_stands() {
    let common = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4318/");
    assert_eq!(read(&[common]).unwrap().unwrap().traces_url, "http://all:4318/v1/traces");
    let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4318/in");
    assert_eq!(read(&[common, own]).unwrap().unwrap().traces_url, "http://traces:4318/in");
}

#[test]
fn tracing_can_be_switched_off() {
    let address = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4318");
    assert_eq!(read(&[address, ("OTEL_SDK_DISABLED", "true")]).unwrap(), None);
    assert_eq!(read(&[address, ("OTEL_TRACES_EXPORTER", "none")]).unwrap(), None);
}

#[test]
fn headers_and_time_out_are_read_and_header_values_are_never_shown() {
    let otlp = read(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4318"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s3cret, tenant = a"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
    ]);
    let otlp = otlp.unwrap().unwrap();
    assert_eq!(otlp.timeout, Duration::from_millis(250));
    assert_eq!(otlp.headers, [("api-key".to_owned(), "s3cret".to_owned()), ("tenant".to_owned(), "a".to_owned())]);
    let shown = format!("{otlp:?}");
    assert!(shown.contains("api-key") && !shown.contains("s3cret"), "{shown}");
}

#[test]
fn what_cannot_be_understood_is_an_error_that_keeps_secrets() {
    let address = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4318");
    let error = read(&[address, ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret")]).unwrap_err();
    assert!(!format!("{error:?} {error}").contains("s3cret"));
    assert!(read(&[address, ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")]).is_err());
}

#[test]
fn log_formats_are_known_by_name() {
    assert_eq!("auto".parse::<LogFormat>().unwrap(), LogFormat::Auto);
    assert_eq!("pretty".parse::<LogFormat>().unwrap(), LogFormat::Pretty);
    assert!("xml".parse::<LogFormat>().unwrap_err().to_string().contains("pretty, json and auto"));
}
