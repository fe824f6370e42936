//! What a node listens to: the subject of a user who is online here, or of a room that has a member here.

use std::sync::Arc;

use crate::cluster::addressee::Addressee;
use crate::cluster::codec::Codec;
use crate::cluster::error::CodecError;
use crate::cluster::frame::{Header, Kind};
use crate::cluster::numbers::Heard;
use crate::cluster::stamp::Stamp;
use crate::engine::Core;
use crate::id::ThreadId;
use crate::lane::Terms;
use crate::room::RoomSender;
use crate::scope::UserScope;

/// A user who is online here, or a room that has a member here.
pub(super) struct Listened<E: Send + Sync + 'static, S> {
    pub(super) to: Addressee,
    way: Way<E>,
    pub(super) heard: Heard,
    /// Ends when it is dropped.
    _subscription: S,
}

/// The way of an event to the devices here.
enum Way<E: Send + Sync + 'static> {
    User(UserScope<E>),
    Room(RoomSender<E>),
}

impl<E: Send + Sync + 'static, S> Listened<E, S> {
    pub(super) fn new(core: &Arc<Core<E>>, to: Addressee, subscription: S) -> Self {
        let core = Arc::clone(core);
        let way = match &to {
            Addressee::User(user) => {
                let pass = core.make_pass_of_node();
                Way::User(UserScope::new(core, user.clone(), pass))
            }
            Addressee::Room(room) => Way::Room(RoomSender::new(core, [room.clone()])),
        };
        Self {
            to,
            way,
            heard: Heard::default(),
            _subscription: subscription,
        }
    }
}

impl<E: Clone + Send + Sync + 'static, S> Listened<E, S> {
    /// Publishes an event of another node to the devices here, by the verb of its publisher. Returns whether a lane
    /// has accepted it.
    pub(super) fn deliver<C: Codec<E>>(
        &self,
        header: &Header,
        thread: Option<&ThreadId>,
        event: &[u8],
        codec: &C,
    ) -> Result<bool, CodecError> {
        let is_critical = header.kind == Kind::Critical;
        match &self.way {
            Way::User(scope) => {
                let stamp = Stamp::live(header);
                let event = codec.decode_stamped(&self.to, event, stamp)?;
                let to = thread.map_or_else(|| scope.to_all(), |thread| scope.to_thread(thread));
                let done = if is_critical {
                    to.publish_critical(event)
                } else {
                    to.publish(event)
                };
                Ok(done.is_ok())
            }
            Way::Room(_) if thread.is_some() => {
                Err(CodecError::new("an event for a room has no thread"))
            }
            Way::Room(room) => {
                let event = codec.decode(&self.to, event)?;
                let terms = if is_critical {
                    Terms::CRITICAL
                } else {
                    Terms::OVERWRITE
                };
                let done = room.publish_where(&event, terms, |member| codec.is_for_member(member));
                Ok(done.users > 0)
            }
        }
    }
}
