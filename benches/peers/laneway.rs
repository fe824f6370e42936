//! laneway, addressed in two ways. A slow device is told what it missed and holds up neither
//! publishers nor other devices.

use std::time::Duration;

use laneway::{Connection, Hub, Received, RoomId, UserId, UserScope};

use super::Rival;

/// Looks the user up for each event, as every peer does.
pub(crate) struct ById<E: Send + Sync + 'static>(Hub<E>);

/// Holds the scope of each user from before.
pub(crate) struct ByScope<E: Send + Sync + 'static>(Hub<E>);

fn hub<E: Send + Sync + 'static>(capacity: usize) -> Hub<E> {
    let builder = Hub::builder().lane_capacity(capacity);
    builder
        .max_connections_per_user(255)
        .build()
        .expect("valid")
}

fn id(name: &str) -> UserId {
    UserId::new(name).expect("valid")
}

/// The one room of a benchmark.
fn room() -> RoomId {
    RoomId::new("room").expect("valid")
}

fn receive<E: Clone + Send + Sync + 'static>(tab: &mut Connection<E>) -> Option<E> {
    loop {
        match tab.try_recv() {
            Ok(Received::Event(delivered)) => return Some(delivered.event),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

fn wait<E: Clone + Send + Sync + 'static>(tab: &mut Connection<E>) -> Option<E> {
    loop {
        match tab.recv() {
            Ok(Received::Event(delivered)) => return Some(delivered.event),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

impl<E: Clone + Send + Sync + 'static> Rival<E> for ById<E> {
    type User = UserId;
    type Tab = Connection<E>;

    fn new(capacity: usize) -> Self {
        Self(hub(capacity))
    }
    fn user(&self, name: &str) -> UserId {
        id(name)
    }
    fn connect(&self, user: &UserId) -> Connection<E> {
        self.0.scope(user.clone()).connect().expect("room")
    }
    fn disconnect(&self, _: &UserId, tab: Connection<E>) {
        tab.disconnect();
    }
    fn publish(&self, user: &UserId, event: E) -> bool {
        self.0.to_user(user).publish(event).is_ok()
    }
    fn receive(&self, tab: &mut Connection<E>) -> Option<E> {
        receive(tab)
    }
    fn wait(&self, tab: &mut Connection<E>) -> Option<E> {
        wait(tab)
    }
    fn make_room(&self, users: &[UserId]) {
        for user in users {
            self.0.scope(user.clone()).join(&room()).expect("room");
        }
    }
    fn publish_to_room(&self, _: &[UserId], event: &E) {
        self.0.room(room()).publish(event);
    }
    fn sweep(&self, now: Duration) {
        self.0.sweep(now);
    }
    fn drain(&self, tab: &mut Connection<E>, mut f: impl FnMut(&E)) {
        let _ = tab.visit(usize::MAX, |_, event| f(event));
    }
}

impl<E: Clone + Send + Sync + 'static> Rival<E> for ByScope<E> {
    type User = UserScope<E>;
    type Tab = Connection<E>;

    fn new(capacity: usize) -> Self {
        Self(hub(capacity))
    }
    fn user(&self, name: &str) -> UserScope<E> {
        self.0.scope(id(name))
    }
    fn connect(&self, user: &UserScope<E>) -> Connection<E> {
        user.connect().expect("room")
    }
    fn disconnect(&self, _: &UserScope<E>, tab: Connection<E>) {
        tab.disconnect();
    }
    fn publish(&self, user: &UserScope<E>, event: E) -> bool {
        user.publish(event).is_ok()
    }
    fn receive(&self, tab: &mut Connection<E>) -> Option<E> {
        receive(tab)
    }
    fn wait(&self, tab: &mut Connection<E>) -> Option<E> {
        wait(tab)
    }
    fn make_room(&self, users: &[UserScope<E>]) {
        for user in users {
            user.join(&room()).expect("room");
        }
    }
    fn publish_to_room(&self, _: &[UserScope<E>], event: &E) {
        self.0.room(room()).publish(event);
    }
    fn sweep(&self, now: Duration) {
        self.0.sweep(now);
    }
    fn drain(&self, tab: &mut Connection<E>, mut f: impl FnMut(&E)) {
        let _ = tab.visit(usize::MAX, |_, event| f(event));
    }
}
