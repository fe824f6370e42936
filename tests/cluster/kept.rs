//! Nodes whose users' events the server keeps, and devices that come with a trail.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use laneway::cluster::{
    Addressee, ClusterOptions, Codec, CodecError, History, HistoryError, HistoryOptions, Missed,
    NatsRelay, Node, Noted, Published, Stamp, Trail,
};
use laneway::{Connection, Hub, Received};
use tokio::task::JoinHandle;

use crate::nodes::{TICK, until, user};

/// An event that says for whom it is, who said it, and as which of that publisher's events.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) user: u32,
    pub(crate) publisher: u32,
    pub(crate) n: u32,
    /// Of an event of another node.
    pub(crate) stamp: Option<Stamp>,
}

pub(crate) struct Words;

impl Codec<Said> for Words {
    fn encode(&self, said: &Said, into: &mut Vec<u8>) -> Result<(), CodecError> {
        for word in [said.user, said.publisher, said.n] {
            into.extend_from_slice(&word.to_le_bytes());
        }
        Ok(())
    }
    fn decode(&self, to: &Addressee, bytes: &[u8]) -> Result<Said, CodecError> {
        let (words, _) = bytes.as_chunks::<4>();
        let &[user_of, publisher, n] = words else {
            return Err(CodecError::new("no words"));
        };
        let said = Said {
            user: u32::from_le_bytes(user_of),
            publisher: u32::from_le_bytes(publisher),
            n: u32::from_le_bytes(n),
            stamp: None,
        };
        assert_eq!(*to, Addressee::User(user(said.user)), "of another user");
        Ok(said)
    }
    fn decode_stamped(
        &self,
        to: &Addressee,
        bytes: &[u8],
        stamp: Stamp,
    ) -> Result<Said, CodecError> {
        let stamp = Some(stamp);
        self.decode(to, bytes).map(|said| Said { stamp, ..said })
    }
}

/// A process of the cluster.
pub(crate) struct Place {
    _hub: Hub<Said>,
    pub(crate) node: Node<Said>,
    pub(crate) history: History,
    driving: JoinHandle<()>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.driving.abort();
    }
}

impl Place {
    pub(crate) async fn open(address: &str, options: HistoryOptions) -> Self {
        let relay = NatsRelay::connect(address).await.unwrap();
        let start = Instant::now();
        let history = loop {
            match History::open(&relay, "test", options.clone()).await {
                Ok(history) => break history,
                Err(error) => assert!(start.elapsed() < Duration::from_secs(60), "{error:?}"),
            }
        };
        Self::join(relay, history).await
    }

    pub(crate) async fn join(relay: NatsRelay, history: History) -> Self {
        let hub: Hub<Said> = Hub::builder().lane_capacity(1 << 15).build().unwrap();
        let options = ClusterOptions::new("test").history(true);
        let (node, driver) = Node::join(&hub, options, Words, relay).unwrap();
        let driving = tokio::spawn(driver.run(|| tokio::time::sleep(TICK)));
        until("connected", || node.is_connected()).await;
        Self {
            _hub: hub,
            node,
            history,
            driving,
        }
    }

    pub(crate) fn say(&self, user_of: u32, publisher: u32, n: u32) -> Published {
        let said = Said {
            user: user_of,
            publisher,
            n,
            stamp: None,
        };
        self.node.scope(user(user_of)).publish(said).unwrap()
    }

    /// Waits until all that was published here was handed to the broker, and is kept there.
    pub(crate) async fn settled(&self) {
        let node = self.node.clone();
        until("sent", || {
            let stats = node.stats();
            stats.queued == stats.sent + stats.unsent
        })
        .await;
        // A mark of the same connection comes behind it.
        let mut stranger = Device::new(999);
        let connection = stranger.come(self).await;
        drop(connection);
    }
}

