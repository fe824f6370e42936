//! Users join, leave, go and come back in many overlapping rooms while threads publish to them.
//! `LANEWAY_STORM` asks for so many publishes of each thread.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use laneway::{
    Connection, Hub, Joined, Position, Received, Resumed, Retention, RoomId, UserId, UserScope,
    conserved,
};

const ROOMS: u64 = 1_000;
const USERS: u64 = 10_000;
/// Users below this number are members all the time, and stay online.
const STEADY: u64 = 6_000;
/// Those below this number are members all the time. With retention one device goes and comes back.
const COMMUTERS: u64 = 8_000;
const PUBLISHERS: usize = 2;
const CAPACITY: usize = 16;

/// Which publish it was: the publisher, and how many it had begun before.
type Event = (usize, u64);

/// The rooms in which a user is from the start.
fn rooms_of(user: u64) -> [u64; 2] {
    [user % ROOMS, (user * 7 + 3) % ROOMS]
}

fn room(room: u64) -> RoomId {
    RoomId::new(format!("room {room}")).unwrap()
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// How far each publisher is.
#[derive(Default)]
struct Progress {
    begun: [AtomicU64; PUBLISHERS],
    done: [AtomicU64; PUBLISHERS],
    offered: AtomicU64,
}

impl Progress {
    fn of(counts: &[AtomicU64; PUBLISHERS]) -> [u64; PUBLISHERS] {
        [0, 1].map(|p| counts[p].load(Ordering::SeqCst))
    }
}

/// A time during which events of a room may reach a user, by the publishes of each publisher.
struct Stay {
    room: u64,
    from: [u64; PUBLISHERS],
    until: [u64; PUBLISHERS],
}

/// A user whose devices, rooms or both change.
struct Restless {
    user: u64,
    scope: UserScope<Event>,
    devices: Vec<Connection<Event>>,
    stays: Vec<Stay>,
}

impl Restless {
    fn new(hub: &Hub<Event>, user: u64) -> Self {
        let scope = scope(hub, user);
        let devices = vec![scope.connect().unwrap(), scope.connect().unwrap()];
        Self {
            user,
            scope,
            devices,
            stays: Vec::new(),
        }
    }

    fn join(&mut self, room_number: u64, progress: &Progress) {
        let from = Progress::of(&progress.done);
        if self.scope.join(&room(room_number)).unwrap() == Joined::Now {
            self.stays.push(Stay {
                room: room_number,
                from,
                until: [u64::MAX; PUBLISHERS],
            });
        }
    }

    /// Notes that the stays that `ends` names are over.
    fn ended(&mut self, progress: &Progress, ends: impl Fn(u64) -> bool) {
        let until = Progress::of(&progress.begun);
        for stay in &mut self.stays {
            if stay.until[0] == u64::MAX && ends(stay.room) {
                stay.until = until;
            }
        }
    }

    fn act(&mut self, random: &mut Random, progress: &Progress, keeps: bool, logs: &mut Gone) {
        let of_few = random.below(4);
        let room_number = (self.user + of_few * of_few) % ROOMS;
        match random.below(8) {
            0..=2 => self.join(room_number, progress),
            3 | 4 => {
                if self.scope.leave(&room(room_number)) {
                    self.ended(progress, |room| room == room_number);
                }
            }
            5 => {
                let gone = self.devices.pop().unwrap();
                logs.drain(self.user, gone);
                self.devices.insert(0, self.scope.connect().unwrap());
            }
            6 if !keeps => {
                for gone in std::mem::take(&mut self.devices) {
                    logs.drain(self.user, gone);
                }
                assert_eq!(self.scope.rooms(), []);
                self.ended(progress, |_| true);
                let scope = &self.scope;
                self.devices = vec![scope.connect().unwrap(), scope.connect().unwrap()];
            }
            _ => {
                let rooms = self.scope.rooms().len();
                let open = self.stays.iter().filter(|s| s.until[0] == u64::MAX);
                assert_eq!(
                    rooms,
                    open.count(),
                    "a user is in the rooms that were joined"
                );
            }
        }
    }
}

/// What users received whose devices have gone.
#[derive(Default)]
struct Gone {
    events: Vec<(u64, Event)>,
}

impl Gone {
    fn drain(&mut self, user: u64, mut device: Connection<Event>) {
        let (events, _) = read(&mut device);
        self.events
            .extend(events.into_iter().map(|event| (user, event)));
    }
}

/// A member all the time, one of whose devices goes and comes back where it was.
struct Commuter {
    user: u64,
    scope: UserScope<Event>,
    /// Every second of them has a device that stays. The others are offline now and then.
    _other: Option<Connection<Event>>,
    device: Option<Connection<Event>>,
    position: Option<Position>,
    events: Vec<Event>,
    missed: u64,
}

impl Commuter {
    fn new(hub: &Hub<Event>, user: u64) -> Self {
        let scope = scope(hub, user);
        let device = scope.connect().unwrap();
        let other = user.is_multiple_of(2).then(|| scope.connect().unwrap());
        join_all(&scope, user);
        Self {
            user,
            scope,
            _other: other,
            device: Some(device),
            position: None,
            events: Vec::new(),
            missed: 0,
        }
    }

    fn part_or_resume(&mut self) {
        if let Some(mut device) = self.device.take() {
            let (events, missed) = read(&mut device);
            self.events.extend(events);
            self.missed += missed;
            self.position = Some(device.position());
            return;
        }
        let position = self.position.take().unwrap();
        let (device, resumed) = self.scope.resume(&position).unwrap();
        match resumed {
            Resumed::Complete { .. } => {}
            Resumed::Gap { missed, .. } => self.missed += missed,
            other => panic!("the lane is kept: {other:?}"),
        }
        self.device = Some(device);
    }
}

fn scope(hub: &Hub<Event>, user: u64) -> UserScope<Event> {
    hub.scope(UserId::new(format!("user {user}")).unwrap())
}

fn join_all(scope: &UserScope<Event>, user: u64) {
    for number in rooms_of(user) {
        scope.join(&room(number)).unwrap();
    }
}

/// All there is to read, and how much was missed.
fn read(device: &mut Connection<Event>) -> (Vec<Event>, u64) {
    let (mut events, mut all) = (Vec::new(), 0);
    while let Ok(received) = device.try_recv() {
        match received {
            Received::Event(next) => events.push(next.event),
            Received::Gap { missed, .. } => all += missed,
            other => panic!("no such thing: {other:?}"),
        }
    }
    (events, all)
}

/// Publishes to the rooms of one publisher, to some of them in pairs. Returns the rooms of each publish.
fn publish(hub: &Hub<Event>, p: usize, publishes: u64, progress: &Progress) -> Vec<[u64; 2]> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ p as u64);
    let senders: Vec<_> = (0..ROOMS).map(|n| hub.room(room(n))).collect();
    let mut log = Vec::new();
    for n in 0..publishes {
        let first = random.below(ROOMS);
        let second = if n % 8 == 0 {
            (first * 7 + 3) % ROOMS
        } else {
            first
        };
        log.push([first, second]);
        progress.begun[p].fetch_add(1, Ordering::SeqCst);
        let done = match () {
            () if second != first => hub.rooms([room(first), room(second)]).publish(&(p, n)),
            () if n % 64 == 1 => senders[first as usize].publish_critical(&(p, n)),
            () => senders[first as usize].publish(&(p, n)),
        };
        progress.done[p].fetch_add(1, Ordering::SeqCst);
        let offered = (done.users + done.refused) as u64;
        progress.offered.fetch_add(offered, Ordering::SeqCst);
    }
    log
}

