//! Whose work something is: user, thread, run and request, fixed once and checked.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::InvalidId;
use crate::id::{RequestId, RunId, ThreadId, UserId};
use crate::protocol::message::json;
use crate::protocol::placeholder::{is_placeholder, is_unauthenticated};

/// How deep children may be below their first context.
pub const MAX_DEPTH: u8 = 10;

/// Names that metadata may not use: the context itself says this.
const RESERVED: [&str; 5] = ["user_id", "thread_id", "run_id", "request_id", "created_at"];

/// Why there is no such context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContextError {
    /// An id that breaks a rule of all ids.
    InvalidId(InvalidId),
    /// An id that names nobody.
    Placeholder {
        /// `user`, `thread` or `run`.
        id: &'static str,
    },
    /// A user who has not been authenticated.
    Unauthenticated,
    /// Metadata uses a name of the context's own.
    ReservedMetadata {
        /// That name.
        name: &'static str,
    },
    /// A child of a child, and so on, [`MAX_DEPTH`] times.
    TooDeep,
    /// Metadata is nested more than 126 deep.
    MetadataTooDeep,
}

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidId(error) => error.fmt(f),
            Self::Placeholder { id } => write!(f, "the {id} id is a placeholder"),
            Self::Unauthenticated => f.write_str("the user is not authenticated yet"),
            Self::ReservedMetadata { name } => write!(f, "metadata may not contain {name}"),
            Self::TooDeep => write!(f, "a context has at most {MAX_DEPTH} levels of children"),
            Self::MetadataTooDeep => f.write_str("the metadata is nested too deeply"),
        }
    }
}

impl Error for ContextError {}

impl From<InvalidId> for ContextError {
    fn from(error: InvalidId) -> Self {
        Self::InvalidId(error)
    }
}

/// One request of one user: immutable, and cheap to clone.
///
/// Two contexts never share metadata, except clones of one, which nobody can change.
#[derive(Clone, Debug, PartialEq)]
pub struct UserContext(Arc<Inner>);

#[derive(Debug, PartialEq)]
struct Inner {
    user: UserId,
    thread: ThreadId,
    run: RunId,
    request: RequestId,
    parent: Option<RequestId>,
    depth: u8,
    metadata: Map<String, Value>,
}

/// Builds a [`UserContext`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ContextBuilder {
    user: UserId,
    thread: ThreadId,
    run: RunId,
    metadata: Result<Map<String, Value>, ContextError>,
    test_ids: bool,
}

impl ContextBuilder {
    /// Allows ids that begin with `test_`.
    pub fn allow_test_ids(mut self) -> Self {
        self.test_ids = true;
        self
    }

    /// What else there is to know. [`build`](Self::build) refuses what is nested more than 126 deep.
    pub fn metadata(mut self, metadata: Map<String, Value>) -> Self {
        self.metadata = checked(metadata);
        self
    }

    /// Checks everything and draws a request id.
    ///
    /// # Errors
    ///
    /// [`ContextError`] names the first rule that is broken.
    pub fn build(self) -> Result<UserContext, ContextError> {
        if is_unauthenticated(self.user.as_str()) {
            return Err(ContextError::Unauthenticated);
        }
        let ids = [
            ("user", self.user.as_str()),
            ("thread", self.thread.as_str()),
            ("run", self.run.as_str()),
        ];
        for (id, text) in ids {
            if is_placeholder(text, self.test_ids) {
                return Err(ContextError::Placeholder { id });
            }
        }
        let metadata = self.metadata?;
        Ok(UserContext(Arc::new(Inner {
            user: self.user,
            thread: self.thread,
            run: self.run,
            request: RequestId::generate(),
            parent: None,
            depth: 0,
            metadata,
        })))
    }
}

impl UserContext {
    /// Starts from a user, one of the user's threads, and a run.
    pub fn builder(user: UserId, thread: ThreadId, run: RunId) -> ContextBuilder {
        ContextBuilder {
            user,
            thread,
            run,
            metadata: Ok(Map::new()),
            test_ids: false,
        }
    }

    /// A part of this request: the same user, thread and run, a request id of its own, and only the
    /// metadata that is given here.
    ///
    /// # Errors
    ///
    /// [`ContextError::TooDeep`] below [`MAX_DEPTH`], [`ContextError::ReservedMetadata`],
    /// [`ContextError::MetadataTooDeep`].
    pub fn child(&self, metadata: Map<String, Value>) -> Result<Self, ContextError> {
        let metadata = checked(metadata);
        if self.0.depth == MAX_DEPTH {
            return Err(ContextError::TooDeep);
        }
        let metadata = metadata?;
        Ok(Self(Arc::new(Inner {
            user: self.0.user.clone(),
            thread: self.0.thread.clone(),
            run: self.0.run.clone(),
            request: RequestId::generate(),
            parent: Some(self.0.request.clone()),
            depth: self.0.depth + 1,
            metadata,
        })))
    }

    /// Whose it is.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.0.user
    }
    /// The conversation.
    #[must_use]
    pub fn thread(&self) -> &ThreadId {
        &self.0.thread
    }
    /// The run of an agent.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.0.run
    }
    /// This request, unique for ever.
    #[must_use]
    pub fn request(&self) -> &RequestId {
        &self.0.request
    }
    /// The request that this one is a part of.
    #[must_use]
    pub fn parent(&self) -> Option<&RequestId> {
        self.0.parent.as_ref()
    }
    /// 0, or one more than its parent's.
    #[must_use]
    pub fn depth(&self) -> u8 {
        self.0.depth
    }
    /// What else there is to know.
    #[must_use]
    pub fn metadata(&self) -> &Map<String, Value> {
        &self.0.metadata
    }
}

/// Metadata that a context may have. What it may not have is dropped here, however deep it is nested.
fn checked(metadata: Map<String, Value>) -> Result<Map<String, Value>, ContextError> {
    if !json::are_within(&metadata) {
        json::discard_fields(metadata);
        return Err(ContextError::MetadataTooDeep);
    }
    let reserved = RESERVED
        .into_iter()
        .find(|name| metadata.contains_key(*name));
    match reserved {
        Some(name) => Err(ContextError::ReservedMetadata { name }),
        None => Ok(metadata),
    }
}
