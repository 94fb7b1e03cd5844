//! The kinds of problems: what each is called, its status, and what a caller can do about it.

use http::StatusCode;

/// The kinds of problems, each with a page of its own at `/problems/{slug}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProblemKind {
    MalformedJson,
    MalformedWebhook,
    Unauthorized,
    MissingScope,
    NotYours,
    CrossSiteRequest,
    HostNotAllowed,
    NotLoggedIn,
    NotFound,
    MethodNotAllowed,
    Conflict,
    LeaseLost,
    PreconditionFailed,
    PayloadTooLarge,
    SignatureInvalid,
    UnsupportedMediaType,
    InvalidRequest,
    LimitExceeded,
    TooManySessions,
    QueueFull,
    Internal,
    IdempotencyKeyReused,
    StoreUnavailable,
    StoreRefused,
    DurabilityUnavailable,
    DurabilityNotReached,
    RequestTimeout,
    BodyTooSlow,
    Overloaded,
    ShuttingDown,
    /// A status that a layer below answered without saying more.
    Plain(StatusCode),
}

// === impl ProblemKind ===

impl ProblemKind {
    /// Every kind that has a page.
    pub(crate) const ALL: [Self; 30] = [
        Self::MalformedJson,
        Self::MalformedWebhook,
        Self::Unauthorized,
        Self::MissingScope,
        Self::NotYours,
        Self::CrossSiteRequest,
        Self::HostNotAllowed,
        Self::NotLoggedIn,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Conflict,
        Self::LeaseLost,
        Self::PreconditionFailed,
        Self::PayloadTooLarge,
        Self::SignatureInvalid,
        Self::UnsupportedMediaType,
        Self::InvalidRequest,
        Self::LimitExceeded,
        Self::TooManySessions,
        Self::QueueFull,
        Self::Internal,
        Self::IdempotencyKeyReused,
        Self::StoreUnavailable,
        Self::StoreRefused,
        Self::DurabilityUnavailable,
        Self::DurabilityNotReached,
        Self::RequestTimeout,
        Self::BodyTooSlow,
        Self::Overloaded,
        Self::ShuttingDown,
    ];

