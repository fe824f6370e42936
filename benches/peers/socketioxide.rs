//! The rooms of socketioxide's local adapter, a room a user, with a tokio channel a socket, as
//! socketioxide has. Its adapter hands over packets that are encoded, so here it is asked for the
//! sockets of the room and the event goes to their channels; encoding is not charged to it. A full
//! channel drops the newest event and tells its sender. Readers-writer locks over all rooms and all
//! sockets; two publishers' events may reach two devices in two orders.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::RwLock;
use std::time::Duration;

use futures_util::stream::Empty;
use serde::{Deserialize, Serialize};
use socketioxide_core::adapter::errors::SocketError;
use socketioxide_core::adapter::{
    AckStreamItem, BroadcastIter, BroadcastOptions, CoreLocalAdapter, RemoteSocketData,
    SocketEmitter,
};
use socketioxide_core::packet::Packet;
use socketioxide_core::parser::Parse;
use socketioxide_core::{Sid, Str, Uid, Value};
use socketioxide_parser_common::CommonParser;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::Rival;

pub(crate) struct Peer<E> {
    rooms: CoreLocalAdapter<Unused>,
    sockets: RwLock<HashMap<Sid, Sender<E>>>,
    capacity: usize,
}

impl<E: Clone + Send + Sync + 'static> Rival<E> for Peer<E> {
    type User = String;
    type Tab = (Sid, Receiver<E>);

    fn new(capacity: usize) -> Self {
        Self {
            rooms: CoreLocalAdapter::new(Unused(Str::from("/"))),
            sockets: RwLock::default(),
            capacity,
        }
    }
    fn user(&self, name: &str) -> String {
        name.to_owned()
    }
    fn connect(&self, user: &String) -> Self::Tab {
        let (sender, receiver) = channel(self.capacity);
        let sid = Sid::new();
        self.sockets.write().expect("calm").insert(sid, sender);
        self.rooms.add_all(sid, user.clone());
        (sid, receiver)
    }
    fn disconnect(&self, _: &String, (sid, _): Self::Tab) {
        self.rooms.del_all(sid);
        self.sockets.write().expect("calm").remove(&sid);
    }
    fn publish(&self, user: &String, event: E) -> bool {
        self.send_to(user.clone(), &event)
    }
    fn receive(&self, (_, receiver): &mut Self::Tab) -> Option<E> {
        receiver.try_recv().ok()
    }
    fn wait(&self, (_, receiver): &mut Self::Tab) -> Option<E> {
        receiver.blocking_recv()
    }
    fn make_room(&self, users: &[String]) {
        for user in users {
            for sid in self.sids(user.clone()) {
                self.rooms.add_all(sid, ROOM);
            }
        }
    }
    fn publish_to_room(&self, _: &[String], event: &E) {
        self.send_to(ROOM.to_owned(), event);
    }
}

/// The one room of a benchmark that is no user's.
const ROOM: &str = "room";

impl<E: Clone> Peer<E> {
    /// The sockets in a room.
    fn sids(&self, room: String) -> Vec<Sid> {
        let mut options = BroadcastOptions::default();
        options.rooms.push(Cow::Owned(room));
        self.rooms.sockets(options)
    }

    /// To each socket in a room. `false` if one did not get it.
    fn send_to(&self, room: String, event: &E) -> bool {
        let sids = self.sids(room);
        let sockets = self.sockets.read().expect("calm");
        let mut all = !sids.is_empty();
        for sender in sids.iter().filter_map(|sid| sockets.get(sid)) {
            all &= sender.try_send(event.clone()).is_ok();
        }
        all
    }
}

/// What the adapter would send packets with.
struct Unused(Str);

/// There are no acknowledgements.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
enum NoAck {}

impl SocketEmitter for Unused {
    type AckError = NoAck;
    type AckStream = Empty<AckStreamItem<NoAck>>;

    fn get_all_sids(&self, _: impl Fn(&Sid) -> bool) -> Vec<Sid> {
        Vec::new()
    }
    fn get_remote_sockets(&self, _: BroadcastIter<'_>) -> Vec<RemoteSocketData> {
        Vec::new()
    }
    fn send_many(&self, _: BroadcastIter<'_>, _: Value) -> Result<(), Vec<SocketError>> {
        Ok(())
    }
    fn send_many_volatile(&self, _: BroadcastIter<'_>, _: Value) {}
    fn send_many_with_ack(
        &self,
        _: BroadcastIter<'_>,
        _: Packet,
        _: Option<Duration>,
    ) -> (Self::AckStream, u32) {
        (futures_util::stream::empty(), 0)
    }
    fn disconnect_many(&self, _: Vec<Sid>) -> Result<(), Vec<SocketError>> {
        Ok(())
    }
    fn path(&self) -> &Str {
        &self.0
    }
    fn parser(&self) -> impl Parse {
        CommonParser
    }
    fn server_id(&self) -> Uid {
        Uid::new()
    }
    fn ack_timeout(&self) -> Duration {
        Duration::ZERO
    }
}
