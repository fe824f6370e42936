//! Rooms of people: who may be in one, who may post, and who is told of it.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use laneway::protocol::{
    Broadcaster, Handled, Handler, HandlerError, Message, MessageKind, Packet, RoomRefusal, Sender,
};
use laneway::{Hub, Joined, RoomId, Status, UserId, UserScope};
use serde_json::{Value, json};

use crate::name;
use crate::presence::People;
use crate::turns::Turns;

/// Rooms that a user is in at a time, the named and the direct ones.
pub(crate) const PER_USER: usize = 16;
/// Of these so many at most are direct: other people open them, and leave room for the named ones.
const DIRECT: usize = 8;
pub(crate) const MEMBERS: usize = 64;
const TEXT_CHARS: usize = 2000;
/// The longest id of a message that is passed on.
const ID_BYTES: usize = 64;
/// Begins the id of a room of two. No name of a room has a colon, so it is entered by `direct` only.
const TWO: &str = "direct:";

/// The host's rules of rooms.
///
/// A user joins a named room by its name. Of a direct room the two are members, and no other user can
/// become one. A member posts into the room; a user who is no member gets the same answer for a room that
/// exists and for one that does not. Users post [in turn](Turns), so one user cannot fill another's lane.
///
/// A membership is one of this gateway. In a cluster a post reaches the members of the room of that name at each
/// gateway. A user with devices at two gateways joins at both. The other one of a direct room may be at another
/// gateway: an invitation goes to each of that user's devices, and their page accepts it where they are.
#[derive(Clone)]
pub(crate) struct Rooms {
    hub: Hub<Packet>,
    broadcaster: Arc<Broadcaster>,
    /// For what is true at this gateway only: who is a member, and who of them is there.
    here: Arc<Broadcaster>,
    people: People,
    turns: Arc<Turns>,
    /// The gateway is one of several.
    is_in_cluster: bool,
}

fn refused(code: &'static str, error: impl std::fmt::Display) -> HandlerError {
    HandlerError::new(code, error.to_string())
}

fn kind(name: &str) -> MessageKind {
    MessageKind::Unknown(name.into())
}

fn is_direct(room: &RoomId) -> bool {
    room.as_str().starts_with(TWO)
}

/// The room that a message names: by the rule of names, or as one of the sender's own.
fn named(message: &Message) -> Result<RoomId, HandlerError> {
    let text = message.text("room").unwrap_or_default();
    RoomId::new(text).map_err(|e| refused("ROOM", e))
}

/// The other one of a direct room that a message asks for, and the room.
fn two(sender: &Sender<'_>, message: &Message) -> Result<(UserId, RoomId), HandlerError> {
    let other = name::parse(message.text("with").unwrap_or_default());
    let other = other.map_err(|e| refused("NAME", e))?;
    if other == *sender.user() {
        return Err(refused("NAME", "a direct room is of two people"));
    }
    let two = BTreeSet::from([sender.user().as_str(), other.as_str()]);
    let two: Vec<&str> = two.into_iter().collect();
    let room = RoomId::new(format!("{TWO}{}", two.join(":"))).map_err(|e| refused("ROOM", e))?;
    Ok((other, room))
}

/// Refuses a direct room to a user who is in too many of them.
fn may_open(scope: &UserScope<Packet>, room: &RoomId) -> Result<(), HandlerError> {
    let rooms = scope.rooms();
    let direct = rooms.iter().filter(|other| is_direct(other)).count();
    if direct >= DIRECT && !rooms.contains(room) {
        let error = "one of the two is in too many direct rooms";
        return Err(refused("ROOM", error));
    }
    Ok(())
}

impl Rooms {
    pub(crate) fn new(
        hub: Hub<Packet>,
        broadcaster: Arc<Broadcaster>,
        people: People,
        is_in_cluster: bool,
    ) -> Self {
        Self {
            is_in_cluster,
            hub,
            broadcaster,
            here: Arc::default(),
            people,
            turns: Arc::default(),
        }
    }

    fn join(&self, sender: &Sender<'_>, message: &Message) -> Result<(), HandlerError> {
        let text = message.text("room").unwrap_or_default();
        // A room's name is as narrow as a person's, so it is safe to be shown.
        name::parse(text).map_err(|e| refused("ROOM", e))?;
        let room = named(message)?;
        let joined = sender.scope().join(&room);
        joined.map_err(|e| refused("ROOM", e))?;
        self.tell(&room, sender.now());
        Ok(())
    }

    fn direct(&self, sender: &Sender<'_>, message: &Message) -> Result<(), HandlerError> {
        let (other, room) = two(sender, message)?;
        let (other, own) = (self.hub.scope(other), sender.scope());
        may_open(&other, &room)?;
        may_open(own, &room)?;
        // The other one first: without that one there is no room, but in a cluster, where that one may be elsewhere.
        let joined = match other.join(&room) {
            Ok(joined) => Some(joined),
            Err(_) if self.is_in_cluster => None,
            Err(_) => {
                let away = format!("{} is not here", other.user().as_str());
                return Err(refused("NAME", away));
            }
        };
        if let Err(error) = own.join(&room) {
            if joined == Some(Joined::Now) {
                other.leave(&room);
            }
            return Err(refused("ROOM", error));
        }
        if self.is_in_cluster {
            let invited = Message::new(kind("room_invited")).with("with", sender.user().as_str());
            let _ = self.broadcaster.broadcast(&other, &invited, sender.now());
        }
        self.tell(&room, sender.now());
        Ok(())
    }

