//! What can go wrong with tools and jobs.

use std::path::PathBuf;

use serde::Serialize;
use trackside_core::{ErrorKind, RetryClass, TaskId};

/// An operation on tools or jobs that failed.
///
/// ```
/// use trackside_jobs::Error;
/// let error = Error::UnknownTool { name: "word-idex".into(), suggestion: Some("word-index".into()) };
/// assert_eq!(error.to_string(), "unknown tool `word-idex`, did you mean `word-index`?");
/// assert!(!error.is_retryable());
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No tool has this name.
    #[error("unknown tool `{name}`{}", did_you_mean(suggestion.as_deref()))]
    UnknownTool {
        /// The name that was asked for.
        name: String,
        /// The nearest name that exists.
        suggestion: Option<String>,
    },
    /// The parameters do not fit the tool's schema.
    #[error("invalid parameters for tool `{tool}`: {}", join(errors))]
    InvalidParams {
        /// The tool.
        tool: String,
        /// Every field that is wrong.
        errors: Vec<FieldError>,
    },
    /// Nothing is known of this job: it never existed, or its history was pruned.
    #[error("job {0} is unknown")]
    UnknownJob(TaskId),
    /// The job has no output of this name here.
    #[error("job {job} has no output `{name}` here: {reason}")]
    UnknownOutput {
        /// The job.
        job: TaskId,
        /// The output that was asked for.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// A cursor that this list did not hand out.
    #[error("the cursor is not one that this list handed out")]
    InvalidCursor,
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] trackside_queue::Error),
    /// The job history, the status store or the job updates failed; `kind` says how.
    #[error("{store}: {operation} failed")]
    Store {
        /// Which one, such as `job history`.
        store: &'static str,
        /// The operation, by its name in metrics.
        operation: &'static str,
        /// How it failed.
        kind: ErrorKind,
        /// The store's own error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, such as `create`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// One field of a request that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The field, with dots between its parts: `params.filter.top`.
    pub field: String,
    /// What is wrong with it, in one line.
    pub message: String,
}

// === impl Error ===

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownTool { .. } | Self::UnknownJob(_) | Self::UnknownOutput { .. } => ErrorKind::NotFound,
            Self::InvalidParams { .. } | Self::InvalidCursor => ErrorKind::InvalidInput,
            Self::Queue(error) => error.kind(),
            Self::Store { kind, .. } => *kind,
            Self::Io { .. } => ErrorKind::Internal,
        }
    }

    /// True when the call had no effect and may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind().retry_class() == RetryClass::Safe
    }

    /// Wraps a failure to read or write a file.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { action, path: path.into(), source }
    }
}

/// `, did you mean …?` or nothing.
pub(crate) fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!(", did you mean `{name}`?")).unwrap_or_default()
}

/// The candidate that `name` is most likely a slip of.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

fn join(errors: &[FieldError]) -> String {
    let lines: Vec<String> = errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect();
    lines.join("; ")
}
