//! Quality messages: handled by the one router, answered by a provider of the host's.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::id::{ThreadId, UserId};
use crate::protocol::RunId;
use crate::protocol::broadcaster::Broadcaster;
use crate::protocol::copy_on_write::CopyOnWrite;
use crate::protocol::inbound::dispatch::MessageRouter;
use crate::protocol::inbound::error::HandlerError;
use crate::protocol::inbound::handler::{Handled, Handler, Sender};
use crate::protocol::inbound::stats::RegisterError;
use crate::protocol::message::envelope::Message;
use crate::protocol::message::kind::MessageKind;
use crate::protocol::packet::Packet;
use crate::scope::UserScope;
use crate::sync::{AtomicU64, Ordering};

/// Users who may be subscribed to alerts at a time.
pub const MAX_SUBSCRIBERS: usize = 10_000;
/// What content may be. Default `general`.
pub const CONTENT_TYPES: [&str; 7] = [
    "general",
    "optimization",
    "data_analysis",
    "action_plan",
    "report",
    "triage",
    "error",
];
/// What a report may be. Default `summary`.
pub const REPORT_TYPES: [&str; 2] = ["summary", "detailed"];
/// The longest period: a year. Default 24.
pub const MAX_PERIOD_HOURS: u64 = 8_760;

const KINDS: [MessageKind; 5] = [
    MessageKind::GetQualityMetrics,
    MessageKind::SubscribeQualityAlerts,
    MessageKind::StartAgent,
    MessageKind::ValidateContent,
    MessageKind::GenerateQualityReport,
];

/// Whose quality is asked for: everything in it comes from the one message.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QualityRequest<'a> {
    /// The sender.
    pub user: &'a UserId,
    /// The thread, if the message names one.
    pub thread: Option<ThreadId>,
    /// The run, if the message names one.
    pub run: Option<RunId>,
    /// The host's time.
    pub now: Duration,
}

/// The host's part: what quality is. Runs in the handler's call, under its rules.
pub trait QualityProvider: Send + Sync {
    /// The user's figures of the last so many hours.
    ///
    /// # Errors
    ///
    /// What the sender is told.
    fn metrics(&self, of: &QualityRequest<'_>, period_hours: u64) -> Result<Value, HandlerError>;

    /// What is to be said of `content`, one of [`CONTENT_TYPES`].
    ///
    /// # Errors
    ///
    /// What the sender is told.
    fn validate(
        &self,
        of: &QualityRequest<'_>,
        content: &str,
        content_type: &'static str,
        strict: bool,
    ) -> Result<Value, HandlerError>;

    /// A report, one of [`REPORT_TYPES`], of the last so many hours.
    ///
    /// # Errors
    ///
    /// What the sender is told.
    fn report(
        &self,
        of: &QualityRequest<'_>,
        report_type: &'static str,
        period_hours: u64,
    ) -> Result<Value, HandlerError>;

    /// Starts an agent with an eye on its quality, or leaves that to the handlers that come later, as
    /// this does unless it is written anew.
    ///
    /// # Errors
    ///
    /// What the sender is told.
    fn start_agent(
        &self,
        _of: &QualityRequest<'_>,
        _sender: &Sender<'_>,
        _message: &Message,
    ) -> Result<Handled, HandlerError> {
        Ok(Handled::Declined)
    }
}

/// Whom an update or an alert reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "it says whom it reached"]
pub struct QualityReach {
    /// Users who were subscribed.
    pub subscribers: usize,
    /// Those with a connection at least that can receive it.
    pub reached: usize,
    /// Those connections.
    pub connections: usize,
}

/// By user, in order.
type Subscribers = Vec<Subscriber>;

#[derive(Clone)]
struct Subscriber {
    scope: Arc<UserScope<Packet>>,
    /// Its place in the order in which users subscribed.
    number: u64,
}

/// Handles quality messages and tells subscribers of alerts. Cheap to clone; all clones are one.
///
/// Nothing is kept of a message but a subscription, and of that the sender's scope. A subscription
/// lasts until its user, or the host with [`unsubscribe`](Self::unsubscribe), ends it, or until another
/// user needs its place while its own user has no connection.
#[derive(Clone)]
pub struct Quality(Arc<Inner>);

struct Inner {
    broadcaster: Arc<Broadcaster>,
    provider: Arc<dyn QualityProvider>,
    subscribers: CopyOnWrite<Subscribers>,
    /// Users who subscribed so far.
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
    /// Asks `provider`, and sends through `broadcaster`.
    #[must_use]
    pub fn new(broadcaster: Arc<Broadcaster>, provider: Arc<dyn QualityProvider>) -> Self {
        Self::with_room(broadcaster, provider, MAX_SUBSCRIBERS)
    }

    /// With room for so many subscribers instead of [`MAX_SUBSCRIBERS`].
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

    /// Registers it as the handler `quality` of the one router. Lock-free.
    ///
    /// # Errors
    ///
    /// As [`MessageRouter::register`].
    pub fn register(&self, router: &MessageRouter) -> Result<(), RegisterError> {
        router.register("quality", self.clone())
    }

