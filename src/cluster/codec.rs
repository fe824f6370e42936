//! The way of an event to bytes and back.

use std::sync::Arc;

use crate::cluster::addressee::Addressee;
use crate::cluster::error::CodecError;
use crate::cluster::stamp::Stamp;
use crate::id::UserId;

/// Writes events as bytes, and reads them.
///
/// ```
/// use laneway::UserId;
/// use laneway::cluster::{Addressee, Codec, CodecError};
///
/// struct Texts;
///
/// impl Codec<String> for Texts {
///     fn encode(&self, event: &String, into: &mut Vec<u8>) -> Result<(), CodecError> {
///         into.extend_from_slice(event.as_bytes());
///         Ok(())
///     }
///     fn decode(&self, _to: &Addressee, bytes: &[u8]) -> Result<String, CodecError> {
///         String::from_utf8(bytes.to_vec()).map_err(CodecError::new)
///     }
/// }
/// # let (mut bytes, ann) = (Vec::new(), UserId::new("ann")?);
/// # Texts.encode(&"hello".to_owned(), &mut bytes)?;
/// # assert_eq!(Texts.decode(&ann.into(), &bytes)?, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The [`Driver`](crate::cluster::Driver) calls the codec, and no publisher does. A panic ends the driver's task.
pub trait Codec<E>: Send + Sync + 'static {
    /// Appends the bytes of `event`. What `into` holds already is the frame's header.
    ///
    /// # Errors
    ///
    /// [`CodecError`]: the event is lost to the other nodes, which are told a gap.
    fn encode(&self, event: &E, into: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Reads an event for a user or for a room's members. The bytes come from another process, and may be anything.
    ///
    /// # Errors
    ///
    /// [`CodecError`]: the event is not delivered. It is counted, and told as
    /// [`Undecodable`](crate::cluster::ClusterEvent::Undecodable) or
    /// [`RoomUndecodable`](crate::cluster::ClusterEvent::RoomUndecodable).
    fn decode(&self, to: &Addressee, bytes: &[u8]) -> Result<E, CodecError>;

    /// Reads a user's event with its stamp, which the event may keep for a [`Trail`](crate::cluster::Trail). By default
    /// it is [`decode`](Self::decode), and the stamp is lost.
    ///
    /// ```
    /// use laneway::cluster::{Addressee, Codec, CodecError, Stamp};
    ///
    /// #[derive(Clone)]
    /// struct Text {
    ///     text: String,
    ///     stamp: Option<Stamp>, // of an event of another node
    /// }
    ///
    /// struct Texts;
    ///
    /// impl Codec<Text> for Texts {
    ///     fn encode(&self, event: &Text, into: &mut Vec<u8>) -> Result<(), CodecError> {
    ///         into.extend_from_slice(event.text.as_bytes());
    ///         Ok(())
    ///     }
    ///     fn decode(&self, _to: &Addressee, bytes: &[u8]) -> Result<Text, CodecError> {
    ///         let text = String::from_utf8(bytes.to_vec()).map_err(CodecError::new)?;
    ///         Ok(Text { text, stamp: None })
    ///     }
    ///     fn decode_stamped(&self, to: &Addressee, bytes: &[u8], stamp: Stamp) -> Result<Text, CodecError> {
    ///         let text = self.decode(to, bytes)?;
    ///         Ok(Text { stamp: Some(stamp), ..text })
    ///     }
    /// }
    /// # assert!(Texts.decode(&laneway::UserId::new("ann")?.into(), b"hello")?.stamp.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode). An event for a room has no stamp: it comes to `decode`.
    fn decode_stamped(&self, to: &Addressee, bytes: &[u8], _stamp: Stamp) -> Result<E, CodecError> {
        self.decode(to, bytes)
    }

    /// Returns whether a member of a room here may receive the room's events of other nodes. By default each may.
    ///
    /// ```
    /// use laneway::UserId;
    /// use laneway::cluster::{Codec, PacketCodec};
    ///
    /// let codec = PacketCodec::default();
    /// assert!(codec.is_for_member(&UserId::new("ann")?));
    /// assert!(!codec.is_for_member(&UserId::new("pending_auth")?)); // has not logged in yet
    /// # Ok::<(), laneway::InvalidId>(())
    /// ```
    ///
    /// The driver asks for each member and each event. A member who may not receive the event is told nothing, and
    /// is in no count.
    fn is_for_member(&self, _member: &UserId) -> bool {
        true
    }
}

/// Shares a codec: the driver of a node takes one, and so does a call of a `History`.
impl<E, C: Codec<E>> Codec<E> for Arc<C> {
    fn encode(&self, event: &E, into: &mut Vec<u8>) -> Result<(), CodecError> {
        C::encode(self, event, into)
    }
    fn decode(&self, to: &Addressee, bytes: &[u8]) -> Result<E, CodecError> {
        C::decode(self, to, bytes)
    }
    fn decode_stamped(&self, to: &Addressee, bytes: &[u8], stamp: Stamp) -> Result<E, CodecError> {
        C::decode_stamped(self, to, bytes, stamp)
    }
    fn is_for_member(&self, member: &UserId) -> bool {
        C::is_for_member(self, member)
    }
}

/// A codec of two closures, from [`closures`].
#[derive(Clone, Copy, Debug)]
pub struct Closures<W, R> {
    write: W,
    read: R,
}

/// Creates a codec of two closures.
///
/// ```
/// use laneway::cluster::{CodecError, closures};
///
/// let numbers = closures(
///     |event: &u64, into| {
///         into.extend_from_slice(&event.to_le_bytes());
///         Ok(())
///     },
///     |_, bytes| bytes.try_into().map(u64::from_le_bytes).map_err(CodecError::new),
/// );
/// # use laneway::{UserId, cluster::Codec};
/// # assert!(numbers.decode(&UserId::new("ann")?.into(), &[1]).is_err());
/// # Ok::<(), laneway::InvalidId>(())
/// ```
pub fn closures<E, W, R>(write: W, read: R) -> Closures<W, R>
where
    W: Fn(&E, &mut Vec<u8>) -> Result<(), CodecError> + Send + Sync + 'static,
    R: Fn(&Addressee, &[u8]) -> Result<E, CodecError> + Send + Sync + 'static,
{
    Closures { write, read }
}

impl<E, W, R> Codec<E> for Closures<W, R>
where
    W: Fn(&E, &mut Vec<u8>) -> Result<(), CodecError> + Send + Sync + 'static,
    R: Fn(&Addressee, &[u8]) -> Result<E, CodecError> + Send + Sync + 'static,
{
    fn encode(&self, event: &E, into: &mut Vec<u8>) -> Result<(), CodecError> {
        (self.write)(event, into)
    }
    fn decode(&self, to: &Addressee, bytes: &[u8]) -> Result<E, CodecError> {
        (self.read)(to, bytes)
    }
}
