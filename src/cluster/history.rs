//! The events of users that the broker keeps for a while.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::stream::Stream as KeptStream;
use async_nats::jetstream::{self, Context};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::cluster::addressee::Addressee;
use crate::cluster::codec::Codec;
use crate::cluster::nats::NatsRelay;
use crate::cluster::outbox::Outbox;
use crate::cluster::scan::{Kept, Scan};
use crate::cluster::scope::NodeScope;
use crate::cluster::sent::Sent;
use crate::cluster::subject::Subjects;
use crate::cluster::trail::{Reached, Trail};
use crate::connection::Connection;
use crate::id::ThreadId;
use crate::sync::{AtomicBool, Ordering, pin};

mod options;
mod reading;

pub use options::{HistoryError, HistoryOptions};

/// The events of a cluster's users that the broker keeps for a while: what a device has missed while it was away, or
/// while its node was down.
///
/// ```no_run
/// # use laneway::cluster::{Addressee, Codec, CodecError, Stamp};
/// # #[derive(Clone)]
/// # struct Text { text: String, stamp: Option<Stamp> }
/// # struct Texts;
/// # impl Codec<Text> for Texts {
/// #     fn encode(&self, _: &Text, _: &mut Vec<u8>) -> Result<(), CodecError> { Ok(()) }
/// #     fn decode(&self, _: &Addressee, _: &[u8]) -> Result<Text, CodecError> { Err(CodecError::new("")) }
/// # }
/// # fn send(_: &Text) {}
/// # async fn serve(from_the_client: Option<String>) -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use laneway::cluster::{ClusterOptions, History, HistoryOptions, NatsRelay, Node, Noted, Trail};
/// use laneway::{Hub, Received, UserId};
///
/// let (hub, codec) = (Hub::new(), Arc::new(Texts)); // whose events keep their stamps
/// let relay = NatsRelay::connect("nats://127.0.0.1:4222").await?;
/// let history = History::open(&relay, "chat", HistoryOptions::default()).await?;
/// let options = ClusterOptions::new("chat").history(true);
/// let (node, driver) = Node::join(&hub, options, Arc::clone(&codec), relay)?;
/// tokio::spawn(driver.run(|| tokio::time::sleep(std::time::Duration::from_secs(1))));
///
/// let ann = node.scope(UserId::new("ann")?);
/// let mut trail = match from_the_client {
///     Some(text) => text.parse::<Trail>()?,
///     None => Trail::new(ann.user()),
/// };
/// let mut phone = ann.local().connect()?; // first: what is published from now on comes live
/// let mut missed = history.since(&ann, &trail, &codec, &phone).await?;
/// for kept in missed.events.drain(..) {
///     if trail.note(kept.stamp) != Noted::Repeated {
///         send(&kept.event);
///     }
/// }
/// missed.finish(&mut trail);
/// if !missed.is_whole {
///     // Have the client load its state anew.
/// }
/// loop {
///     let Received::Event(next) = phone.next().await? else { continue };
///     let stamp = next.event.stamp.or_else(|| node.stamp_of(&phone, next.number));
///     if stamp.is_some_and(|stamp| trail.note(stamp) != Noted::Repeated) {
///         send(&next.event); // and now and then `trail.to_string()`
///     }
/// }
/// # }
/// ```
///
/// It is a stream of NATS's `JetStream`, `laneway_NAME`. It stores the frames that the nodes publish anyway, so a publish
/// costs its publisher nothing more. Only users' events are in it. A room's events are not.
///
/// A node that opens a history needs the broker's permission for `$JS.API.>` and `_INBOX.>` as well.
///
/// # Promises
///
/// * **Each event once.** A host that drops what is [`Repeated`](crate::cluster::Noted::Repeated) hands each event to
///   a device once, at whatever nodes it was, also after a restart of a node or of the server.
/// * **No silent loss.** [`Missed::is_whole`] is `false` if an event may be missing: the stream is another one than that
///   of the trail, it keeps too little, a number is missing, or an event cannot be read.
/// * **Order.** One node's events for a user come in the order in which its driver sent them, and before those that come
///   live. Between what the device received at the publisher's own node and what it receives elsewhere, two publishes
///   that overlapped may have two orders.
/// * **Isolation.** The scope decides whose events are read. A trail decides only which of them come.
///
/// # Not promised
///
/// * That an event comes at once which is published in the very moment of the call. The server's threads, and several
///   servers of NATS, may store it behind the call's mark and not yet know of the subscription. It is missing at first,
///   and shows as a gap once its node publishes the next event for the user. The next call brings it, late.
/// * A number that is missing counts as lost, also if the device has received that event at the node that published it
///   while the broker was gone.
/// * A device that [`publish_to_others`](NodeScope::publish_to_others) leaves out may get the event from the history.
/// * What a lane's own [`Gap`](crate::Received::Gap) has told is not fetched.
/// * What a host [resumes](crate::UserScope::resume) or [recovers](crate::Connection::recover) as well: a device uses
///   a position or a trail.
/// * The packets of the protocol layer: [`PacketCodec`](https://docs.rs/laneway/latest/laneway/cluster/struct.PacketCodec.html)
///   keeps no stamps.
///
/// # Bounds
///
/// [`HistoryOptions`]. A call holds the events of one user that it returns. It makes a consumer at the server for the
/// time of the call, and takes some four round trips.
pub struct History {
    context: Context,
    stream: KeptStream<()>,
    sent: Arc<Sent>,
    subjects: Subjects,
    options: HistoryOptions,
}