    /// Joins a direct room to which the other one has invited the sender. Invites no one in turn: two pages that answer
    /// each other's invitations would never end.
    fn accept(&self, sender: &Sender<'_>, message: &Message) -> Result<(), HandlerError> {
        let (_, room) = two(sender, message)?;
        may_open(sender.scope(), &room)?;
        let joined = sender.scope().join(&room);
        joined.map_err(|e| refused("ROOM", e))?;
        self.tell(&room, sender.now());
        Ok(())
    }

    fn leave(&self, sender: &Sender<'_>, message: &Message) -> Result<(), HandlerError> {
        let room = named(message)?;
        if !sender.scope().leave(&room) {
            return Err(refused("NO_MEMBER", "you are not in this room"));
        }
        let left = Message::new(kind("room_left")).with("room", room.as_str());
        let _ = self.here.broadcast(sender.scope(), &left, sender.now());
        self.tell(&room, sender.now());
        Ok(())
    }

    fn say(&self, sender: &Sender<'_>, message: &Message) -> Result<(), HandlerError> {
        let (room, now) = (named(message)?, sender.now());
        if !sender.scope().rooms().contains(&room) {
            return Err(refused("NO_MEMBER", "you are not in this room"));
        }
        let text = message.text("text").unwrap_or_default();
        let length = text.chars().count();
        if !(1..=TEXT_CHARS).contains(&length) {
            let error = format!("a message has 1 to {TEXT_CHARS} characters, not {length}");
            return Err(refused("TEXT_LENGTH", error));
        }
        if !self.turns.take(sender.user(), now) {
            return Err(refused("TOO_FAST", "you post too fast: wait a moment"));
        }
        let mut said = Message::new(kind("room_message"))
            .with("room", room.as_str())
            .with("from", sender.user().as_str())
            .with("text", text)
            .with("at", now.as_micros() as u64);
        // The sender's page knows by it that its message has arrived.
        let id = message.text("message_id");
        if let Some(id) = id.filter(|id| id.len() <= ID_BYTES) {
            said = said.with("message_id", id);
        }
        self.publish(&room, &said).map_err(|e| refused("ROOM", e))
    }

    /// Tells one device of all rooms of its user.
    fn list(&self, sender: &Sender<'_>) {
        let rooms = sender.scope().rooms();
        let names: Vec<&str> = rooms.iter().map(RoomId::as_str).collect();
        let _ = sender.reply(&Message::new(kind("rooms")).with("rooms", names));
        for room in rooms {
            let _ = sender.reply(&self.state(&room, sender.now()));
        }
    }

    /// A room, its members, and who of them is there.
    fn state(&self, room: &RoomId, now: Duration) -> Message {
        let mut members = self.hub.room(room.clone()).members();
        members.sort();
        let members: Vec<Value> = (self.people.of(&members, now).into_iter())
            .map(|(member, status)| json!({ "name": member.as_str(), "status": word(status) }))
            .collect();
        Message::new(kind("room_state"))
            .with("room", room.as_str())
            .with("direct", is_direct(room))
            .with("members", members)
    }

    /// Tells the members of a room at this gateway who of them is in it.
    pub(crate) fn tell(&self, room: &RoomId, now: Duration) {
        let sender = self.hub.room(room.clone());
        let _ = self.here.broadcast_to_room(&sender, &self.state(room, now));
    }

    /// Sends a message to each member, at each gateway of the cluster. The broadcaster checks it, as it checks all
    /// that a user receives, and writes it once.
    fn publish(&self, room: &RoomId, message: &Message) -> Result<(), RoomRefusal> {
        let room = self.hub.room(room.clone());
        self.broadcaster.broadcast_to_room(&room, message)?;
        Ok(())
    }

    /// Ends all memberships of a user who has logged out.
    pub(crate) fn forget(&self, user: &UserId, now: Duration) {
        let rooms = self.hub.scope(user.clone()).rooms();
        self.hub.forget(user);
        for room in rooms {
            self.tell(&room, now);
        }
    }

    /// The rooms of a user.
    pub(crate) fn of(&self, user: &UserId) -> HashSet<RoomId> {
        self.hub.scope(user.clone()).rooms().into_iter().collect()
    }

    pub(crate) fn sweep(&self, now: Duration) {
        self.turns.sweep(now);
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Online => "online",
        Status::Away => "away",
        _ => "offline",
    }
}

impl Handler for Rooms {
    fn handle(&self, sender: &Sender<'_>, message: &Message) -> Result<Handled, HandlerError> {
        match message.kind.name() {
            "room_join" => self.join(sender, message)?,
            "room_direct" => self.direct(sender, message)?,
            "room_accept" => self.accept(sender, message)?,
            "room_leave" => self.leave(sender, message)?,
            "room_say" => self.say(sender, message)?,
            "room_list" => self.list(sender),
            _ => return Ok(Handled::Declined),
        }
        Ok(Handled::Done)
    }
}
