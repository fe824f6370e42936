//! Eight threads and four users for hundreds of operations, in tens of thousands of random
//! schedules. A failing one prints the seed that replays it.

use std::sync::Arc;
use std::time::Duration;

use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::Mutex;
use shuttle::thread;

use crate::{Connection, Hub, LimitPolicy, Received, TryRecvError, UserId, UserScope, conserved};

mod retention;

const USERS: usize = 4;
const PUBLISHERS: usize = 4;
const READERS: usize = 4;
const CALLS: usize = 40;

/// Whose it is, and its place among the critical events of that user.
#[derive(Clone, Debug)]
struct Event {
    user: usize,
    critical: Option<u64>,
}

struct Device {
    user: usize,
    connection: Connection<Event>,
    last: Option<u64>,
    critical: Option<u64>,
}

impl Device {
    /// One receive; `false` at the end.
    fn read(&mut self) -> bool {
        match self.connection.try_recv() {
            Ok(Received::Event(got)) => {
                assert_eq!(got.event.user, self.user, "a foreign event");
                assert!(
                    self.last.is_none_or(|last| last < got.number),
                    "out of order"
                );
                self.last = Some(got.number);
                if let Some(critical) = got.event.critical {
                    let next = self.critical.map_or(critical, |last| last + 1);
                    assert_eq!(critical, next, "a critical event was missed in silence");
                    self.critical = Some(critical);
                }
                true
            }
            Ok(Received::Gap { .. }) => true,
            Err(TryRecvError::Closed(_) | TryRecvError::Empty) => false,
        }
    }
}

fn publish(scope: &UserScope<Event>, user: usize, criticals: &Mutex<[u64; USERS]>) {
    let event = |critical| Event { user, critical };
    match thread_rng().gen_range(0..8) {
        0 => drop(scope.try_publish(event(None))),
        1 | 2 => {
            // Under a lock of the host's, so that they are numbered in order.
            let mut criticals = criticals.lock().unwrap();
            let done = scope.publish_critical(event(Some(criticals[user])));
            criticals[user] += u64::from(done.is_ok());
        }
        3 => match scope.connections().first() {
            Some(info) => drop(scope.to_others(info.id).publish(event(None))),
            None => drop(scope.publish(event(None))),
        },
        _ => drop(scope.publish(event(None))),
    }
}

fn reader(scopes: &[UserScope<Event>], hub: &Hub<Event>) -> Vec<Device> {
    let mut devices: Vec<Device> = Vec::new();
    for _ in 0..CALLS {
        let user = thread_rng().gen_range(0..USERS);
        let at = thread_rng().gen_range(0..devices.len().max(1));
        match thread_rng().gen_range(0..12) {
            0..=2 => {
                if let Ok(connection) = scopes[user].connect() {
                    devices.push(Device {
                        user,
                        connection,
                        last: None,
                        critical: None,
                    });
                }
            }
            3 if !devices.is_empty() => drop(devices.swap_remove(at)),
            4 => drop(scopes[user].disconnect_all(7)),
            5 => drop(hub.sweep(Duration::ZERO)),
            _ if !devices.is_empty() => drop(devices[at].read()),
            _ => {}
        }
    }
    devices
}

fn schedule() {
    let hub = Hub::builder()
        .lane_capacity(2)
        .max_connections_per_user(3)
        .limit_policy(LimitPolicy::EvictOldest)
        .shards(1)
        .build::<Event>()
        .expect("valid");
    let scope = |u| hub.scope(UserId::new(format!("user {u}")).expect("valid"));
    let scopes: Vec<_> = (0..USERS).map(scope).collect();
    let criticals = Arc::new(Mutex::new([0; USERS]));
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|_| {
            let (scopes, criticals) = (scopes.clone(), Arc::clone(&criticals));
            thread::spawn(move || {
                for _ in 0..CALLS {
                    let user = thread_rng().gen_range(0..USERS);
                    publish(&scopes[user], user, &criticals);
                }
            })
        })
        .collect();
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let (scopes, hub) = (scopes.clone(), hub.clone());
            thread::spawn(move || reader(&scopes, &hub))
        })
        .collect();
    for publisher in publishers {
        publisher.join().unwrap();
    }
    let join = |reader: thread::JoinHandle<Vec<Device>>| reader.join().unwrap();
    let mut devices: Vec<_> = readers.into_iter().flat_map(join).collect();
    for device in &mut devices {
        while device.read() {}
    }
    let stats = devices.iter().map(|device| device.connection.stats());
    let offered = (PUBLISHERS * CALLS) as u64;
    conserved(offered, hub.accepted(), &hub.stats(), stats).expect("nothing vanishes");
    let live = scopes
        .iter()
        .map(UserScope::connection_count)
        .sum::<usize>();
    assert_eq!(hub.stats().connections, live, "each connection counts once");
    drop(devices);
    assert_eq!(hub.user_count(), 0, "no user is left behind");
    assert_eq!(hub.stats().connections, 0, "each connection counts once");
}

fn schedules() -> usize {
    std::env::var("LANEWAY_SCHEDULES").map_or(20_000, |n| n.parse().unwrap())
}

#[test]
fn r016_random_schedules_of_eight_threads() {
    let schedules = schedules();
    shuttle::check_random(schedule, schedules);
    println!(
        "{schedules} schedules of {} threads",
        PUBLISHERS + READERS + 1
    );
}
