//! The handler of quality messages, and the sender of quality alerts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::id::{RunId, ThreadId};
use crate::protocol::broadcaster::Broadcaster;
use crate::protocol::inbound::dispatch::MessageRouter;
use crate::protocol::inbound::error::HandlerError;
use crate::protocol::inbound::handler::{Handled, Handler};
use crate::protocol::inbound::sender::Sender;
use crate::protocol::inbound::stats::RegisterError;
use crate::protocol::message::envelope::Message;
use crate::protocol::message::kind::MessageKind;
use crate::protocol::packet::Packet;
use crate::protocol::quality::fields::{choice, field, id, invalid, period, strict};
use crate::protocol::quality::provider::{
    CONTENT_TYPES, QualityProvider, QualityRequest, REPORT_TYPES,
};
use crate::protocol::quality::subscribers::{Subscriber, Subscribers};
use crate::scope::UserScope;
use crate::sync::{AtomicU64, Ordering};
use crate::table::copy_on_write::CopyOnWrite;

/// Users that one [`Quality`] keeps as subscribers at a time, unless [`Quality::with_room`] says
/// otherwise.
///
/// ```
/// assert_eq!(laneway::protocol::MAX_SUBSCRIBERS, 10_000);
/// ```
pub const MAX_SUBSCRIBERS: usize = 10_000;
const KINDS: [MessageKind; 5] = [
    MessageKind::GetQualityMetrics,
    MessageKind::SubscribeQualityAlerts,
    MessageKind::StartAgent,
    MessageKind::ValidateContent,
    MessageKind::GenerateQualityReport,
];

/// The users and connections that an update or an alert reached.
///
/// ```
/// # use std::time::Duration;
/// # use laneway::{Hub, ThreadId, UserId, protocol::*};
/// # let engine = Hub::new();
/// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
/// # use std::sync::Arc;
/// # let broadcaster = Arc::new(Broadcaster::default());
/// # let quality = Quality::new(broadcaster, Arc::new(MemoryQuality::default()));
/// quality.subscribe(&ann)?;
/// let reach = quality.update(Default::default(), now);
/// assert_eq!((reach.subscribers, reach.reached), (1, 0)); // ann has no device
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
#[must_use = "it says whom it reached"]
pub struct QualityReach {
    /// Subscribed users.
    pub subscribers: usize,
    /// Subscribed users with at least one connection that can receive it.
    pub reached: usize,
    /// Connections that can receive it.
    pub connections: usize,
}

/// Answers quality messages, and sends updates and alerts to subscribers. Cheap to clone; all clones
/// share one list of subscribers.
///
/// A subscription keeps the scope of its user and nothing of the message. It ends when the user or
/// the host ends it. It also ends when another user needs its place while its own user has no connection.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use laneway::protocol::{MemoryQuality, MessageRouter, Quality};
/// use laneway::{Hub, UserId};
///
/// let (engine, now) = (Hub::new(), Duration::ZERO);
/// let (ann, inbound) = (engine.scope(UserId::new("ann")?), MessageRouter::new(Arc::default(), now));
/// let quality = Quality::new(Arc::default(), Arc::new(MemoryQuality::default()));
/// quality.register(&inbound)?;
///
/// let _phone = ann.connect()?;
/// let _ = inbound.route_json(&ann, None, br#"{"type": "subscribe_quality_alerts"}"#, now);
/// assert_eq!(quality.alert(Default::default(), now).connections, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Quality(Arc<Inner>);

struct Inner {
    broadcaster: Arc<Broadcaster>,
    provider: Arc<dyn QualityProvider>,
    subscribers: CopyOnWrite<Subscribers>,
    /// Subscriptions so far.
    numbers: AtomicU64,
    limit: usize,
}

impl fmt::Debug for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quality")
            .field("subscribers", &self.subscriber_count())
            .finish_non_exhaustive()
    }
}

impl Quality {
    /// Creates a handler that asks `provider`, and sends alerts through `broadcaster`.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use laneway::protocol::{MemoryQuality, Quality};
    ///
    /// let quality = Quality::new(Arc::default(), Arc::new(MemoryQuality::default()));
    /// assert_eq!(quality.subscriber_count(), 0);
    /// ```
    #[must_use]
    pub fn new(broadcaster: Arc<Broadcaster>, provider: Arc<dyn QualityProvider>) -> Self {
        Self::with_room(broadcaster, provider, MAX_SUBSCRIBERS)
    }

