//! The calls of a script, and what each does.

use super::{BATCH, CODE, Run, USERS, rooms};
use crate::common::model::How;

/// One call. Connections are named by the order in which they were opened, modulo how many there
/// are; users modulo [`USERS`].
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Connect(u8),
    /// With a thread, and with a lane capacity of its own in case it is the first.
    ConnectWith(u8, u8),
    Publish(u8, How, For),
    /// So many times four milliseconds from now, or before if it is negative.
    Until(u8, How, For, i8),
    /// Of one of three keys, up to four times.
    Latest(u8, u8),
    Barrier(u8),
    Batch(u8, u8),
    Receive(u8),
    /// So many events at once.
    Merged(u8, u8),
    Drain(u8, u8),
    Visit(u8, u8),
    Drop(u8),
    /// The handle is lost without being dropped.
    Forget(u8),
    /// A user names a connection, perhaps not one of theirs.
    Disconnect(u8, u8),
    DisconnectAll(u8),
    Touch(u8),
    /// Attaches a connection to a thread, by itself or by its user.
    Attach(u8, u8),
    Detach(u8, u8),
    /// So many milliseconds later; negative: the clock jumps back.
    Sweep(i16),
    /// Remembers how far a connection has come.
    Remember(u8),
    /// The same, and then it is dropped.
    Part(u8),
    /// At a position that was remembered, with or without a thread.
    Resume(u8, u8),
    /// A user names a position, perhaps not one of theirs.
    ResumeAs(u8, u8),
    Recover(u8),
    /// The host ends the lane of a user, if the user is away.
    EndAbsent(u8),
    Join(u8, u8),
    Leave(u8, u8),
    /// All memberships of a user end.
    ForgetUser(u8),
    /// To a room, or to two; critical or not.
    PublishToRooms(u8, bool, bool),
    Announce(bool),
    /// The host revokes a user's scopes, and makes another one.
    Revoke(u8, u8),
    /// Makes a weaker scope of a user's, or of the last weaker one.
    Weaken(u8, u8, u8),
    PublishWeaker(u8, How, For),
    /// Any other verb of a weaker scope.
    UseWeaker(u8, u8, u8),
    /// Asks a user's devices, with a deadline so many times four milliseconds from now.
    Ask(u8, For, i8),
    /// By a weaker scope.
    AskWeaker(u8, For),
    /// A connection answers a question, perhaps not one of its user's.
    Answer(u8, u8),
    /// A user does, or a weaker scope.
    AnswerAs(u8, u8),
    TakeAnswer(u8),
    DropAsk(u8),
    /// Begins to drain the hub, with bits that say how.
    BeginDrain(u8),
    /// Steps of the drain, each so many milliseconds later.
    Step(i16),
    Shutdown,
}

/// By which scope.
#[derive(Clone, Copy, Debug)]
pub(super) enum By {
    User(u8),
    Weaker(usize),
}

/// Whom an event is for, in a script.
#[derive(Clone, Copy, Debug)]
pub(crate) enum For {
    All,
    /// Perhaps another user's connection.
    Connection(u8),
    Thread(u8),
    Others(u8),
}

impl Run {
    pub(super) fn handle(&self, at: u8) -> Option<usize> {
        (!self.handles.is_empty()).then(|| at as usize % self.handles.len())
    }

    /// With the connection of this name, if there is any.
    fn with_handle(&mut self, at: u8, call: impl FnOnce(&mut Self, usize)) {
        if let Some(at) = self.handle(at) {
            call(self, at);
        }
    }

    fn with_weaker(&mut self, at: u8, call: impl FnOnce(&mut Self, usize)) {
        if let Some(at) = self.weaker_at(at) {
            call(self, at);
        }
    }

    /// The host's time, so many times four milliseconds from now.
    fn later(&self, by: i8) -> u64 {
        self.now_ms.saturating_add_signed(4 * i64::from(by))
    }

