//! A broker inside one process.

use std::collections::BTreeSet;
use std::fmt;
use std::future::{Future, poll_fn, ready};
use std::sync::Arc;
use std::task::Poll;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::cluster::error::RelayError;
use crate::cluster::relay::{Incoming, Relay};
use crate::lane::wake::WakeCell;
use crate::sync::{AtomicBool, Ordering, fence};
use crate::table::copy_on_write::CopyOnWrite;

/// Frames that wait in one end of a [`Loopback`]; more are lost.
const ROOM: usize = 1 << 12;

/// A broker inside one process, for tests and examples: hubs of one process as the nodes of a cluster.
///
/// ```
/// use laneway::cluster::{ClusterOptions, CodecError, Loopback, Node, closures};
/// use laneway::{Hub, Received, UserId};
///
/// let texts = || closures(
///     |event: &String, into| Ok(into.extend_from_slice(event.as_bytes())),
///     |_, bytes| String::from_utf8(bytes.to_vec()).map_err(CodecError::new),
/// );
/// let (here, there) = (Hub::new(), Hub::new());
/// let relay = Loopback::new();
/// let (node, driver) = Node::join(&here, ClusterOptions::new("chat"), texts(), relay.another())?;
/// let (_, other) = Node::join(&there, ClusterOptions::new("chat"), texts(), relay)?;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
/// # runtime.block_on(async {
/// let tick = || tokio::time::sleep(std::time::Duration::from_millis(50));
/// tokio::spawn(driver.run(tick));
/// tokio::spawn(other.run(tick));
///
/// let mut phone = there.scope(UserId::new("ann")?).connect()?; // ann is at another node
/// # tokio::time::sleep(std::time::Duration::from_millis(20)).await;
/// let ann = node.scope(UserId::new("ann")?);
/// assert!(ann.publish("hello".to_owned())?.relayed.is_queued());
/// let Received::Event(next) = phone.next().await? else { panic!("a gap") };
/// assert_eq!(next.event, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Each end keeps up to 4 096 frames that its node has not taken. More are lost, as a broker loses them.
/// A publish is linear in the ends. A subscription copies the end's list of subjects.
pub struct Loopback {
    bus: Arc<CopyOnWrite<Vec<Arc<End>>>>,
    end: Arc<End>,
    frames: Receiver<Incoming>,
}

/// One node's end.
struct End {
    subjects: CopyOnWrite<BTreeSet<Arc<str>>>,
    frames: Sender<Incoming>,
    wake: WakeCell,
    has_missed: AtomicBool,
}

impl End {
    fn put(&self, incoming: Incoming) {
        if self.frames.try_send(incoming).is_err() {
            self.has_missed.store(true, Ordering::Release);
        }
        // Pairs with the fence in `next`: of the two looks behind the fences one finds what the other thread wrote.
        fence(Ordering::SeqCst);
        self.wake.wake();
    }
}

impl Loopback {
    /// Creates a broker with one end.
    ///
    /// ```
    /// let relay = laneway::cluster::Loopback::new();
    /// let another = relay.another();
    /// # drop((relay, another));
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::join(Arc::default())
    }

    /// Creates one more end of this broker, for another node.
    ///
    /// ```
    /// let relay = laneway::cluster::Loopback::new();
    /// assert!(format!("{:?}", relay.another()).starts_with("Loopback"));
    /// ```
    #[must_use]
    pub fn another(&self) -> Self {
        Self::join(Arc::clone(&self.bus))
    }

    fn join(bus: Arc<CopyOnWrite<Vec<Arc<End>>>>) -> Self {
        let (sender, frames) = bounded(ROOM);
        let end = Arc::new(End {
            subjects: CopyOnWrite::new(),
            frames: sender,
            wake: WakeCell::new(),
            has_missed: AtomicBool::new(false),
        });
        end.put(Incoming::Connected);
        bus.change(|ends: &mut Vec<_>| ends.push(Arc::clone(&end)));
        Self { bus, end, frames }
    }

    fn take(&self) -> Option<Incoming> {
        if self.end.has_missed.swap(false, Ordering::AcqRel) {
            return Some(Incoming::Missed);
        }
        self.frames.try_recv().ok()
    }
}

impl Default for Loopback {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.bus
            .change(|ends| ends.retain(|end| !Arc::ptr_eq(end, &self.end)));
        self.end.wake.clear();
    }
}

impl fmt::Debug for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loopback")
            .field("waiting", &self.frames.len())
            .finish_non_exhaustive()
    }
}

/// A subscription of a [`Loopback`].
pub struct LoopbackSubscription {
    end: Arc<End>,
    subject: Arc<str>,
}

impl fmt::Debug for LoopbackSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopbackSubscription")
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

impl Drop for LoopbackSubscription {
    fn drop(&mut self) {
        self.end
            .subjects
            .change(|subjects| subjects.remove(&self.subject));
    }
}

impl Relay for Loopback {
    type Subscription = LoopbackSubscription;

    fn publish(
        &self,
        subject: &str,
        frame: Vec<u8>,
    ) -> impl Future<Output = Result<(), RelayError>> + Send {
        for end in self.bus.load().iter() {
            if end.subjects.load().contains(subject) {
                end.put(Incoming::Frame {
                    subject: subject.to_owned(),
                    bytes: frame.clone(),
                });
            }
        }
        ready(Ok(()))
    }

    fn subscribe(&self, subject: &str) -> LoopbackSubscription {
        let subject: Arc<str> = subject.into();
        self.end
            .subjects
            .change(|subjects| subjects.insert(Arc::clone(&subject)));
        LoopbackSubscription {
            end: Arc::clone(&self.end),
            subject,
        }
    }

    fn next(&self) -> impl Future<Output = Option<Incoming>> + Send {
        poll_fn(|cx| {
            let mut found = self.take();
            if found.is_none() {
                self.end.wake.arm(cx.waker());
                // The second look. Without it: the node finds nothing, a publisher puts a frame in and finds
                // no waker, and the node arms and sleeps behind that frame.
                fence(Ordering::SeqCst);
                found = self.take();
            }
            match found {
                None => Poll::Pending,
                found => {
                    self.end.wake.disarm();
                    Poll::Ready(found)
                }
            }
        })
    }
}
