//! `Cache-Control`, of a request or of an answer (RFC 9111, section 5.2).

use std::time::Duration;

use http::{HeaderMap, HeaderName, header};

/// The directives that matter here. One that names fields (`private="set-cookie"`) is taken as if it named none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Directives {
    pub(super) no_store: bool,
    pub(super) no_cache: bool,
    pub(super) private: bool,
    pub(super) must_revalidate: bool,
    pub(super) only_if_cached: bool,
    pub(super) max_age: Option<Duration>,
    pub(super) s_maxage: Option<Duration>,
    pub(super) stale_while_revalidate: Option<Duration>,
    pub(super) stale_if_error: Option<Duration>,
}

// === impl Directives ===

impl Directives {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut directives = Self::default();
        for value in texts(headers, &header::CACHE_CONTROL) {
            split(value).for_each(|directive| directives.add(directive));
        }
        // What clients said before there was Cache-Control.
        if !headers.contains_key(header::CACHE_CONTROL) {
            directives.no_cache = texts(headers, &header::PRAGMA).any(|value| value.eq_ignore_ascii_case("no-cache"));
        }
        directives
    }

    fn add(&mut self, directive: &str) {
        let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
        // A time that cannot be read is none: the answer is stale at once.
        let seconds = || Some(Duration::from_secs(argument.trim().trim_matches('"').parse().unwrap_or(0)));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" => self.no_store = true,
            "no-cache" => self.no_cache = true,
            "private" => self.private = true,
            "must-revalidate" | "proxy-revalidate" => self.must_revalidate = true,
            "only-if-cached" => self.only_if_cached = true,
            "max-age" => self.max_age = seconds(),
            "s-maxage" => self.s_maxage = seconds(),
            "stale-while-revalidate" => self.stale_while_revalidate = seconds(),
            "stale-if-error" => self.stale_if_error = seconds(),
            _ => {}
        }
    }
}

/// The values of a header that are text.
pub(super) fn texts<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
}

/// The members of a list, where a comma in quotes separates nothing.
pub(super) fn split(list: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let at_comma = move |c: char| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    };
    list.split(at_comma).map(str::trim).filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(HeaderName, &'static str)]) -> Directives {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value.parse().unwrap());
        }
        Directives::of(&headers)
    }

    #[test]
    fn directives_are_read_from_all_headers_in_any_case() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let read = of(&[
            (header::CACHE_CONTROL, "Public, MAX-AGE=60,s-maxage=\"120\""),
            (header::CACHE_CONTROL, "stale-while-revalidate=5, stale-if-error=7 ,must-revalidate"),
        ]);
        let expected = Directives {
            must_revalidate: true,
            max_age: seconds(60),
            s_maxage: seconds(120),
            stale_while_revalidate: seconds(5),
            stale_if_error: seconds(7),
            ..Directives::default()
        };
        assert_eq!(read, expected);
        let read = of(&[(header::CACHE_CONTROL, "private=\"set-cookie, no-store\", max-age=soon")]);
        assert_eq!(read, Directives { private: true, max_age: seconds(0), ..Directives::default() });
        assert!(of(&[(header::PRAGMA, "no-cache")]).no_cache);
        assert!(!of(&[(header::PRAGMA, "no-cache"), (header::CACHE_CONTROL, "max-age=9")]).no_cache);
    }
}