    /// As [`new`](Self::new), with room for `subscribers` users instead of [`MAX_SUBSCRIBERS`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// use std::sync::Arc;
    ///
    /// let quality = Quality::with_room(Arc::default(), Arc::new(MemoryQuality::default()), 0);
    /// assert_eq!(quality.subscribe(&ann).unwrap_err().code, "TOO_MANY_SUBSCRIBERS");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_room(
        broadcaster: Arc<Broadcaster>,
        provider: Arc<dyn QualityProvider>,
        subscribers: usize,
    ) -> Self {
        Self(Arc::new(Inner {
            broadcaster,
            provider,
            subscribers: CopyOnWrite::new(),
            numbers: AtomicU64::new(0),
            limit: subscribers,
        }))
    }

    /// Registers this as the handler `quality` of the router of messages. Lock-free.
    ///
    /// ```
    /// # use laneway::protocol::*;
    /// # use std::{sync::Arc, time::Duration};
    /// # let quality = Quality::new(Arc::default(), Arc::new(MemoryQuality::default()));
    /// let inbound = MessageRouter::new(Arc::default(), Duration::ZERO);
    /// quality.register(&inbound)?;
    /// assert_eq!(quality.register(&inbound), Err(RegisterError::NameTaken));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`MessageRouter::register`].
    pub fn register(&self, router: &MessageRouter) -> Result<(), RegisterError> {
        router.register("quality", self.clone())
    }

    /// Subscribes a user. A user who is subscribed stays so, in the same place of the order.
    ///
    /// If there is no room, the oldest subscription whose user has no connection ends. Lock-free, linear in
    /// the subscribers.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// # use std::sync::Arc;
    /// # let broadcaster = Arc::new(Broadcaster::default());
    /// # let quality = Quality::new(broadcaster, Arc::new(MemoryQuality::default()));
    /// quality.subscribe(&ann)?;
    /// quality.subscribe(&ann)?;
    /// assert_eq!(quality.subscriber_count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `TOO_MANY_SUBSCRIBERS` if there is no room, and each subscriber has a connection.
    pub fn subscribe(&self, scope: &UserScope<Packet>) -> Result<(), HandlerError> {
        let new = Subscriber {
            scope: Arc::new(scope.clone()),
            number: self.0.numbers.fetch_add(1, Ordering::Relaxed),
        };
        let limit = self.0.limit;
        (self.0.subscribers).update(|list| Ok((list.with(&new, limit)?, ())))
    }

    /// Ends a user's subscription. No change if there is none. Lock-free, linear in the subscribers.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// # use std::sync::Arc;
    /// # let broadcaster = Arc::new(Broadcaster::default());
    /// # let quality = Quality::new(broadcaster, Arc::new(MemoryQuality::default()));
    /// quality.subscribe(&ann)?;
    /// quality.unsubscribe(&ann);
    /// assert_eq!(quality.subscriber_count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unsubscribe(&self, scope: &UserScope<Packet>) {
        let _: Result<(), ()> =
            (self.0.subscribers).update(|list| Ok((list.without(scope).ok_or(())?, ())));
    }

    /// Returns the number of subscribed users. Wait-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// # use std::sync::Arc;
    /// # let broadcaster = Arc::new(Broadcaster::default());
    /// # let quality = Quality::new(broadcaster, Arc::new(MemoryQuality::default()));
    /// quality.subscribe(&ann)?;
    /// assert_eq!(quality.subscriber_count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn subscriber_count(&self) -> usize {
        self.0.subscribers.load().len()
    }

    /// Sends a `quality_update` with this payload to each subscriber.
    ///
    /// Lock-free, linear in the subscribers and their connections.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// # use std::sync::Arc;
    /// # let broadcaster = Arc::new(Broadcaster::default());
    /// # let quality = Quality::new(broadcaster, Arc::new(MemoryQuality::default()));
    /// let mut phone = ann.connect()?;
    /// quality.subscribe(&ann)?;
    /// let _ = quality.update(Default::default(), now);
    /// let laneway::Received::Event(answer) = phone.try_recv()? else { panic!("a gap") };
    /// assert_eq!(answer.event.json(), r#"{"type":"quality_update","payload":{}}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update(&self, payload: Map<String, Value>, at: Duration) -> QualityReach {
        self.tell("quality_update", payload, at)
    }

    /// Sends a `quality_alert` with this payload to each subscriber.
    ///
    /// A payload without a `severity` gets the severity `info`. Lock-free, linear in the subscribers and
    /// their connections.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// # use std::sync::Arc;
    /// # let broadcaster = Arc::new(Broadcaster::default());
    /// # let quality = Quality::new(broadcaster, Arc::new(MemoryQuality::default()));
    /// let mut phone = ann.connect()?;
    /// quality.subscribe(&ann)?;
    /// let _ = quality.alert(Default::default(), now);
    /// let laneway::Received::Event(answer) = phone.try_recv()? else { panic!("a gap") };
    /// assert_eq!(answer.event.json(), r#"{"type":"quality_alert","payload":{"severity":"info"}}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn alert(&self, mut payload: Map<String, Value>, at: Duration) -> QualityReach {
        let severity = payload.entry("severity").or_insert(Value::Null);
        if severity.is_null() {
            *severity = "info".into();
        }
        self.tell("quality_alert", payload, at)
    }

    /// Sends a message to each subscriber.
    fn tell(&self, name: &str, payload: Map<String, Value>, at: Duration) -> QualityReach {
        let message = Message::new(MessageKind::from_name(name)).with("payload", payload);
        let mut reach = QualityReach::default();
        for scope in self.0.subscribers.load().scopes() {
            let sent = self.0.broadcaster.broadcast(scope, &message, at);
            reach.subscribers += 1;
            reach.reached += usize::from(sent.is_successful());
            reach.connections += sent.deliveries();
        }
        message.discard();
        reach
    }

    /// Subscribes or unsubscribes the sender. Returns the answer.
    fn subscription(&self, sender: &Sender<'_>, action: &str) -> Result<Message, HandlerError> {
        let status = if action == "subscribe" {
            self.subscribe(sender.scope())?;
            "subscribed"
        } else {
            self.unsubscribe(sender.scope());
            "unsubscribed"
        };
        let reply = MessageKind::from_name("quality_alerts_subscription");
        Ok(Message::new(reply).with("status", status))
    }
}

