//! The broker NATS.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
#[cfg(feature = "jetstream")]
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_nats::client::PublishErrorKind;
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use futures_core::Stream;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;

use crate::cluster::error::RelayError;
use crate::cluster::relay::{Incoming, Relay};
#[cfg(feature = "jetstream")]
use crate::cluster::sent::{Place, Sent};

/// Frames that wait for the driver.
const INBOX: usize = 4_096;
/// Frames of one subject that wait for a place in the inbox. The client of NATS drops more, and says so.
const WAITING: usize = 1_024;
/// How long the driver lets events come before it sends them, if the host says nothing else.
const LINGER: Duration = Duration::from_millis(1);
/// How long at most.
const MAX_LINGER: Duration = Duration::from_secs(1);
/// How often an idle connection asks whether the server is there.
const PING: Duration = Duration::from_secs(5);

/// A connection to a NATS server or a cluster of them, with core NATS: what is lost is not stored.
///
/// ```no_run
/// # async fn join() -> Result<(), Box<dyn std::error::Error>> {
/// use laneway::cluster::{ClusterOptions, CodecError, NatsRelay, Node, closures};
///
/// let hub: laneway::Hub<String> = laneway::Hub::new();
/// let texts = closures(
///     |event: &String, into| Ok(into.extend_from_slice(event.as_bytes())),
///     |_, bytes| String::from_utf8(bytes.to_vec()).map_err(CodecError::new),
/// );
/// let relay = NatsRelay::connect("nats://127.0.0.1:4222").await?;
/// let (node, driver) = Node::join(&hub, ClusterOptions::new("chat"), texts, relay)?;
/// tokio::spawn(driver.run(|| tokio::time::sleep(std::time::Duration::from_secs(1))));
/// # drop(node);
/// # Ok(())
/// # }
/// ```
///
/// The connection comes back by itself, after at most 4 s between two attempts, and renews all subscriptions.
///
/// # Bounds
///
/// 4 096 frames wait for the driver, and 1 024 more of each subject. 2 048 frames wait for the server in the
/// client of NATS, beside the node's own queue. A subscription is a task and a channel: some 3.7 KB a user online.
pub struct NatsRelay {
    pub(super) client: Client,
    #[cfg(feature = "jetstream")]
    pub(super) sent: Arc<Sent>,
    runtime: Handle,
    linger: Duration,
    inbox: mpsc::Sender<Incoming>,
    ears: Mutex<Ears>,
}

/// What only the driver uses.
struct Ears {
    frames: mpsc::Receiver<Incoming>,
    state: watch::Receiver<State>,
    told: State,
}

/// What the client of NATS has said of the connection.
#[derive(Clone, Copy, Default)]
struct State {
    is_connected: bool,
    connects: u64,
    misses: u64,
    is_closed: bool,
}

impl State {
    fn note(&mut self, event: &Event) {
        match event {
            Event::Connected => {
                self.is_connected = true;
                self.connects += 1;
            }
            Event::Disconnected => self.is_connected = false,
            Event::SlowConsumer(_) => self.misses += 1,
            Event::Closed => self.is_closed = true,
            _ => {}
        }
    }

    /// Returns what changed since `told`, and notes it there.
    fn news(&self, told: &mut Self) -> Option<Incoming> {
        if self.misses != told.misses {
            told.misses = self.misses;
            return Some(Incoming::Missed);
        }
        let is_same = self.is_connected == told.is_connected && self.connects == told.connects;
        *told = *self;
        match (is_same, self.is_connected) {
            (true, _) => None,
            (false, true) => Some(Incoming::Connected),
            (false, false) => Some(Incoming::Disconnected),
        }
    }
}

impl NatsRelay {
    /// Connects to one server, or to the first that answers of several with commas between them.
    ///
    /// ```no_run
    /// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
    /// let relay = laneway::cluster::NatsRelay::connect("nats://10.0.0.1:4222,nats://10.0.0.2:4222").await?;
    /// # drop(relay);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Returns at once. A server that is not there is tried again until it is.
    ///
    /// # Errors
    ///
    /// [`NatsError`] if an address is none.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with its I/O and its timer.
    pub async fn connect(addresses: &str) -> Result<Self, NatsError> {
        let options = ConnectOptions::new()
            .retry_on_initial_connect()
            .ping_interval(PING)
            .subscription_capacity(WAITING)
            .name("laneway");
        Self::connect_with(addresses, options).await
    }