    /// Subscribes a user; no change if that is so already. If there is no room, the subscriber who
    /// subscribed first of those without a connection makes room. Lock-free, linear in the subscribers.
    ///
    /// # Errors
    ///
    /// `TOO_MANY_SUBSCRIBERS` if there are [`MAX_SUBSCRIBERS`] others, and all of them are connected.
    pub fn subscribe(&self, scope: &UserScope<Packet>) -> Result<(), HandlerError> {
        let new = Subscriber {
            scope: Arc::new(scope.clone()),
            number: self.0.numbers.fetch_add(1, Ordering::Relaxed),
        };
        self.0.subscribers.update(|list| {
            let mut list = list.clone();
            if let Ok(at) = place(&list, scope) {
                // The newer one, so that an engine that was started anew is heard of.
                list[at].scope = Arc::clone(&new.scope);
                return Ok((list, ()));
            }
            if list.len() >= self.0.limit {
                let gone = list.iter().filter(|s| s.scope.connection_count() == 0);
                let oldest = gone.map(|subscriber| subscriber.number).min();
                let Some(oldest) = oldest else {
                    let text = "there is no room for another subscriber";
                    return Err(HandlerError::new("TOO_MANY_SUBSCRIBERS", text));
                };
                list.retain(|subscriber| subscriber.number != oldest);
            }
            let at = place(&list, scope).unwrap_or_else(|at| at);
            list.insert(at, new.clone());
            Ok((list, ()))
        })
    }

    /// Ends a user's subscription; no change if there is none. Lock-free, linear in the subscribers.
    pub fn unsubscribe(&self, scope: &UserScope<Packet>) {
        let _: Result<(), ()> = self.0.subscribers.update(|list| {
            let found = place(list, scope);
            let mut list = list.clone();
            list.remove(found.map_err(drop)?);
            Ok((list, ()))
        });
    }

    /// Users who are subscribed. Wait-free.
    #[must_use]
    pub fn subscriber_count(&self) -> usize {
        self.0.subscribers.load().len()
    }

    /// Sends a `quality_update` with this payload to every subscriber.
    pub fn update(&self, payload: Map<String, Value>, at: Duration) -> QualityReach {
        self.tell("quality_update", payload, at)
    }

    /// Sends a `quality_alert` with this payload to every subscriber. One without a severity is `info`.
    pub fn alert(&self, mut payload: Map<String, Value>, at: Duration) -> QualityReach {
        let severity = payload.entry("severity").or_insert(Value::Null);
        if severity.is_null() {
            *severity = "info".into();
        }
        self.tell("quality_alert", payload, at)
    }

    fn tell(&self, name: &str, payload: Map<String, Value>, at: Duration) -> QualityReach {
        let message = Message::new(MessageKind::from_name(name)).with("payload", payload);
        let mut reach = QualityReach::default();
        for subscriber in self.0.subscribers.load().iter() {
            let sent = (self.0.broadcaster).broadcast(&subscriber.scope, &message, at);
            reach.subscribers += 1;
            reach.reached += usize::from(sent.is_successful());
            reach.connections += sent.deliveries();
        }
        message.discard();
        reach
    }

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
                let Some(Value::String(content)) = given(message, "content") else {
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
        // The answer says what it is about, in the words of the question.
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

/// Where a user is among the subscribers, or would be.
fn place(list: &Subscribers, scope: &UserScope<Packet>) -> Result<usize, usize> {
    list.binary_search_by(|other| other.scope.user().cmp(scope.user()))
}

/// A field of the payload, else of the message; null is none.
fn given<'a>(message: &'a Message, name: &str) -> Option<&'a Value> {
    let payload = message.fields().get("payload").and_then(|p| p.get(name));
    let places = [payload, message.fields().get(name)];
    places.into_iter().flatten().find(|value| !value.is_null())
}

fn invalid(field: &str, allowed: &str) -> HandlerError {
    HandlerError::new("INVALID_FIELD", format!("{field} has to be {allowed}"))
}

fn id<T>(
    message: &Message,
    name: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, HandlerError> {
    let Some(value) = given(message, name) else {
        return Ok(None);
    };
    let parsed = value.as_str().and_then(parse);
    parsed
        .map(Some)
        .ok_or_else(|| invalid(name, "a valid id, or left out"))
}

/// One of `allowed`; the first if there is none.
fn choice(
    message: &Message,
    name: &str,
    allowed: &[&'static str],
) -> Result<&'static str, HandlerError> {
    let Some(value) = given(message, name) else {
        return Ok(allowed[0]);
    };
    let found = allowed.iter().find(|option| *value == **option);
    found
        .copied()
        .ok_or_else(|| invalid(name, &format!("one of {}", allowed.join(", "))))
}

fn period(message: &Message) -> Result<u64, HandlerError> {
    let Some(value) = given(message, "period_hours") else {
        return Ok(24);
    };
    let hours = value.as_u64();
    hours
        .filter(|hours| (1..=MAX_PERIOD_HOURS).contains(hours))
        .ok_or_else(|| {
            let allowed = format!("a whole number from 1 to {MAX_PERIOD_HOURS}");
            invalid("period_hours", &allowed)
        })
}

fn strict(message: &Message) -> Result<bool, HandlerError> {
    let Some(value) = given(message, "strict_mode") else {
        return Ok(false);
    };
    value
        .as_bool()
        .ok_or_else(|| invalid("strict_mode", "one of true, false"))
}
