//! Bodies that name their receiver: it has to be the one they go to.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::id::UserId;
use crate::protocol::message::envelope::Message;
use crate::protocol::message::facts::routing;
use crate::protocol::message::json;
use crate::protocol::message::json::{MAX_NESTING, Visit};
use crate::sync::{AtomicU64, Ordering};

/// What is done with a body that names another receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Contamination {
    /// The field is rewritten to the true receiver, in the copy that is delivered.
    #[default]
    Rewrite,
    /// The body is refused.
    Reject,
}

/// A routing field that named somebody else. What it is shown as says nothing of them, `Debug`
/// included: the facts are in its fields.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct ForeignField {
    /// One of [`ROUTING_FIELDS`](crate::protocol::ROUTING_FIELDS).
    pub field: &'static str,
    /// Where it is, as a JSON pointer. For the audit, not for users: names are the sender's own.
    pub path: String,
    /// What it said. For the audit, not for users.
    pub found: Value,
}

impl fmt::Debug for ForeignField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForeignField")
            .field("field", &self.field)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ForeignField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the field {} does not name its receiver", self.field)
    }
}

/// A body that was refused.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Contaminated {
    /// What is wrong with it: at least one.
    pub fields: Vec<ForeignField>,
}

impl fmt::Display for Contaminated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, field) in self.fields.iter().enumerate() {
            write!(f, "{}{field}", if at > 0 { "; " } else { "" })?;
        }
        Ok(())
    }
}

impl Error for Contaminated {}

/// A body that may be delivered.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Isolated<'a> {
    /// As it was given, or a copy in which fields were rewritten.
    pub body: Cow<'a, Value>,
    /// Those fields.
    pub rewritten: Vec<ForeignField>,
}

type Audit = Arc<dyn Fn(&UserId, &[ForeignField]) + Send + Sync>;

/// Checks bodies before they are delivered, counts, and tells the host's audit. Cannot be turned off.
///
/// A body whose routing fields are in order, or that has none, costs one pass and no allocation.
#[derive(Default)]
pub struct Isolation {
    policy: Contamination,
    audit: Option<Audit>,
    bodies: AtomicU64,
    fields: AtomicU64,
}

impl Isolation {
    /// Checks by this policy.
    #[must_use]
    pub fn new(policy: Contamination) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }

    /// Tells `hook` the true receiver and the full facts, once a body. It runs in the publisher's
    /// call; if it panics, that is caught, and changes nothing of what is delivered.
    #[must_use]
    pub fn audited(
        mut self,
        hook: impl Fn(&UserId, &[ForeignField]) + Send + Sync + 'static,
    ) -> Self {
        self.audit = Some(Arc::new(hook));
        self
    }

    /// Looks for routing fields that do not name `receiver`, whatever their JSON type. The body that
    /// was given is never changed.
    ///
    /// # Errors
    ///
    /// [`Contaminated`] if there are any and the policy is to reject, or the body is nested more than 126
    /// deep. Of such a body the audit gets the names of the fields only.
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

    /// Has a copy that names others set to rights, counts it and tells the audit.
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
        if let Some(audit) = &self.audit {
            // Delivery trouble is never a panic, whatever the host's log does.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| audit(receiver, &fields))) {
                // Its own Drop may panic as well.
                std::mem::forget(panic);
            }
        }
        match self.policy {
            Contamination::Rewrite => Ok(fields),
            Contamination::Reject => Err(Contaminated { fields }),
        }
    }

    /// As [`check`](Self::check), for all the fields of a message. Gives the message that may be
    /// delivered, and the fields that were rewritten in it.
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

    /// Bodies that named somebody else.
    #[must_use]
    pub fn contaminations_prevented(&self) -> u64 {
        self.bodies.load(Ordering::Relaxed)
    }

    /// The fields that did, in all those bodies.
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

/// The foreign fields of a body that is too deep to be copied: their names only.
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
