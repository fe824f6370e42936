//! The subjects of a cluster, made from its name and from ids.

use data_encoding::BASE64URL_NOPAD;

use crate::cluster::addressee::Addressee;
use crate::cluster::error::ClusterError;
use crate::id::{MAX_ID_BYTES, RoomId, UserId};

/// The longest name of a cluster, in bytes.
///
/// ```
/// use laneway::cluster::{MAX_NAME_BYTES, Subjects};
///
/// assert!(Subjects::new(&"a".repeat(MAX_NAME_BYTES)).is_ok());
/// assert!(Subjects::new(&"a".repeat(MAX_NAME_BYTES + 1)).is_err());
/// ```
pub const MAX_NAME_BYTES: usize = 32;

/// What all subjects of all clusters begin with.
const ROOT: &str = "laneway";
/// The bytes of the longest id in base64url. Each of its characters may stand in a subject of NATS.
const BASE64_BYTES: usize = MAX_ID_BYTES.div_ceil(3) * 4;

/// The subjects of one cluster.
///
/// ```
/// use laneway::UserId;
/// use laneway::cluster::Subjects;
///
/// let (subjects, ann) = (Subjects::new("chat")?, UserId::new("ann")?);
/// assert_eq!(subjects.user(&ann), "laneway.chat.u.YW5u");
/// assert_eq!(subjects.user_of("laneway.chat.u.YW5u"), Some(ann));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// | subject | carries |
/// |---|---|
/// | `laneway.NAME.u.ID` | the events for one user |
/// | `laneway.NAME.r.ID` | the events for the members of one room |
/// | `laneway.NAME.c` | what nodes tell each other |
/// | `laneway.NAME.m` | marks in the history, without a listener |
///
/// `ID` is the base64url of the id's bytes, without padding. Two users, or two rooms, have the same subject
/// only if the bytes of their ids are equal. An id has at most 200 bytes, so a subject has at most 310. The broker has to tell upper case
/// from lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subjects {
    /// With the dot that ends it.
    prefix: String,
}

impl Subjects {
    /// Validates the name of a cluster.
    ///
    /// ```
    /// use laneway::cluster::{ClusterError, Subjects};
    ///
    /// assert_eq!(Subjects::new("a.b").unwrap_err(), ClusterError::Name);
    /// ```
    ///
    /// # Errors
    ///
    /// [`ClusterError::Name`] unless `name` has 1 to [`MAX_NAME_BYTES`] ASCII letters, digits, `-` and `_`.
    pub fn new(name: &str) -> Result<Self, ClusterError> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_allowed) {
            return Err(ClusterError::Name);
        }
        let prefix = format!("{ROOT}.{name}.");
        Ok(Self { prefix })
    }

    /// Returns the subject of a user's events.
    ///
    /// ```
    /// # use laneway::{UserId, cluster::Subjects};
    /// let subjects = Subjects::new("chat")?;
    /// assert_eq!(subjects.user(&UserId::new("a.b *")?), "laneway.chat.u.YS5iICo");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn user(&self, user: &UserId) -> String {
        self.subject("u.", user.as_bytes())
    }

    /// Returns the subject of a room's events.
    ///
    /// ```
    /// # use laneway::{RoomId, cluster::Subjects};
    /// let subjects = Subjects::new("chat")?;
    /// assert_eq!(subjects.room(&RoomId::new("Oslo")?), "laneway.chat.r.T3Nsbw");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn room(&self, room: &RoomId) -> String {
        self.subject("r.", room.as_bytes())
    }

    pub(super) fn of(&self, to: &Addressee) -> String {
        match to {
            Addressee::User(user) => self.user(user),
            Addressee::Room(room) => self.room(room),
        }
    }

    fn subject(&self, kind: &str, id: &[u8]) -> String {
        let mut subject = String::with_capacity(self.prefix.len() + kind.len() + id.len() * 3 / 2);
        subject.push_str(&self.prefix);
        subject.push_str(kind);
        encode(id, &mut subject);
        subject
    }

    /// Returns the user whose subject this is, `None` for every other subject.
    ///
    /// ```
    /// # use laneway::cluster::Subjects;
    /// let subjects = Subjects::new("chat")?;
    /// assert!(subjects.user_of("laneway.other.u.YW5u").is_none());
    /// # Ok::<(), laneway::cluster::ClusterError>(())
    /// ```
    #[must_use]
    pub fn user_of(&self, subject: &str) -> Option<UserId> {
        UserId::new(self.id_of("u.", subject)?).ok()
    }

    /// Returns the room whose subject this is, `None` for every other subject.
    ///
    /// ```
    /// # use laneway::{RoomId, cluster::Subjects};
    /// let subjects = Subjects::new("chat")?;
    /// assert_eq!(subjects.room_of("laneway.chat.r.T3Nsbw"), Some(RoomId::new("Oslo")?));
    /// assert_eq!(subjects.room_of("laneway.chat.u.T3Nsbw"), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn room_of(&self, subject: &str) -> Option<RoomId> {
        RoomId::new(self.id_of("r.", subject)?).ok()
    }

    fn id_of(&self, kind: &str, subject: &str) -> Option<String> {
        let id = subject.strip_prefix(&self.prefix)?.strip_prefix(kind)?;
        String::from_utf8(decode(id)?).ok()
    }

    /// Returns the subject of the marks by which a node learns how far the history is.
    ///
    /// ```
    /// # use laneway::cluster::Subjects;
    /// assert_eq!(Subjects::new("chat")?.mark(), "laneway.chat.m");
    /// # Ok::<(), laneway::cluster::ClusterError>(())
    /// ```
    #[must_use]
    pub fn mark(&self) -> String {
        format!("{}m", self.prefix)
    }

    /// Returns the subject of the events for any user, for a subscription or a stream.
    ///
    /// ```
    /// # use laneway::cluster::Subjects;
    /// assert_eq!(Subjects::new("chat")?.users(), "laneway.chat.u.*");
    /// # Ok::<(), laneway::cluster::ClusterError>(())
    /// ```
    #[must_use]
    pub fn users(&self) -> String {
        format!("{}u.*", self.prefix)
    }

    /// Returns the subject on which the nodes of the cluster greet each other.
    ///
    /// ```
    /// # use laneway::cluster::Subjects;
    /// assert_eq!(Subjects::new("chat")?.control(), "laneway.chat.c");
    /// # Ok::<(), laneway::cluster::ClusterError>(())
    /// ```
    #[must_use]
    pub fn control(&self) -> String {
        format!("{}c", self.prefix)
    }
}

/// Appends the base64url of an id's bytes, without padding.
fn encode(id: &[u8], into: &mut String) {
    let mut text = [0; BASE64_BYTES];
    let text = &mut text[..BASE64URL_NOPAD.encode_len(id.len())];
    BASE64URL_NOPAD.encode_mut(id, text);
    into.extend(text.iter().map(|byte| char::from(*byte)));
}

/// Returns the bytes of a base64url text. `None` if it is none, or has bits that are no part of a byte: else several
/// subjects would stand for one user or room.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; BASE64URL_NOPAD.decode_len(text.len()).ok()?];
    let held = BASE64URL_NOPAD
        .decode_mut(text.as_bytes(), &mut bytes)
        .ok()?;
    bytes.truncate(held);
    Some(bytes)
}