impl Handler for Quality {
    fn kinds(&self) -> Option<&[MessageKind]> {
        Some(&KINDS)
    }

    fn handle(&self, sender: &Sender<'_>, message: &Message) -> Result<Handled, HandlerError> {
        let provider = &self.0.provider;
        let of = QualityRequest {
            user: sender.user(),
            thread: id(message, "thread_id", |text| ThreadId::new(text).ok())?,
            run: id(message, "run_id", |text| RunId::new(text).ok())?,
            now: sender.now(),
        };
        let (reply, payload) = match message.kind {
            MessageKind::GetQualityMetrics => {
                let metrics = provider.metrics(&of, period(message)?)?;
                ("quality_metrics", metrics)
            }
            MessageKind::ValidateContent => {
                let Some(Value::String(content)) = field(message, "content") else {
                    return Err(invalid("content", "a text"));
                };
                let kind = choice(message, "content_type", &CONTENT_TYPES)?;
                let result = provider.validate(&of, content, kind, strict(message)?)?;
                ("content_validation_result", result)
            }
            MessageKind::GenerateQualityReport => {
                let kind = choice(message, "report_type", &REPORT_TYPES)?;
                let report = provider.report(&of, kind, period(message)?)?;
                ("quality_report_generated", report)
            }
            MessageKind::SubscribeQualityAlerts => {
                let action = choice(message, "action", &["subscribe", "unsubscribe"])?;
                sender.reply_stamped(self.subscription(sender, action)?);
                return Ok(Handled::Done);
            }
            MessageKind::StartAgent => return provider.start_agent(&of, sender, message),
            _ => return Ok(Handled::Declined),
        };
        let mut reply = Message::new(MessageKind::from_name(reply)).with("payload", payload);
        // The answer repeats the ids of the question, so that the client can match the two.
        for (name, id) in [
            ("thread_id", of.thread.as_ref().map(ThreadId::as_str)),
            ("run_id", of.run.as_ref().map(RunId::as_str)),
        ] {
            if let Some(id) = id {
                reply = reply.with(name, id);
            }
        }
        sender.reply_stamped(reply);
        Ok(Handled::Done)
    }
}
