//! [`SessionHandle`]: the session of one request.

use std::{
    fmt,
    sync::{Arc, Mutex as StdMutex, PoisonError},
};

use http::HeaderValue;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::cookie::{Carrier, Cookie};
use crate::{Error, NewSession, Rotated, Rotation, Session, SessionManager, SessionToken};

/// The session of a request, and the way to change it. Clones share it.
///
/// ```no_run
/// # async fn handler(handle: trackside_session::SessionHandle) -> Result<(), Box<dyn std::error::Error>> {
/// use trackside_session::NewSession;
/// // After the password was checked: the response sets the cookie.
/// let (_token, session) = handle.log_in(NewSession::of("alice".parse()?)).await?;
/// # let _ = session; Ok(()) }
/// ```
#[derive(Clone)]
pub struct SessionHandle {
    inner: Arc<Inner>,
}

struct Inner {
    sessions: SessionManager,
    cookie: Arc<Cookie>,
    carrier: Carrier,
    state: Mutex<State>,
    /// The header that the response gets.
    set_cookie: StdMutex<Option<HeaderValue>>,
}

/// What is known of the session by now.
struct State {
    token: Option<SessionToken>,
    loaded: Option<Session>,
}

// === impl SessionHandle ===

impl SessionHandle {
    pub(super) fn new(
        sessions: SessionManager,
        cookie: Arc<Cookie>,
        carrier: Carrier,
        token: Option<SessionToken>,
    ) -> Self {
        let state = Mutex::new(State { token, loaded: None });
        Self { inner: Arc::new(Inner { sessions, cookie, carrier, state, set_cookie: StdMutex::default() }) }
    }

    /// The sessions of the application.
    #[must_use]
    pub fn sessions(&self) -> &SessionManager {
        &self.inner.sessions
    }

    /// The session, loaded and extended once per request.
    ///
    /// # Errors
    /// As [`SessionManager::load`]; [`Error::NoSession`] without a token.
    pub async fn current(&self) -> Result<Session, Error> {
        let mut state = self.inner.state.lock().await;
        if let Some(session) = &state.loaded {
            return Ok(session.clone());
        }
        let token = state.token.as_ref().ok_or(Error::NoSession)?;
        let session = self.inner.sessions.load(token).await?;
        state.loaded = Some(session.clone());
        Ok(session)
    }

    /// Creates the session of a user who has just proved who it is, and sets the cookie. The session that the request came
    /// with, if any, is ended. For a program that keeps its token itself, [`SessionManager::create`] is enough.
    ///
    /// # Errors
    /// As [`SessionManager::create`].
    pub async fn log_in(&self, new: NewSession) -> Result<(SessionToken, Session), Error> {
        let mut state = self.inner.state.lock().await;
        let (token, session) = self.inner.sessions.create(new).await?;
        if let Some(before) = state.token.take()
            && let Err(error) = self.inner.sessions.destroy(&before).await
        {
            // It is not the session of this browser any more, and ends by itself.
            tracing::warn!(session.id = %before.session_id(), error = %error, "the session before a log-in was not ended");
        }
        self.answer(self.inner.cookie.set(&token, &session));
        *state = State { token: Some(token.clone()), loaded: Some(session.clone()) };
        Ok((token, session))
    }

    /// Replaces the secret, see [`SessionManager::rotate`], and sets the cookie if the token came in one. Whoever came with a
    /// bearer token must be told the new one.
    ///
    /// # Errors
    /// As [`SessionManager::rotate`].
    pub async fn rotate(&self, rotation: Rotation) -> Result<Rotated, Error> {
        let mut state = self.inner.state.lock().await;
        let token = state.token.as_ref().ok_or(Error::NoSession)?;
        let rotated = self.inner.sessions.rotate(token, rotation).await?;
        if self.inner.carrier == Carrier::Cookie {
            self.answer(self.inner.cookie.set(&rotated.token, &rotated.session));
        }
        *state = State { token: Some(rotated.token.clone()), loaded: Some(rotated.session.clone()) };
        Ok(rotated)
    }

    /// Changes the context, see [`SessionManager::patch`].
    ///
    /// # Errors
    /// As [`SessionManager::patch`].
    pub async fn patch(&self, patch: &Map<String, Value>) -> Result<Session, Error> {
        let mut state = self.inner.state.lock().await;
        let token = state.token.as_ref().ok_or(Error::NoSession)?;
        let session = match state.loaded.clone() {
            Some(loaded) => self.inner.sessions.patch_loaded(token, loaded, patch).await?,
            None => self.inner.sessions.patch(token, patch).await?,
        };
        state.loaded = Some(session.clone());
        Ok(session)
    }

    /// Logs out and removes the cookie. Answers whether there was a session to end.
    ///
    /// # Errors
    /// As [`SessionManager::destroy`]; the cookie stays then.
    pub async fn log_out(&self) -> Result<bool, Error> {
        let mut state = self.inner.state.lock().await;
        let ended = match &state.token {
            Some(token) => self.inner.sessions.destroy(token).await?,
            None => false,
        };
        *state = State { token: None, loaded: None };
        if self.inner.carrier == Carrier::Cookie {
            self.answer(self.inner.cookie.removed());
        }
        Ok(ended)
    }

    /// Logs the user out everywhere and removes the cookie.
    ///
    /// # Errors
    /// As [`current`](Self::current) and [`SessionManager::destroy_all`]; the cookie stays then.
    pub async fn log_out_everywhere(&self) -> Result<(), Error> {
        let session = self.current().await?;
        self.inner.sessions.destroy_all(&session.user_id).await?;
        self.log_out().await.map(drop)
    }

    fn answer(&self, header: Option<HeaderValue>) {
        *self.inner.set_cookie.lock().unwrap_or_else(PoisonError::into_inner) = header;
    }

    /// The header that the response gets.
    pub(super) fn take_set_cookie(&self) -> Option<HeaderValue> {
        self.inner.set_cookie.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionHandle").field("carrier", &self.inner.carrier).finish_non_exhaustive()
    }
}