    /// Connects with options of the host's: credentials, TLS, limits.
    ///
    /// ```no_run
    /// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
    /// use async_nats::ConnectOptions;
    ///
    /// let options = ConnectOptions::new().token("secret".into()).retry_on_initial_connect();
    /// let relay = laneway::cluster::NatsRelay::connect_with("nats://127.0.0.1:4222", options).await?;
    /// # drop(relay);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The relay sets `no_echo` and the callback of events. TLS needs a feature of async-nats: `ring` or
    /// `aws-lc-rs`.
    ///
    /// # Errors
    ///
    /// [`NatsError`] if an address is none, or the connection fails and the options do not ask to try again.
    ///
    /// # Panics
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_with(addresses: &str, options: ConnectOptions) -> Result<Self, NatsError> {
        let addresses = addresses
            .split(',')
            .map(|address| address.trim().parse::<ServerAddr>())
            .collect::<Result<Vec<_>, _>>()
            .map_err(NatsError::new)?;
        let (says, state) = watch::channel(State::default());
        let options = options.no_echo().event_callback(move |event| {
            says.send_modify(|state| state.note(&event));
            std::future::ready(())
        });
        let client = async_nats::connect_with_options(addresses, options)
            .await
            .map_err(NatsError::new)?;
        let (inbox, frames) = mpsc::channel(INBOX);
        let told = State::default();
        Ok(Self {
            client,
            #[cfg(feature = "jetstream")]
            sent: Arc::new(Sent::new()),
            runtime: Handle::current(),
            linger: LINGER,
            inbox,
            ears: Mutex::new(Ears {
                frames,
                state,
                told,
            }),
        })
    }

    /// Sets how long the driver, once it has found its queue empty, lets events come before it sends them together.
    /// Zero to 1 s, in whole milliseconds, rounded up; more counts as 1 s. Default 1 ms.
    ///
    /// ```no_run
    /// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// let relay = laneway::cluster::NatsRelay::connect("nats://127.0.0.1:4222").await?.linger(Duration::from_millis(5));
    /// # drop(relay);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Other nodes receive an event so much later. Meanwhile publishers wake no task: a publish costs less, and the
    /// driver takes the processor from local devices less often. With zero, each publish to a driver that is at rest
    /// wakes it. The [queue](crate::cluster::ClusterOptions::queue) has to hold what the node publishes in that time.
    #[must_use]
    pub fn linger(mut self, time: Duration) -> Self {
        self.linger = time.min(MAX_LINGER);
        self
    }
}

impl fmt::Debug for NatsRelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsRelay")
            .field("state", &self.client.connection_state())
            .finish_non_exhaustive()
    }
}

/// A subscription of a [`NatsRelay`].
#[derive(Debug)]
pub struct NatsSubscription {
    task: JoinHandle<()>,
    #[cfg(feature = "jetstream")]
    _place: Place,
}

impl Drop for NatsSubscription {
    fn drop(&mut self) {
        // The task's subscriber unsubscribes when it is dropped.
        self.task.abort();
    }
}

impl Relay for NatsRelay {
    type Subscription = NatsSubscription;

    async fn publish(&self, subject: &str, frame: Vec<u8>) -> Result<(), RelayError> {
        let done = self.client.publish(subject.to_owned(), frame.into()).await;
        done.map_err(|error| match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => RelayError::TooLarge,
            _ => RelayError::Closed,
        })
    }

    fn subscribe(&self, subject: &str) -> NatsSubscription {
        let (client, inbox, subject) =
            (self.client.clone(), self.inbox.clone(), subject.to_owned());
        #[cfg(feature = "jetstream")]
        let place = self.sent.enter(&subject);
        #[cfg(feature = "jetstream")]
        let note = place.note();
        let task = self.runtime.spawn(async move {
            let Ok(mut frames) = client.subscribe(subject.clone()).await else {
                return;
            };
            #[cfg(feature = "jetstream")]
            note();
            drop(client);
            while let Some(message) = poll_fn(|cx| Pin::new(&mut frames).poll_next(cx)).await {
                let frame = Incoming::Frame {
                    subject: subject.clone(),
                    bytes: message.payload.into(),
                };
                if inbox.send(frame).await.is_err() {
                    return;
                }
            }
        });
        NatsSubscription {
            task,
            #[cfg(feature = "jetstream")]
            _place: place,
        }
    }

    async fn linger(&self) {
        if !self.linger.is_zero() {
            // The driver may run on another runtime, which has no timer of tokio's.
            let sleep = {
                let _entered = self.runtime.enter();
                tokio::time::sleep(self.linger)
            };
            sleep.await;
        }
    }

    async fn flush(&self) {
        // An error says that the connection is closed for good: nothing is left to be written.
        let _ = self.client.flush().await;
    }

    async fn next(&self) -> Option<Incoming> {
        let mut ears = self.ears.lock().await;
        let Ears {
            frames,
            state,
            told,
        } = &mut *ears;
        loop {
            let now = *state.borrow_and_update();
            if now.is_closed {
                return None;
            }
            if let Some(news) = now.news(told) {
                return Some(news);
            }
            let (mut changed, mut frame) = (pin!(state.changed()), pin!(frames.recv()));
            let came = poll_fn(|cx| match changed.as_mut().poll(cx) {
                Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
                // The callback is gone: the client is closed.
                Poll::Ready(Err(_)) => Poll::Ready(Err(None)),
                Poll::Pending => frame.as_mut().poll(cx).map(Err),
            })
            .await;
            if let Err(frame) = came {
                return frame;
            }
        }
    }
}

/// The reason why there is no connection to NATS.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// let refused = runtime.block_on(laneway::cluster::NatsRelay::connect("nats://:x"));
/// assert!(refused.is_err());
/// ```
#[derive(Debug)]
pub struct NatsError(Box<dyn Error + Send + Sync>);

impl NatsError {
    fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Display for NatsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no connection to NATS")
    }
}

impl Error for NatsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}