/// What a device has missed, from [`History::since`].
#[derive(Debug)]
#[must_use = "the device has missed these events"]
#[non_exhaustive]
pub struct Missed<E> {
    /// The events, in the order of the history.
    pub events: Vec<Kept<E>>,
    /// Whether these are all that the device has missed. If not, the client loads its state anew.
    pub is_whole: bool,
    /// How many events are known to be missing, by their numbers: lost on their way, or gone from the history.
    pub lost: u64,
    /// How many frames the codec could not read.
    pub undecodable: u64,
    reached: Reached,
}

impl<E> Missed<E> {
    /// Moves the trail on. The host calls it after it has handed out and noted all events. A trail of another user stays
    /// as it is.
    ///
    /// A device that is cut before this call comes back with what was noted so far, and gets the rest.
    pub fn finish(&self, trail: &mut Trail) {
        trail.advance(&self.reached);
    }
}

/// The first pause between two looks at something that another task does, and the longest.
const FIRST_PAUSE: Duration = Duration::from_micros(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
/// Waits until `is_so`.
async fn until(mut is_so: impl FnMut() -> bool) {
    let mut pause = FIRST_PAUSE;
    while !is_so() {
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Waits until no guard is left that was there at the call.
async fn grace() {
    let passed = Arc::new(AtomicBool::new(false));
    let note = Arc::clone(&passed);
    pin().defer(move || note.store(true, Ordering::Release));
    until(|| {
        pin().flush();
        passed.load(Ordering::Acquire)
    })
    .await;
}

impl History {
    /// Opens the history of the cluster of this name. Creates it, or changes its settings to these.
    ///
    /// [`History`] has an example. The relay is the one with which the node joins afterwards.
    ///
    /// # Errors
    ///
    /// [`HistoryError`]: `Name`, `TimedOut`, or `Broker`.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with its timer.
    pub async fn open(
        relay: &NatsRelay,
        name: &str,
        options: HistoryOptions,
    ) -> Result<Self, HistoryError> {
        let subjects = Subjects::new(name).map_err(|_| HistoryError::Name)?;
        let mut context = jetstream::new(relay.client.clone());
        context.set_timeout(options.limit);
        let stream = format!("laneway_{name}");
        let config = options.config(&stream, &subjects);
        let opening = async {
            let opened = context.create_or_update_stream(config).await;
            opened.map_err(HistoryError::broker)?;
            let found = context.get_stream_no_info(&stream).await;
            found.map_err(HistoryError::broker)
        };
        let opened = timeout(options.limit, opening).await;
        let stream = opened.map_err(|_| HistoryError::TimedOut)??;
        Ok(Self {
            context,
            stream,
            sent: Arc::clone(&relay.sent),
            subjects,
            options,
        })
    }

    /// Returns what a device has missed that is connected here now. The host calls it before it hands out the first
    /// live event, and again in a long session: see below.
    ///
    /// [`History`] has an example. A device with a new trail has missed nothing: there are no events, and
    /// [`Missed::finish`] sets the place from which it misses some. The client loads its state after this call, so
    /// that what was published before is in it.
    ///
    /// Events with a thread come if the connection is attached to it now.
    ///
    /// # Long sessions
    ///
    /// The place in the history moves by this call alone. A device that comes back after a long session has the place
    /// of the session's begin, and the history may not reach back so far. So the host calls it again when
    /// [`Trail::noted_since`] reaches half of [`HistoryOptions::events`], and after half of [`HistoryOptions::age`].
    /// In most cases no event comes of it. It also brings those that are behind a [`Gap`](crate::cluster::Noted::Gap).
    ///
    /// # Errors
    ///
    /// [`HistoryError`], at most [`HistoryOptions::limit`] after the call. The trail is as it was. Live events come on,
    /// and a later call brings what was missed.
    ///
    /// # Panics
    ///
    /// If the codec does. Outside of a tokio runtime with its timer.
    pub async fn since<E, C>(
        &self,
        scope: &NodeScope<E>,
        trail: &Trail,
        codec: &C,
        connection: &Connection<E>,
    ) -> Result<Missed<E>, HistoryError>
    where
        E: Send + Sync + 'static,
        C: Codec<E>,
    {
        if !trail.is_of(scope.user()) {
            return Err(HistoryError::Foreign);
        }
        if !scope.owns(connection) {
            return Err(HistoryError::Connection);
        }
        let end = Instant::now() + self.options.limit;
        let subject = self.subjects.user(scope.user());
        let outbox = scope.outbox();
        // The events that another node publishes from now on come live, or are before the mark.
        let heard = timeout_at(end, self.heard(outbox, &subject)).await;
        heard.map_err(|_| {
            if outbox.is_stopped.load(Ordering::Acquire) {
                HistoryError::Stopped
            } else {
                HistoryError::Unheard
            }
        })?;
        // So do those of this node.
        let flushed = timeout_at(end, self.flushed(outbox)).await;
        flushed.map_err(|_| HistoryError::Queue)?;

        let is_attached = |thread: &ThreadId| connection.is_attached(thread);
        let live = (outbox.node, connection.place());
        let to = Addressee::User(scope.user().clone());
        let scan = Scan::new(trail, live, to, &is_attached);
        let reading = self.read(scan, trail, &subject, codec);
        let read = timeout_at(end, reading).await;
        read.map_err(|_| HistoryError::TimedOut)?
    }

    /// Waits until the node's subscription to the subject was sent to the broker, and stays.
    async fn heard<E>(&self, outbox: &Outbox<E>, subject: &str) {
        // A look of the driver that has begun before the connection was there may still end the subscription. At the
        // next turn of the driver that look is over, and a later one finds the connection. AcqRel: a turn that begins
        // after this addition sees the connection.
        let turn = outbox.polls.fetch_add(0, Ordering::AcqRel);
        outbox.wake.wake();
        until(|| outbox.polls.load(Ordering::Acquire) != turn).await;
        until(|| self.sent.has(subject)).await;
    }

    /// Waits until each publish of this node that has begun was sent to the broker.
    async fn flushed<E>(&self, outbox: &Outbox<E>) {
        // A publisher holds a guard from before its lane accepts the event until the event is queued and counted. The first
        // grace period waits for each publish that has begun. The second one waits for those that have begun meanwhile,
        // and queued in front of them. Without it: one of these is stopped before it counts, the driver sends it, and
        // stands in the count for an event behind it.
        grace().await;
        grace().await;
        let queued = outbox.counters.queued.load(Ordering::Acquire);
        until(|| outbox.handled.load(Ordering::Acquire) >= queued).await;
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History")
            .field("subjects", &self.subjects)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
