//! The context of one request: its user, thread, run and request id, checked once.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::InvalidId;
use crate::id::{RequestId, RunId, ThreadId, UserId};
use crate::protocol::message::json;
use crate::protocol::placeholder::{is_placeholder, is_unauthenticated};

/// Levels of children below a first context, at most.
///
/// ```
/// # use laneway::{ThreadId, UserId, protocol::*};
/// use laneway::protocol::MAX_DEPTH;
///
/// # let ids = (UserId::new("ann")?, ThreadId::new("t-7")?, RunId::new("r-7")?);
/// let mut context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
/// for _ in 0..MAX_DEPTH {
///     context = context.child(Default::default())?;
/// }
/// assert_eq!(context.child(Default::default()), Err(ContextError::TooDeep));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub const MAX_DEPTH: u8 = 10;

/// Names that metadata may not use, because the context itself answers them.
const RESERVED: [&str; 5] = ["user_id", "thread_id", "run_id", "request_id", "created_at"];

/// The rule that a refused context breaks.
///
/// ```
/// # use laneway::{ThreadId, UserId, protocol::*};
/// # let (thread, run) = (ThreadId::new("t-7")?, RunId::new("r-7")?);
/// let refused = UserContext::builder(UserId::new("placeholder")?, thread, run).build();
/// assert_eq!(refused, Err(ContextError::Placeholder { id: "user" }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContextError {
    /// An id breaks a rule that holds for all ids.
    InvalidId(InvalidId),
    /// An id is a placeholder such as `default`, `null` or `temp_1`.
    Placeholder {
        /// The id that is refused: `user`, `thread` or `run`.
        id: &'static str,
    },
    /// The host has not authenticated the user yet: the id is `pending_auth` or the like.
    Unauthenticated,
    /// Metadata uses a name that belongs to the context itself.
    ReservedMetadata {
        /// The name that is refused.
        name: &'static str,
    },
    /// The parent is [`MAX_DEPTH`] levels deep already.
    TooDeep,
    /// Metadata is nested more than 126 levels deep.
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

impl Error for ContextError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::InvalidId(error) => Some(error),
            _ => None,
        }
    }
}

impl From<InvalidId> for ContextError {
    fn from(error: InvalidId) -> Self {
        Self::InvalidId(error)
    }
}

/// The ids and the metadata of one request. Immutable, and cheap to clone.
///
/// Clones share their metadata, which no method changes. A [child](Self::child) has its own.
/// Each method is wait-free; [`child`](Self::child) and [`build`](ContextBuilder::build) allocate.
///
/// ```
/// use laneway::protocol::{RunId, UserContext};
/// use laneway::{ThreadId, UserId};
///
/// let (ann, thread, run) = (UserId::new("ann")?, ThreadId::new("t-7")?, RunId::new("r-7")?);
/// let context = UserContext::builder(ann.clone(), thread, run).build()?;
/// assert_eq!(context.user(), &ann);
/// assert_eq!(context.depth(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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

