//! The check of a body's routing fields: they have to name the user to whom the body goes.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::id::UserId;
use crate::observe;
use crate::panics;
use crate::protocol::message::contamination::{
    Contaminated, Contamination, ForeignField, Isolated,
};
use crate::protocol::message::envelope::Message;
use crate::protocol::message::facts::routing;
use crate::protocol::message::json;
use crate::protocol::message::json::{MAX_NESTING, Visit};
use crate::sync::{AtomicU64, Ordering};

type Audit = Arc<dyn Fn(&UserId, &[ForeignField]) + Send + Sync>;

/// Checks each body before it is delivered, counts, and calls the host's audit. Cannot be turned off.
///
/// ```
/// use std::sync::Arc;
/// use laneway::protocol::{Broadcaster, Contamination, Isolation};
///
/// let isolation = Isolation::new(Contamination::Reject)
///     .audited(|receiver, fields| eprintln!("{} fields for {receiver:?}", fields.len()));
/// let broadcaster = Arc::new(Broadcaster::new(isolation));
/// # assert_eq!(broadcaster.stats().contaminations_prevented, 0);
/// ```
///
/// # Progress
///
/// A check is lock-free and linear in the body. A body without a foreign field costs one pass and no
/// allocation.
#[derive(Default)]
pub struct Isolation {
    policy: Contamination,
    audit: Option<Audit>,
    bodies: AtomicU64,
    fields: AtomicU64,
}

impl Isolation {
    /// Creates a check with this policy and without an audit.
    ///
    /// ```
    /// use laneway::protocol::{Contamination, Isolation};
    ///
    /// assert_eq!(Isolation::new(Contamination::Reject).contaminations_prevented(), 0);
    /// ```
    #[must_use]
    pub fn new(policy: Contamination) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }

    /// Sets the audit: `hook` is called once a body with foreign fields, with the true receiver.
    ///
    /// It runs in the publisher's call.
    ///
    /// ```
    /// # use laneway::UserId;
    /// # use laneway::protocol::{Contamination, Isolation};
    /// # let ann = UserId::new("ann")?;
    /// let (found, all) = std::sync::mpsc::channel();
    /// let isolation = Isolation::default().audited(move |receiver, fields| {
    ///     let _ = found.send((receiver.clone(), fields[0].found.clone()));
    /// });
    /// let _ = isolation.check(&serde_json::json!({"userId": "bob"}), &ann);
    /// assert_eq!(all.recv()?, (ann, "bob".into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// A panic of `hook` is caught, and changes nothing that is delivered.
    #[must_use]
    pub fn audited(
        mut self,
        hook: impl Fn(&UserId, &[ForeignField]) + Send + Sync + 'static,
    ) -> Self {
        self.audit = Some(Arc::new(hook));
        self
    }

    /// Looks for routing fields that do not name `receiver`, of any JSON type. Never changes `body`.
    ///
    /// Lock-free, linear in the body.
    ///
    /// ```
    /// # use laneway::UserId;
    /// # use laneway::protocol::{Contamination, Isolation};
    /// # let ann = UserId::new("ann")?;
    /// let body = serde_json::json!({"recipient_id": "bob", "text": "hello"});
    /// let isolated = Isolation::default().check(&body, &ann)?;
    /// assert_eq!(*isolated.body, serde_json::json!({"recipient_id": "ann", "text": "hello"}));
    /// assert_eq!(isolated.rewritten.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Contaminated`] if there are such fields, and the policy is to reject or the body is nested more
    /// than 126 deep. For a body that deep, the audit gets the names of the fields only.
    pub fn check<'a>(
        &self,
        body: &'a Value,
        receiver: &UserId,
    ) -> Result<Isolated<'a>, Contaminated> {
        if is_clean(body, receiver.as_str()) {
            return Ok(Isolated {
                body: Cow::Borrowed(body),
                rewritten: Vec::new(),
            });
        }
        if !json::is_within(body, MAX_NESTING) {
            let foreign = foreign_in(|visit| json::all(body, visit), receiver.as_str());
            let fields = self.settle(receiver, |fields| *fields = foreign)?;
            return Err(Contaminated { fields });
        }
        let mut copy = body.clone();
        let rewritten = self.settle(receiver, |foreign| {
            rewrite(&mut copy, receiver.as_str(), &mut String::new(), foreign);
        })?;
        Ok(Isolated {
            body: Cow::Owned(copy),
            rewritten,
        })
    }

    /// Collects the foreign fields with `rewrite`, counts them, and calls the audit.
    #[cold]
    fn settle(
        &self,
        receiver: &UserId,
        rewrite: impl FnOnce(&mut Vec<ForeignField>),
    ) -> Result<Vec<ForeignField>, Contaminated> {
        let mut fields = Vec::new();
        rewrite(&mut fields);
        self.bodies.fetch_add(1, Ordering::Relaxed);
        self.fields
            .fetch_add(fields.len() as u64, Ordering::Relaxed);
        observe::contaminated(fields.len(), fields.first().map(|foreign| foreign.field));
        if let Some(audit) = &self.audit {
            // A panic of the host's audit must not end the publisher's call.
            let _ = panics::contain(|| audit(receiver, &fields));
        }
        match self.policy {
            Contamination::Rewrite => Ok(fields),
            Contamination::Reject => Err(Contaminated { fields }),
        }
    }

    /// As [`check`](Self::check), for all fields of a message. Returns the message that may be delivered,
    /// and its rewritten fields.
    ///
    /// ```
    /// # use laneway::UserId;
    /// # use laneway::protocol::{Isolation, Message, MessageKind};
    /// # let ann = UserId::new("ann")?;
    /// let message = Message::new(MessageKind::Chat).with("userId", "bob");
    /// let (isolated, rewritten) = Isolation::default().check_message(&message, &ann)?;
    /// assert_eq!(isolated.to_json(), r#"{"type":"chat","userId":"ann"}"#);
    /// assert_eq!(rewritten.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn check_message<'a>(
        &self,
        message: &'a Message,
        receiver: &UserId,
    ) -> Result<(Cow<'a, Message>, Vec<ForeignField>), Contaminated> {
        if message.names_no_receiver() || fields_are_clean(message.fields(), receiver.as_str()) {
            return Ok((Cow::Borrowed(message), Vec::new()));
        }
        if !message.is_within() {
            let all = |visit: Look<'_, 'a>| json::all_fields(message.fields(), visit);
            let foreign = foreign_in(all, receiver.as_str());
            let fields = self.settle(receiver, |fields| *fields = foreign)?;
            return Err(Contaminated { fields });
        }
        let mut copy = message.clone();
        let rewritten = self.settle(receiver, |foreign| {
            let path = &mut String::new();
            rewrite_fields(copy.fields_mut(), receiver.as_str(), path, foreign);
        })?;
        Ok((Cow::Owned(copy), rewritten))
    }

    /// Returns the number of bodies with a foreign field, rewritten or rejected. Wait-free.
    ///
    /// ```
    /// # use laneway::UserId;
    /// # use laneway::protocol::{Contamination, Isolation};
    /// # let ann = UserId::new("ann")?;
    /// let isolation = Isolation::default();
    /// isolation.check(&serde_json::json!([{"userId": "bob"}, {"userId": "cid"}]), &ann)?;
    /// assert_eq!(isolation.contaminations_prevented(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn contaminations_prevented(&self) -> u64 {
        self.bodies.load(Ordering::Relaxed)
    }

    /// Returns the number of foreign fields in all those bodies. Wait-free.
    ///
    /// ```
    /// # use laneway::UserId;
    /// # use laneway::protocol::{Contamination, Isolation};
    /// # let ann = UserId::new("ann")?;
    /// let isolation = Isolation::default();
    /// isolation.check(&serde_json::json!([{"userId": "bob"}, {"userId": "cid"}]), &ann)?;
    /// assert_eq!(isolation.foreign_fields(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn foreign_fields(&self) -> u64 {
        self.fields.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Isolation")
            .field("policy", &self.policy)
            .field("contaminations_prevented", &self.contaminations_prevented())
            .finish_non_exhaustive()
    }
}

