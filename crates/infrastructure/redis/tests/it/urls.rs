//! URLs of any shape: what they say is understood, and no password is shown.

use proptest::prelude::*;
use trackside_redis::{RedisUrl, compress};

/// Percent-encoded as a whole, so that any text may stand anywhere.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

proptest! {
    #[test]
    fn a_url_is_understood_whatever_its_user_and_password_are(
        tls: bool, valkey: bool, user in "[ -~]{0,12}", password in "\\PC{1,12}", host in "[a-z][a-z0-9.-]{0,9}[a-z]",
        port in 1_u16.., database: u8,
    ) {
        let scheme = format!("{}{}", if valkey { "valkey" } else { "redis" }, if tls { "s" } else { "" });
        let text = format!("{scheme}://{}:{}@{host}:{port}/{database}", encoded(&user), encoded(&password));
        let url: RedisUrl = text.parse().unwrap();
        prop_assert_eq!((url.database(), url.server_address()), (database, format!("{host}:{port}")));
        let tail = if database == 0 { String::new() } else { format!("/{database}") };
        let s = if tls { "s" } else { "" };
        prop_assert_eq!(url.to_string(), format!("redis{s}://{user}:***@{host}:{port}{tail}"));
    }

    #[test]
    fn a_text_that_is_no_url_is_refused_without_repeating_it(text in "\\PC{0,40}", password in "[a-z0-9]{12}") {
        let whole = format!("{text}://:{password}@{text}");
        let shown = whole.parse::<RedisUrl>().map_or_else(|error| error.to_string(), |url| format!("{url} {url:?}"));
        prop_assert!(!shown.contains(&password), "{}", shown);
    }

    #[test]
    fn any_value_is_read_as_it_was_stored(value in prop::collection::vec(0_u8..4, 0..600), above in 0_usize..600) {
        let mut stored = Vec::new();
        compress::pack(&mut stored, &value, above);
        prop_assert_eq!(compress::unpack(&stored.into()).unwrap(), value);
    }
}