/// Collects the parts of a [`UserContext`], and checks them in [`build`](Self::build).
///
/// ```
/// # use laneway::{ThreadId, UserId, protocol::*};
/// use laneway::protocol::ContextBuilder;
///
/// # let (thread, run) = (ThreadId::new("t-7")?, RunId::new("r-7")?);
/// let builder: ContextBuilder = UserContext::builder(UserId::new("test_ann")?, thread, run);
/// assert!(builder.allow_test_ids().build().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    /// Allows ids that begin with `test_`. The builder refuses them otherwise.
    ///
    /// ```
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let (thread, run) = (ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// let builder = UserContext::builder(UserId::new("test_ann")?, thread, run);
    /// assert!(builder.clone().build().is_err());
    /// assert!(builder.allow_test_ids().build().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn allow_test_ids(mut self) -> Self {
        self.test_ids = true;
        self
    }

    /// Sets the host's own data about the request. A second call replaces the first.
    ///
    /// [`build`](Self::build) refuses metadata that is nested more than 126 levels deep, or that uses
    /// one of the names `user_id`, `thread_id`, `run_id`, `request_id` and `created_at`.
    ///
    /// ```
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let ids = (UserId::new("ann")?, ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// let metadata = serde_json::Map::from_iter([("locale".to_owned(), "fr".into())]);
    /// let context = UserContext::builder(ids.0, ids.1, ids.2).metadata(metadata).build()?;
    /// assert_eq!(context.metadata()["locale"], "fr");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn metadata(mut self, metadata: Map<String, Value>) -> Self {
        self.metadata = checked(metadata);
        self
    }

    /// Checks all parts, and draws a random request id.
    ///
    /// ```
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let (thread, run) = (ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// let early = UserContext::builder(UserId::new("pending_auth")?, thread, run).build();
    /// assert_eq!(early, Err(ContextError::Unauthenticated));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ContextError`] names the first rule that is broken.
    ///
    /// # Panics
    ///
    /// Panics if the system has no random numbers.
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
    /// Starts a context from a user, one of the user's threads, and a run.
    ///
    /// ```
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// let (ann, thread, run) = (UserId::new("ann")?, ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// let context = UserContext::builder(ann, thread.clone(), run).build()?;
    /// assert_eq!(context.thread(), &thread);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(user: UserId, thread: ThreadId, run: RunId) -> ContextBuilder {
        ContextBuilder {
            user,
            thread,
            run,
            metadata: Ok(Map::new()),
            test_ids: false,
        }
    }

    /// Creates the context of a part of this request.
    ///
    /// A child has the same user, thread and run, a new random request id, and only the metadata that
    /// this call passes.
    ///
    /// ```
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let ids = (UserId::new("ann")?, ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// let whole = UserContext::builder(ids.0, ids.1, ids.2).build()?;
    /// let part = whole.child(Default::default())?;
    /// assert_eq!(part.parent(), Some(whole.request()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`ContextError::TooDeep`] if this context is [`MAX_DEPTH`] levels deep.
    /// * [`ContextError::ReservedMetadata`] and [`ContextError::MetadataTooDeep`] as in
    ///   [`ContextBuilder::metadata`].
    ///
    /// # Panics
    ///
    /// Panics if the system has no random numbers.
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

    /// Returns the user of the request.
    ///
    /// ```
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let ids = (UserId::new("ann")?, ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
    /// assert_eq!(context.user().as_str(), "ann");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.0.user
    }
    /// Returns the conversation that the request is a part of.
    ///
    /// ```
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let ids = (UserId::new("ann")?, ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
    /// assert_eq!(context.thread().as_str(), "t-7");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn thread(&self) -> &ThreadId {
        &self.0.thread
    }
    /// Returns the run of the agent that works on the request.
    ///
    /// ```
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let ids = (UserId::new("ann")?, ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
    /// assert_eq!(context.run().as_str(), "r-7");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.0.run
    }
    /// Returns the request id: random, and different for each context.
    ///
    /// ```
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let ids = (UserId::new("ann")?, ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
    /// assert_ne!(context.request(), context.child(Default::default())?.request());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn request(&self) -> &RequestId {
        &self.0.request
    }
    /// Returns the request that this one is a part of. `None` for a first context.
    ///
    /// ```
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let ids = (UserId::new("ann")?, ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
    /// assert_eq!(context.parent(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn parent(&self) -> Option<&RequestId> {
        self.0.parent.as_ref()
    }
    /// Returns the number of ancestors: 0 for a first context, at most [`MAX_DEPTH`].
    ///
    /// ```
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let ids = (UserId::new("ann")?, ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
    /// assert_eq!(context.child(Default::default())?.depth(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn depth(&self) -> u8 {
        self.0.depth
    }
    /// Returns the host's own data about the request.
    ///
    /// ```
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let ids = (UserId::new("ann")?, ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
    /// assert!(context.metadata().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn metadata(&self) -> &Map<String, Value> {
        &self.0.metadata
    }
}

/// Returns metadata that a context may have.
///
/// The default drop of nested values recurses, and a deep value would overflow the stack. So this
/// function takes a value that is too deep apart without recursion.
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
