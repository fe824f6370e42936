//! The results of the check for foreign receivers.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use serde_json::Value;

/// The policy for a body that names another receiver.
///
/// ```
/// use laneway::UserId;
/// use laneway::protocol::{Contamination, Isolation};
///
/// let (ann, body) = (UserId::new("ann")?, serde_json::json!({"recipient_id": "bob"}));
/// let rewritten = Isolation::new(Contamination::Rewrite).check(&body, &ann)?;
/// assert_eq!(rewritten.body["recipient_id"], "ann");
/// assert!(Isolation::new(Contamination::Reject).check(&body, &ann).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Contamination {
    /// The delivered copy names the true receiver instead.
    #[default]
    Rewrite,
    /// The body is refused.
    Reject,
}

/// A routing field that named another user.
///
/// Neither `Display` nor `Debug` shows the other user's id. Only the fields hold it.
///
/// ```
/// use laneway::UserId;
/// use laneway::protocol::Isolation;
///
/// let body = serde_json::json!({"to": [{"userId": "bob"}]});
/// let isolated = Isolation::default().check(&body, &UserId::new("ann")?)?;
/// let field = &isolated.rewritten[0];
/// assert_eq!((field.field, &*field.path), ("userId", "/to/0/userId"));
/// assert_eq!(field.found, "bob");
/// assert_eq!(field.to_string(), "the field userId does not name its receiver");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct ForeignField {
    /// One of [`ROUTING_FIELDS`](crate::protocol::ROUTING_FIELDS).
    pub field: &'static str,
    /// The place of the field, as a JSON pointer. For the audit only, because a path has names that the
    /// sender chose.
    pub path: String,
    /// The value of the field. For the audit only.
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

/// The error of a body that was refused.
///
/// ```
/// use laneway::UserId;
/// use laneway::protocol::{Contamination, Isolation};
///
/// let (isolation, ann) = (Isolation::new(Contamination::Reject), UserId::new("ann")?);
/// let refused = isolation.check(&serde_json::json!({"userId": 7}), &ann).unwrap_err();
/// assert_eq!(refused.fields.len(), 1);
/// assert_eq!(refused.to_string(), "the field userId does not name its receiver");
/// # Ok::<(), laneway::InvalidId>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Contaminated {
    /// The foreign fields, at least one.
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
///
/// ```
/// use std::borrow::Cow;
/// use laneway::UserId;
/// use laneway::protocol::Isolation;
///
/// let body = serde_json::json!({"userId": "ann"});
/// let isolated = Isolation::default().check(&body, &UserId::new("ann")?)?;
/// assert!(matches!(isolated.body, Cow::Borrowed(_)) && isolated.rewritten.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Isolated<'a> {
    /// The body of the call, or a copy with rewritten fields.
    pub body: Cow<'a, Value>,
    /// The rewritten fields, with their former values.
    pub rewritten: Vec<ForeignField>,
}