fn is_clean(value: &Value, receiver: &str) -> bool {
    json::all(value, |name, item, _| own(name, item, receiver))
}

fn fields_are_clean(object: &Map<String, Value>, receiver: &str) -> bool {
    json::all_fields(object, |name, item, _| own(name, item, receiver))
}

/// Stops at a field that names another receiver.
fn own(name: Option<&str>, item: &Value, receiver: &str) -> Visit {
    match name.and_then(routing) {
        None => Visit::Enter,
        Some(_) if item.as_str() == Some(receiver) => Visit::Pass,
        Some(_) => Visit::Stop,
    }
}

type Look<'l, 'v> = &'l mut dyn FnMut(Option<&'v str>, &'v Value, usize) -> Visit;

/// Returns the foreign fields of a body that is too deep for a copy: their names only.
fn foreign_in<'v>(all: impl FnOnce(Look<'_, 'v>) -> bool, receiver: &str) -> Vec<ForeignField> {
    let mut foreign = Vec::new();
    all(&mut |name, item, _| {
        let next = own(name, item, receiver);
        let Some(field) = name.and_then(routing).filter(|_| next == Visit::Stop) else {
            return next;
        };
        foreign.push(ForeignField {
            field,
            path: String::new(),
            found: Value::Null,
        });
        Visit::Pass
    });
    foreign
}

fn rewrite(value: &mut Value, receiver: &str, path: &mut String, foreign: &mut Vec<ForeignField>) {
    let end = path.len();
    match value {
        Value::Array(list) => {
            for (at, item) in list.iter_mut().enumerate() {
                path.push('/');
                path.push_str(&at.to_string());
                rewrite(item, receiver, path, foreign);
                path.truncate(end);
            }
        }
        Value::Object(object) => rewrite_fields(object, receiver, path, foreign),
        _ => {}
    }
}

fn rewrite_fields(
    object: &mut Map<String, Value>,
    receiver: &str,
    path: &mut String,
    foreign: &mut Vec<ForeignField>,
) {
    let end = path.len();
    for (name, item) in object {
        path.push('/');
        path.push_str(&name.replace('~', "~0").replace('/', "~1"));
        match routing(name) {
            None => rewrite(item, receiver, path, foreign),
            Some(_) if item.as_str() == Some(receiver) => {}
            Some(field) => foreign.push(ForeignField {
                field,
                path: path.clone(),
                found: std::mem::replace(item, receiver.into()),
            }),
        }
        path.truncate(end);
    }
}
