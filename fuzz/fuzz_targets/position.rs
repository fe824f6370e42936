//! Any bytes as a position, and positions with bits changed, in their own user's scope and in
//! another's. Nothing panics. A connection that resumes gets events of its own user only, and a replay
//! that is called complete is.
#![no_main]

use std::time::Duration;

use laneway::{
    Connection, ConnectionId, Origin, Position, Received, ResumeError, Resumed, Retention, Hub, UserId,
    UserScope,
};
use libfuzzer_sys::fuzz_target;

const USERS: usize = 2;

type Event = (usize, u64);

struct World {
    hub: Hub<Event>,
    scopes: [UserScope<Event>; USERS],
    connections: Vec<(usize, Connection<Event>)>,
    positions: Vec<(usize, ConnectionId, Position)>,
    now: Duration,
}

impl World {
    fn new() -> Self {
        let retention = Retention::events(4).grace(Duration::from_secs(2));
        let builder = Hub::builder().lane_capacity(4).shards(1);
        let builder = builder.retention(Some(retention.max_absent_users(1)));
        let hub = builder.build().expect("valid");
        let scope = |name| hub.scope(UserId::new(name).expect("valid"));
        Self {
            scopes: [scope("ann"), scope("bob")],
            hub,
            connections: Vec::new(),
            positions: Vec::new(),
            now: Duration::ZERO,
        }
    }

    /// Resumes as `user` from a position that was given to a device of `owner`'s and has perhaps been
    /// altered.
    fn resume(
        &mut self,
        user: usize,
        owner: Option<(usize, ConnectionId)>,
        position: &Position,
    ) {
        let (owner, device) = owner.unzip();
        let before = self.hub.stats();
        let done = self.scopes[user].resume(position);
        let after = self.hub.stats();
        let refused = after.foreign_positions - before.foreign_positions;
        let (mut connection, resumed) = match done {
            Ok(done) => done,
            Err(ResumeError::Foreign) => {
                assert_eq!(refused, 1);
                assert!(owner != Some(user), "its own is not refused");
                return;
            }
            Err(_) => return,
        };
        assert_eq!(refused, 0);
        let live = self.scopes[user].connections();
        let own = live.iter().filter(|info| info.id == connection.id());
        assert_eq!(own.count(), 1, "a device has one connection");
        if owner == Some(user) {
            assert_eq!(Some(connection.id()), device, "a device keeps its id");
        }
        let unread = connection.unread();
        assert_eq!(unread, 0, "nothing was published since");
        let mut got = Vec::new();
        while let Ok(Received::Event(delivered)) = connection.try_recv() {
            assert_eq!(delivered.event.0, user, "an event of another user");
            assert_eq!(delivered.event.1, delivered.number);
            assert_eq!(delivered.origin, Origin::Replayed);
            got.push(delivered.number);
        }
        match resumed {
            Resumed::Complete { from, to, .. } => {
                assert_eq!(owner, Some(user), "only its own goes on");
                assert!(got.iter().copied().eq(from..to), "not whole: {got:?}");
            }
            Resumed::Gap { missed, oldest, .. } => {
                assert_eq!(owner, Some(user), "only its own goes on");
                assert!(missed > 0);
                assert!(got.iter().copied().eq(oldest..oldest + got.len() as u64));
            }
            _ => assert!(got.is_empty(), "a reset replays nothing"),
        }
        self.connections.push((user, connection));
    }

    fn step(&mut self, call: u8, rest: &mut impl Iterator<Item = u8>) {
        let user = usize::from(call >> 7);
        let scope = &self.scopes[user];
        let at = usize::from(call >> 3 & 15);
        match call & 7 {
            0 | 1 => {
                // Nothing runs beside this, so the number is known before.
                if let Ok(delivery) = scope.publish((user, next_number(scope))) {
                    assert!(delivery.kept);
                }
            }
            2 => {
                if let Ok(connection) = scope.connect() {
                    self.connections.push((user, connection));
                }
            }
            3 if at < self.connections.len() => drop(self.connections.swap_remove(at)),
            4 if at < self.connections.len() => {
                let (owner, connection) = &mut self.connections[at];
                let _ = connection.visit(1, |_, event| assert_eq!(event.0, *owner));
                let id = connection.id();
                self.positions.push((*owner, id, connection.position()));
            }
            5 if at < self.positions.len() => {
                let (owner, id, position) = self.positions[at];
                self.resume(user, Some((owner, id)), &position);
            }
            6 if at < self.positions.len() => {
                let (owner, id, position) = self.positions[at];
                let mut bytes = position.to_bytes();
                for _ in 0..=rest.next().unwrap_or(0) % 4 {
                    let place = usize::from(rest.next().unwrap_or(0)) % bytes.len();
                    bytes[place] ^= rest.next().unwrap_or(1);
                }
                let altered = Position::from_bytes(&bytes).expect("of the right length");
                let owner = (altered == position).then_some((owner, id));
                self.resume(user, owner, &altered);
            }
            7 => {
                self.now += Duration::from_secs(1);
                self.hub.sweep(self.now);
            }
            _ => {}
        }
    }
}

/// The number that the next event of a user will have, if there is a lane to take it.
fn next_number(scope: &UserScope<Event>) -> u64 {
    let mut text = String::new();
    scope.dump(&mut text).expect("written");
    let seq = text.split("seq ").nth(1);
    let seq = seq.and_then(|rest| rest.split(' ').next());
    seq.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fuzz_target!(|input: &[u8]| {
    if let Ok(position) = Position::from_bytes(input) {
        let text = position.to_string();
        assert_eq!(text.parse(), Ok(position));
    }
    if let Ok(text) = std::str::from_utf8(input)
        && let Ok(position) = text.parse::<Position>()
    {
        assert_eq!(position.to_string(), text);
        let mut world = World::new();
        world.resume(0, None, &position);
    }
    let mut world = World::new();
    let mut input = input.iter().copied().take(300);
    while let Some(call) = input.next() {
        world.step(call, &mut input);
    }
});