    pub(super) fn call(&mut self, call: &Call) {
        match *call {
            Call::Connect(user) => self.connect(user % USERS, 0, None),
            Call::ConnectWith(user, other) => {
                let capacity = [2, 4, 8, 64][other as usize % 8 / 2];
                self.connect(user % USERS, 1 + other % 3, Some(capacity));
            }
            Call::Publish(user, how, to) => self.publish(By::User(user % USERS), how, to, None),
            Call::Until(user, how, to, later) => {
                let deadline_ms = Some(self.later(later));
                self.publish(By::User(user % USERS), how, to, deadline_ms);
            }
            Call::Latest(user, key) => self.publish_latest(user % USERS, key),
            Call::Barrier(user) => self.publish_barrier(user % USERS),
            Call::Batch(user, events) => self.batch(user % USERS, events % BATCH),
            Call::Disconnect(user, at) => self.disconnect(user % USERS, at),
            Call::DisconnectAll(user) => {
                let user = user % USERS;
                let closed = self.scopes[user as usize].disconnect_all(CODE);
                assert_eq!(closed, self.model.disconnect_all(user, CODE));
            }
            Call::Attach(at, thread) => self.attach(at, thread, true),
            Call::Detach(at, thread) => self.attach(at, thread, false),
            Call::Sweep(later) => self.sweep(later),
            Call::Resume(at, thread) => self.resume_own(at, thread),
            Call::ResumeAs(user, at) => self.resume(By::User(user % USERS), at, 0),
            Call::Join(user, room) => self.join(user % USERS, room % rooms::ROOMS),
            Call::Leave(user, room) => self.leave(user % USERS, room % rooms::ROOMS),
            Call::ForgetUser(user) => self.forget(user % USERS),
            Call::PublishToRooms(room, both, critical) => {
                self.publish_to_rooms(room % rooms::ROOMS, both, critical);
            }
            Call::Announce(critical) => self.announce(critical),
            Call::Revoke(user, spared) => self.revoke(user % USERS, spared),
            Call::Shutdown => assert_eq!(self.hub.shutdown(), self.model.shutdown()),
            _ => self.call_newer(call),
        }
    }

    fn call_newer(&mut self, call: &Call) {
        match *call {
            Call::Weaken(user, what, how_much) => self.weaken(user % USERS, what, how_much),
            Call::PublishWeaker(at, how, to) => {
                self.with_weaker(at, |run, at| run.publish(By::Weaker(at), how, to, None));
            }
            Call::UseWeaker(at, verb, with) => {
                self.with_weaker(at, |run, at| run.use_weaker(at, verb, with));
            }
            Call::Ask(user, to, later) => self.ask(By::User(user % USERS), to, self.later(later)),
            Call::AskWeaker(at, to) => {
                let deadline_ms = self.later(4);
                self.with_weaker(at, |run, at| run.ask(By::Weaker(at), to, deadline_ms));
            }
            Call::AnswerAs(by, which) => self.answer_as(by, which),
            Call::TakeAnswer(which) => self.take_answer(which),
            Call::DropAsk(which) => self.drop_ask(which),
            Call::BeginDrain(how) => self.begin_drain(how),
            Call::Step(later) => self.step(later),
            _ => self.call_connection(call),
        }
    }

    fn call_connection(&mut self, call: &Call) {
        match *call {
            Call::Receive(at) => self.with_handle(at, |run, at| {
                let got = run.receive(at);
                run.check(at, got);
            }),
            Call::Merged(at, most) => {
                self.with_handle(at, |run, at| run.receive_merged(at, most.into()));
            }
            Call::Drain(at, max) => self.with_handle(at, |run, at| run.drain(at, max.into())),
            Call::Visit(at, max) => self.with_handle(at, |run, at| run.visit(at, max.into())),
            Call::Drop(at) => self.with_handle(at, Self::let_go),
            Call::Forget(at) => self.with_handle(at, |run, at| {
                std::mem::forget(run.handles.remove(at).connection);
                run.forgot = true;
            }),
            Call::Touch(at) => self.with_handle(at, |run, at| {
                run.handles[at].connection.touch();
                run.model.touch(run.handles[at].id);
            }),
            Call::Remember(at) => self.with_handle(at, Self::remember),
            Call::Part(at) => self.with_handle(at, |run, at| {
                run.remember(at);
                run.let_go(at);
            }),
            Call::Recover(at) => self.with_handle(at, Self::recover),
            Call::EndAbsent(user) => self.end_absent(user % USERS),
            Call::Answer(at, which) => self.with_handle(at, |run, at| run.answer(at, which)),
            ref other => panic!("{other:?} is not done"),
        }
    }

    /// A user names a connection, perhaps not one of theirs.
    fn disconnect(&mut self, user: u8, at: u8) {
        if self.ids.is_empty() {
            return;
        }
        let (id, theirs) = self.ids[at as usize % self.ids.len()];
        let closed = self.scopes[user as usize].disconnect(theirs, CODE);
        assert_eq!(closed, self.model.disconnect(user, id, CODE));
    }
}