    /// Slug, status, title, and what a caller can do: the one table of all kinds.
    const fn describe(self) -> (&'static str, StatusCode, &'static str, &'static str) {
        match self {
            Self::MalformedJson => (
                "malformed-json",
                StatusCode::BAD_REQUEST,
                "The body is not JSON",
                "The body could not be read as JSON at the line and column that `detail` names.",
            ),
            Self::MalformedWebhook => (
                "malformed-webhook",
                StatusCode::BAD_REQUEST,
                "The webhook is genuine and not understood",
                "Its signature is right, but the body is not JSON or the id of the delivery is missing; `detail` says which. \
                 Senders that offer a choice must be told to send JSON.",
            ),
            Self::Unauthorized => (
                "unauthorized",
                StatusCode::UNAUTHORIZED,
                "An API key is needed",
                "Show a key as `Authorization: Bearer trk_…` or `X-API-Key: trk_…`; a browser logs in at `/`. Whoever runs \
                 the service makes keys with `trackside token create`.",
            ),
            Self::MissingScope => (
                "missing-scope",
                StatusCode::FORBIDDEN,
                "The API key does not allow this",
                "`detail` names the scope that is missing. `trackside token create --scope …` makes a key that has it.",
            ),
            Self::NotYours => (
                "not-yours",
                StatusCode::FORBIDDEN,
                "The API key does not reach this",
                "The key is bound to some users, projects or tenants, and what was asked for is not theirs alone. Name one \
                 of them in the request, or use a key that is not bound.",
            ),
            Self::CrossSiteRequest => (
                "cross-site-request",
                StatusCode::FORBIDDEN,
                "Requests from other web sites are refused",
                "A browser sent this request on behalf of another site. Programs that are not browsers are not affected; \
                 a page that may call this service has to be served by it or be listed among the allowed origins.",
            ),
            Self::HostNotAllowed => (
                "host-not-allowed",
                StatusCode::FORBIDDEN,
                "The Host header does not name this service",
                "The service listens on the loopback interface and answers only to loopback names, so that no web site \
                 can reach it by pointing its own name at this machine. Use 127.0.0.1, localhost or [::1], or list the \
                 name among the allowed hosts.",
            ),
            Self::NotLoggedIn => (
                "not-logged-in",
                StatusCode::UNAUTHORIZED,
                "The request comes without a session",
                "There is no token, or it is of no session, or of one that is over: log in again. A token is sent as \
                 `Authorization: Bearer …`, or in the cookie that the log-in has set.",
            ),
            Self::NotFound => (
                "not-found",
                StatusCode::NOT_FOUND,
                "Nothing is known under this address",
                "It never existed, or its retention is over. The addresses of this service are listed at /docs.",
            ),
            Self::MethodNotAllowed => (
                "method-not-allowed",
                StatusCode::METHOD_NOT_ALLOWED,
                "The address does not take this method",
                "The Allow header lists the methods it takes.",
            ),
            Self::Conflict => (
                "conflict",
                StatusCode::CONFLICT,
                "The present state does not allow it",
                "Read the state again and decide anew.",
            ),
            Self::LeaseLost => (
                "lease-lost",
                StatusCode::CONFLICT,
                "The lease on the task is lost",
                "The lease ended, or another worker holds the task. What was to be written was not written; stop working \
                 on the task and lease the next one.",
            ),
            Self::PreconditionFailed => (
                "precondition-failed",
                StatusCode::PRECONDITION_FAILED,
                "The entry is not as the request wants it",
                "Somebody changed, made or removed it since. Read it again, and decide anew over the version that is there.",
            ),
            Self::PayloadTooLarge => (
                "payload-too-large",
                StatusCode::PAYLOAD_TOO_LARGE,
                "The body is too large",
                "Send less at once, or keep large data elsewhere and send its address.",
            ),
            Self::SignatureInvalid => (
                "signature-invalid",
                StatusCode::UNAUTHORIZED,
                "The webhook is not signed as it must be",
                "The signature is missing, was made with another secret, over other bytes, or too long ago. Compare the \
                 secret of the sender with the one in the settings, and both clocks.",
            ),
            Self::UnsupportedMediaType => (
                "unsupported-media-type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body is not of a type that is understood here",
                "Send JSON with `Content-Type: application/json`.",
            ),
            Self::InvalidRequest => (
                "invalid-request",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The request is not acceptable",
                "`errors` names each field, what is wrong with it and, for a misspelling, what was probably meant.",
            ),
            Self::LimitExceeded => (
                "limit-exceeded",
                StatusCode::TOO_MANY_REQUESTS,
                "A limit is reached",
                "Wait for the seconds that Retry-After names, then try again.",
            ),
            Self::TooManySessions => (
                "too-many-sessions",
                StatusCode::TOO_MANY_REQUESTS,
                "The user has as many sessions as allowed",
                "End one of them, which the list of the user's sessions names, and log in again. Nothing was changed.",
            ),
            Self::QueueFull => (
                "queue-full",
                StatusCode::TOO_MANY_REQUESTS,
                "The queue is full",
                "The queue holds as many tasks, or bytes, as its policy allows. Nothing was accepted, except what `tasks` \
                 names. Try again after Retry-After, when workers are likely to have made room; what is in the queue goes on.",
            ),
            Self::Internal => (
                "internal",
                StatusCode::INTERNAL_SERVER_ERROR,
                "The service failed",
                "A defect or a failure on this machine. The log has the cause under the correlation id.",
            ),
            Self::IdempotencyKeyReused => (
                "idempotency-key-reused",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The idempotency key was used for another request",
                "Within the time for which keys are remembered (a day, unless it is configured otherwise) a key names one \
                 request: repeat that one with exactly the same body, or take a new key. Nothing was accepted.",
            ),
            Self::StoreUnavailable => (
                "store-unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                "The store is away",
                "Nothing is promised while the store cannot be reached. Try again after Retry-After. When `detail` says \
                 that the outcome is unknown, the request may have had its effect: repeating it does no harm, except \
                 that a task or a job is then asked for twice. With an Idempotency-Key it is not.",
            ),
            Self::StoreRefused => (
                "store-refused",
                StatusCode::SERVICE_UNAVAILABLE,
                "The store refuses to work",
                "Its credentials, its access rules, its memory or its role do not allow the request. Somebody has to \
                 look at the store; the log has its words under the correlation id.",
            ),
            Self::DurabilityUnavailable => (
                "durability-unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                "The store cannot make tasks that safe",
                "`replicated` needs a replica that follows the store; `fsynced` needs an append-only file and Redis 7.2. \
                 Nothing was accepted, except what `tasks` names. Ask for less, or have somebody look at the store.",
            ),
            Self::DurabilityNotReached => (
                "durability-not-reached",
                StatusCode::SERVICE_UNAVAILABLE,
                "Accepted, but not as safe as asked for in time",
                "The tasks that `tasks` names are in the queue and will run; a failure of the store in this moment may lose \
                 them. Repeating the request under the same Idempotency-Key waits again and adds nothing.",
            ),
            Self::RequestTimeout => (
                "request-timeout",
                StatusCode::SERVICE_UNAVAILABLE,
                "The request took too long",
                "It was given up. Whether it had its effect is unknown: repeating it does no harm, except that a task or a \
                 job is then asked for twice. With an Idempotency-Key it is not.",
            ),
            Self::BodyTooSlow => (
                "body-too-slow",
                StatusCode::REQUEST_TIMEOUT,
                "The body took too long to arrive",
                "The request had no effect. Send the whole body at once, or less of it.",
            ),
            Self::Overloaded => (
                "overloaded",
                StatusCode::SERVICE_UNAVAILABLE,
                "The service has too much to do",
                "The request was refused before anything was done for it. Try again after Retry-After; another instance may \
                 have room at once.",
            ),
            Self::ShuttingDown => (
                "shutting-down",
                StatusCode::SERVICE_UNAVAILABLE,
                "The service is shutting down",
                "Try again after Retry-After, on the instance that takes over.",
            ),
            Self::Plain(status) => ("", status, "", ""),
        }
    }

    /// The stable name, such as `lease-lost`.
    pub(crate) const fn slug(self) -> &'static str {
        self.describe().0
    }

    /// The HTTP status.
    pub(crate) const fn status(self) -> StatusCode {
        self.describe().1
    }

    /// The kind in one line.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Plain(status) => status.canonical_reason().unwrap_or("Error"),
            _ => self.describe().2,
        }
    }

    /// What a caller can do about it.
    pub(crate) const fn advice(self) -> &'static str {
        self.describe().3
    }

    /// The kind that a bare status stands for.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Self::PayloadTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            StatusCode::INTERNAL_SERVER_ERROR => Self::Internal,
            other => Self::Plain(other),
        }
    }
}
