//! Tokens of any bytes: one spelling each, and nothing of another length or alphabet is one.

use proptest::{prelude::*, sample::Index};
use trackside_session::{SealingKey, SessionToken};

/// What 64 bytes look like.
const TOKEN: &str = "trs1_[A-Za-z0-9_-]{85}[AQgw]";

proptest! {
    #[test]
    fn a_token_is_written_as_it_was_read(text in TOKEN) {
        let token: SessionToken = text.parse().unwrap();
        prop_assert_eq!(&token.expose(), &text);
        let shown = format!("{token:?}");
        prop_assert!(!shown.contains(&text[48..]), "the secret is hidden: {}", shown);
    }

    #[test]
    fn a_token_in_which_a_character_was_changed_is_refused_or_another_one(text in TOKEN, at: Index, other in "\\PC") {
        let mut characters: Vec<String> = text.chars().map(String::from).collect();
        let at = at.index(characters.len());
        prop_assume!(characters[at] != other);
        characters[at] = other;
        let changed = characters.concat();
        let token: SessionToken = text.parse().unwrap();
        if let Ok(changed) = changed.parse::<SessionToken>() {
            prop_assert!(changed.key() != token.key() || changed.hash() != token.hash());
        }
    }

    #[test]
    fn a_token_that_was_cut_or_continued_is_refused(text in TOKEN, at: Index, more in "[A-Za-z0-9_=-]{1,4}") {
        prop_assert!(text[..at.index(text.len())].parse::<SessionToken>().is_err());
        let longer = text + &more;
        prop_assert!(longer.parse::<SessionToken>().is_err());
    }

    #[test]
    fn any_text_is_read_without_harm(text in "\\PC{0,120}") {
        prop_assert!(text.parse::<SessionToken>().is_err());
        let _key = text.parse::<SealingKey>();
    }
}
