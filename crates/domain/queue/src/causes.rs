//! An error and its causes, written as one text and told apart again.

use std::error::Error;

/// What stands between an error and its cause.
const BECAUSE: &str = "\ncaused by: ";

/// The error and all its causes, outermost first. A cause that says what the error above it said is left out.
pub(crate) fn text_of(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut last = text.clone();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if said != last {
            text.push_str(BECAUSE);
            text.push_str(&said);
        }
        last = said;
        next = cause.source();
    }
    text
}

/// An error whose causes are known by what they say.
pub(crate) fn join(error: &str, causes: &[String]) -> String {
    causes.iter().fold(error.to_owned(), |text, cause| text + BECAUSE + cause)
}

/// The error and each of its causes.
pub(crate) fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(BECAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{said}")]
    struct Failed {
        said: &'static str,
        #[source]
        because: Option<Box<Failed>>,
    }

    #[test]
    fn every_cause_is_written_once_and_told_apart_again() {
        let broken = Failed { said: "connection reset", because: None };
        let same = Failed { said: "connection reset", because: Some(Box::new(broken)) };
        let error = Failed { said: "cannot render", because: Some(Box::new(same)) };
        let text = text_of(&error);
        assert_eq!(text, "cannot render\ncaused by: connection reset");
        assert_eq!(split(&text).collect::<Vec<_>>(), ["cannot render", "connection reset"]);
        assert_eq!(join("cannot render", &["connection reset".to_owned()]), text);
        assert_eq!(split("plain").collect::<Vec<_>>(), ["plain"]);
    }
}
