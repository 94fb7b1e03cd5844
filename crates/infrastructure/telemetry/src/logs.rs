//! Log lines on standard error.

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry::LookupSpan};

use crate::{Config, Error, LogFormat};

/// What is kept quiet unless the user's filter names it. OpenTelemetry's own complaints repeat for as long as a
/// collector is away; [`traces`](crate::traces) says it once instead. (One of its targets has a hyphen.) The Redis driver
/// tells an outage for each connection and dial; trackside-redis says it once instead.
const QUIET: &str = "fred=off,opentelemetry=off,opentelemetry_sdk=off,opentelemetry-otlp=off,opentelemetry_otlp=off,\
                     opentelemetry-http=off,opentelemetry-prometheus=off,hyper=warn,hyper_util=warn,h2=warn,\
                     reqwest=warn,rustls=warn,tower=warn";

/// The user's directives after ours: for the same target the later one holds.
pub(crate) fn filter(directives: &str) -> Result<EnvFilter, Error> {
    // Parsed alone first, so that a mistake is reported in the user's words.
    let invalid = |source| Error::InvalidFilter { filter: directives.to_owned(), source };
    EnvFilter::builder().parse(directives).map_err(invalid)?;
    EnvFilter::builder().parse(format!("{QUIET},{directives}")).map_err(invalid)
}

/// The layer that writes the lines.
pub(crate) fn layer<S>(config: &Config) -> Result<Box<dyn Layer<S> + Send + Sync>, Error>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let filter = filter(&config.log_filter)?;
    let terminal = io::stderr().is_terminal();
    let json = match config.log_format {
        LogFormat::Json => true,
        LogFormat::Pretty => false,
        LogFormat::Auto => !terminal,
    };
    let lines = fmt::layer().with_writer(io::stderr);
    Ok(if json {
        // All spans and not only the innermost: the request's span carries the correlation id.
        let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(true);
        lines.with_filter(filter).boxed()
    } else if terminal {
        // Coloured unless `NO_COLOR` is set, which the layer looks at by itself.
        lines.with_filter(filter).boxed()
    } else {
        lines.with_ansi(false).with_filter(filter).boxed()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noisy_libraries_are_quiet_unless_they_are_named() {
        let quiet = filter("info").unwrap().to_string();
        assert!(quiet.contains("fred=off") && quiet.contains("opentelemetry-otlp=off"), "{quiet}");
        let named = filter("info,fred=debug,opentelemetry_sdk=warn").unwrap().to_string();
        assert!(named.contains("fred=debug") && !named.contains("fred=off"), "{named}");
        assert!(named.contains("opentelemetry_sdk=warn") && !named.contains("opentelemetry_sdk=off"), "{named}");
    }

    #[test]
    fn a_mistake_in_the_filter_is_reported_in_the_users_words() {
        let error = filter("info,trackside=loud").unwrap_err();
        assert_eq!(error.to_string(), "invalid log filter \"info,trackside=loud\"");
    }
}