/// A user's device, wherever it is, and what it has been handed.
pub(crate) struct Device {
    pub(crate) user: u32,
    pub(crate) trail: Trail,
    pub(crate) got: Vec<Said>,
    /// What the calls of `since` counted as lost, and the gaps that live events showed.
    pub(crate) lost: u64,
    pub(crate) gaps: u64,
    /// Calls of `since` that were not whole.
    pub(crate) torn: u32,
}

impl Device {
    pub(crate) fn new(user_of: u32) -> Self {
        Self {
            user: user_of,
            trail: Trail::new(&user(user_of)),
            got: Vec::new(),
            lost: 0,
            gaps: 0,
            torn: 0,
        }
    }

    /// Connects at a node, and takes what it has missed. The trail has been at the client, as text.
    pub(crate) async fn come(&mut self, place: &Place) -> Connection<Said> {
        let connection = self.connect(place);
        let missed = self.since(place, &connection).await.unwrap();
        self.take(missed);
        connection
    }

    pub(crate) fn connect(&self, place: &Place) -> Connection<Said> {
        let scope = place.node.scope(user(self.user));
        scope.local().connect().unwrap()
    }

    pub(crate) async fn since(
        &mut self,
        place: &Place,
        connection: &Connection<Said>,
    ) -> Result<Missed<Said>, HistoryError> {
        self.trail = self.trail.to_string().parse().unwrap();
        let scope = place.node.scope(user(self.user));
        let history = &place.history;
        history
            .since(&scope, &self.trail, &Arc::new(Words), connection)
            .await
    }

    /// Takes all of what was missed.
    pub(crate) fn take(&mut self, mut missed: Missed<Said>) {
        for kept in std::mem::take(&mut missed.events) {
            self.hand_out(kept.event, kept.stamp);
        }
        missed.finish(&mut self.trail);
        self.lost += missed.lost;
        self.torn += u32::from(!missed.is_whole);
    }

    pub(crate) fn hand_out(&mut self, said: Said, stamp: Stamp) {
        assert_eq!(said.user, self.user, "of another user");
        match self.trail.note(stamp) {
            Noted::Repeated => return,
            Noted::Gap { missed, .. } => self.gaps += missed,
            _ => {}
        }
        self.got.push(said);
    }

    /// Takes what has come live, at most so many.
    pub(crate) fn read(&mut self, place: &Place, connection: &mut Connection<Said>, most: usize) {
        for _ in 0..most {
            let Ok(received) = connection.try_recv() else {
                return;
            };
            let Received::Event(next) = received else {
                panic!("a lane's gap")
            };
            let local = place.node.stamp_of(connection, next.number);
            let stamp = next.event.stamp.or(local).unwrap();
            self.hand_out(next.event, stamp);
        }
    }

    /// Takes what comes live until there is so much in all.
    pub(crate) async fn read_until(
        &mut self,
        place: &Place,
        connection: &mut Connection<Said>,
        all: usize,
    ) {
        let start = Instant::now();
        while self.got.len() < all {
            self.read(place, connection, usize::MAX);
            let is_in_time = start.elapsed() < Duration::from_secs(60);
            assert!(is_in_time, "{} of {all} have come", self.got.len());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Checks that no event came twice, and each publisher's in order, but those that a gap had told before. Returns how
    /// many of each publisher came.
    pub(crate) fn check(&self) -> HashMap<u32, u32> {
        let mut seen = HashSet::new();
        let mut last: HashMap<u32, u32> = HashMap::new();
        let mut counts: HashMap<u32, u32> = HashMap::new();
        let mut late = 0;
        for said in &self.got {
            assert!(seen.insert((said.publisher, said.n)), "twice: {said:?}");
            let before = last.entry(said.publisher).or_insert(said.n);
            late += u64::from(*before > said.n);
            *before = said.n.max(*before);
            *counts.entry(said.publisher).or_default() += 1;
        }
        assert!(
            late <= self.gaps,
            "{late} came late, after {} were missed",
            self.gaps
        );
        counts
    }
}
