//! Under which key the answer to a request is kept, and the tag of its path.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, Uri, header, request::Parts};
use sha2::{Digest as _, Sha256};

use super::{Credentials, ResponseCacheConfig, VaryByQuery};
use crate::{NamespaceName, Tag};

/// As much of the path as stands in a key, for whoever looks at it.
const SHOWN_PATH: usize = 100;

/// The key of a request: the beginning of its path, and a hash of all that its answer varies by. A credential is in the hash
/// only.
pub(super) fn key_of(request: &Parts, config: &ResponseCacheConfig) -> String {
    let mut digest = Sha256::new();
    let mut add = |part: &[u8]| {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    };
    add(request.uri.path().as_bytes());
    add(query_of(&request.uri, &config.query).as_bytes());
    let separate: &[HeaderName] = match config.credentials {
        Credentials::Separate => &config.credential_headers,
        Credentials::Bypass | Credentials::Share => &[],
    };
    for name in config.vary_by.iter().chain(separate) {
        add(name.as_str().as_bytes());
        add(&value_of(name, &request.headers, &request.uri));
    }
    let plain = |c: char| if c.is_ascii_alphanumeric() || "/-_.".contains(c) { c } else { '~' };
    let path: String = request.uri.path().chars().take(SHOWN_PATH).map(plain).collect();
    format!("{path}:{}", hex(&digest.finalize()[..]))
}

/// The tag that all answers of a path bear, in their namespace.
pub(super) fn tag_of(namespace: &NamespaceName, path: &str) -> Option<Tag> {
    let digest = Sha256::digest(path.as_bytes());
    format!("uri:{namespace}:{}", hex(&digest[..16])).parse().ok()
}

/// The first bytes of a hash of some bytes, in hexadecimal.
pub(super) fn fingerprint(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes)[..16])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// All values of a header with what separates them; the host of a request over HTTP/2 stands in its target.
fn value_of(name: &HeaderName, headers: &HeaderMap, uri: &Uri) -> Vec<u8> {
    if let (&header::HOST, Some(authority)) = (name, uri.authority()) {
        return authority.as_str().to_ascii_lowercase().into_bytes();
    }
    let mut value = headers.get_all(name).iter().map(http::HeaderValue::as_bytes).collect::<Vec<_>>().join(&b',');
    if *name == header::HOST {
        value.make_ascii_lowercase();
    }
    value
}

fn query_of(uri: &Uri, vary: &VaryByQuery) -> String {
    let query = uri.query().unwrap_or_default();
    let name = |pair: &&str| pair.split('=').next().unwrap_or_default().to_owned();
    let mut pairs: Vec<&str> = match vary {
        VaryByQuery::Ignored => Vec::new(),
        VaryByQuery::Whole => query.split('&').filter(|pair| !pair.is_empty()).collect(),
        VaryByQuery::Only(names) => query.split('&').filter(|pair| names.contains(&name(pair))).collect(),
    };
    // Stable: parameters of one name stay in their order, which may matter.
    pairs.sort_by_key(name);
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn key(uri: &str, headers: &[(&str, &str)], config: &ResponseCacheConfig) -> String {
        let request = headers.iter().fold(Request::get(uri), |request, (name, value)| request.header(*name, *value));
        key_of(&request.body(()).unwrap().into_parts().0, config)
    }

    #[test]
    fn a_key_varies_by_path_query_and_the_headers_of_the_settings_and_by_nothing_else() {
        let config = ResponseCacheConfig::default();
        let of = |uri, headers: &[(&str, &str)]| key(uri, headers, &config);
        let same = of("/a?x=1&y=2", &[("host", "h")]);
        assert_eq!(same, of("/a?y=2&x=1", &[("host", "H"), ("user-agent", "u")]));
        assert_eq!(same, of("http://h/a?x=1&y=2", &[]));
        for (uri, headers) in [
            ("/b?x=1&y=2", vec![("host", "h")]),
            ("/a?x=2&y=1", vec![("host", "h")]),
            ("/a?x=1", vec![("host", "h")]),
            ("/a?x=1&y=2", vec![("host", "evil")]),
            ("/a?x=1&y=2", vec![("host", "h"), ("accept", "text/plain")]),
        ] {
            assert_ne!(same, of(uri, &headers), "{uri} {headers:?}");
        }
        assert_ne!(of("/a?x=1&x=2", &[]), of("/a?x=2&x=1", &[]), "one parameter twice, in its order");
        assert!(same.starts_with("/a:") && same.len() == 67, "{same}");
        assert!(of(&format!("/{}", "%7b".repeat(300)), &[]).len() < 200);
    }

    #[test]
    fn a_query_may_matter_in_part_or_not_at_all_and_credentials_if_they_are_to() {
        let only = ResponseCacheConfig { query: VaryByQuery::Only(vec!["p".to_owned()]), ..Default::default() };
        assert_eq!(key("/a?p=1&utm=2", &[], &only), key("/a?utm=3&p=1", &[], &only));
        assert_ne!(key("/a?p=1", &[], &only), key("/a?p=2", &[], &only));
        let ignored = ResponseCacheConfig { query: VaryByQuery::Ignored, ..Default::default() };
        assert_eq!(key("/a?p=1", &[], &ignored), key("/a", &[], &ignored));
        let separate = ResponseCacheConfig { credentials: Credentials::Separate, ..Default::default() };
        let of = |value| key("/a", &[("authorization", value)], &separate);
        assert_ne!(of("Bearer ada"), of("Bearer bob"));
        assert!(!of("Bearer ada").contains("ada"));
    }
}