/// The publishes that are for a user who is in these rooms.
fn expected(by_room: &BTreeMap<u64, Vec<Event>>, rooms: [u64; 2]) -> Vec<Event> {
    let mut all: Vec<_> = rooms
        .iter()
        .filter_map(|room| by_room.get(room))
        .flatten()
        .copied()
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Each event was for the user, none came twice, those of one publisher came in order, and what did not
/// come was told.
fn check(user: u64, events: &[Event], missed: u64, all: &[Event]) {
    for p in 0..PUBLISHERS {
        let numbers = events.iter().filter(|e| e.0 == p).map(|e| e.1);
        assert!(
            numbers.is_sorted_by(|a, b| a < b),
            "user {user}: in order, once"
        );
    }
    let foreign = events
        .iter()
        .find(|event| all.binary_search(event).is_err());
    assert_eq!(foreign, None, "user {user}: nothing of other rooms");
    assert_eq!(
        events.len() as u64 + missed,
        all.len() as u64,
        "user {user}: no hole"
    );
}

/// All users of a storm.
struct World {
    hub: Hub<Event>,
    steady: Vec<[Connection<Event>; 2]>,
    commuters: Vec<Commuter>,
    restless: Vec<Restless>,
    progress: Progress,
    gone: Gone,
}

impl World {
    fn new(keeps: bool) -> Self {
        let hub: Hub<Event> = Hub::builder()
            .shards(4096)
            .lane_capacity(CAPACITY)
            .retention(keeps.then(|| Retention::events(CAPACITY)))
            .build()
            .unwrap();
        let steady = |user| {
            let scope = scope(&hub, user);
            let devices = [scope.connect().unwrap(), scope.connect().unwrap()];
            join_all(&scope, user);
            devices
        };
        Self {
            steady: (0..STEADY).map(steady).collect(),
            commuters: (STEADY..COMMUTERS)
                .map(|u| Commuter::new(&hub, u))
                .collect(),
            restless: (COMMUTERS..USERS).map(|u| Restless::new(&hub, u)).collect(),
            progress: Progress::default(),
            gone: Gone::default(),
            hub,
        }
    }

    /// Publishes on threads while users come and go. Returns the rooms of each publisher's publishes.
    fn run(&mut self, events: u64, keeps: bool) -> Vec<Vec<[u64; 2]>> {
        thread::scope(|s| {
            let (hub, progress) = (&self.hub, &self.progress);
            let threads: Vec<_> = (0..PUBLISHERS)
                .map(|p| s.spawn(move || publish(hub, p, events, progress)))
                .collect();
            let mut random = Random(0xD1B5_4A32_D192_ED03);
            while threads.iter().any(|thread| !thread.is_finished()) {
                for _ in 0..8 {
                    let one = random.below(self.restless.len() as u64) as usize;
                    self.restless[one].act(&mut random, progress, keeps, &mut self.gone);
                }
                if keeps {
                    let one = random.below(self.commuters.len() as u64) as usize;
                    self.commuters[one].part_or_resume();
                }
            }
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        })
    }

    /// Users who were members all the time have no hole. Returns how many events they missed, and were told.
    fn check_members(&mut self, logs: &[Vec<[u64; 2]>]) -> u64 {
        let mut by_room: BTreeMap<u64, Vec<Event>> = BTreeMap::new();
        for (p, log) in logs.iter().enumerate() {
            for (n, rooms) in (0..).zip(log) {
                for room in rooms {
                    by_room.entry(*room).or_default().push((p, n));
                }
            }
        }
        let mut gaps = 0;
        for (user, devices) in (0..).zip(&mut self.steady) {
            let all = expected(&by_room, rooms_of(user));
            for device in devices {
                let (events, missed) = read(device);
                check(user, &events, missed, &all);
                gaps += missed;
            }
        }
        for commuter in &mut self.commuters {
            if commuter.device.is_none() {
                commuter.part_or_resume();
            }
            let (events, missed) = read(commuter.device.as_mut().unwrap());
            commuter.events.extend(events);
            let all = expected(&by_room, rooms_of(commuter.user));
            let missed = commuter.missed + missed;
            check(commuter.user, &commuter.events, missed, &all);
        }
        gaps
    }

    /// All that the other users received came while they were members.
    fn check_restless(&mut self, logs: &[Vec<[u64; 2]>]) {
        for one in &mut self.restless {
            for device in std::mem::take(&mut one.devices) {
                self.gone.drain(one.user, device);
            }
        }
        let by_user: BTreeMap<_, _> = self.restless.iter().map(|r| (r.user, &r.stays)).collect();
        for (user, (p, n)) in &self.gone.events {
            let rooms = logs[*p][*n as usize];
            let is_within = |stay: &Stay| {
                rooms.contains(&stay.room) && stay.from[*p] <= *n && *n < stay.until[*p]
            };
            let is_member = by_user[user].iter().any(is_within);
            assert!(is_member, "user {user} was no member");
        }
        assert!(self.gone.events.len() > 100);
        assert!(self.restless.iter().any(|one| one.stays.len() > 1));
    }
}

fn storm(keeps: bool) {
    let events = std::env::var("LANEWAY_STORM").map_or(4_000, |n| n.parse().expect("a number"));
    let mut world = World::new(keeps);
    let logs = world.run(events, keeps);
    let gaps = world.check_members(&logs);
    world.check_restless(&logs);
    let offered = world.progress.offered.load(Ordering::SeqCst);
    let restless = world.gone.events.len();
    println!("{offered} events, {gaps} missed and told, {restless} read by restless users");
    let World {
        hub,
        steady,
        commuters,
        restless,
        ..
    } = world;
    drop((steady, commuters, restless));
    conserved(offered, hub.accepted(), &hub.stats(), []).unwrap();
    if !keeps {
        let rooms = (0..ROOMS).map(room);
        assert_eq!(
            hub.rooms(rooms).member_count(),
            0,
            "all memberships have ended"
        );
    }
}

#[test]
fn r100_r101_a_storm_of_joins_and_publishes_reaches_members_once_and_no_other_user() {
    storm(false);
}

#[test]
fn r100_r103_a_storm_with_devices_that_resume_leaves_members_no_hole() {
    storm(true);
}
