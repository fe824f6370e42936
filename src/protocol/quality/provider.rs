//! The host's part of quality: the provider of figures, and the request that it answers.

use std::time::Duration;

use serde_json::Value;

use crate::id::{RunId, ThreadId, UserId};
use crate::protocol::inbound::error::HandlerError;
use crate::protocol::inbound::handler::Handled;
use crate::protocol::inbound::sender::Sender;
use crate::protocol::message::envelope::Message;

/// The types of content that [`QualityProvider::validate`] is asked for. The first is the default.
///
/// ```
/// use laneway::protocol::CONTENT_TYPES;
///
/// assert_eq!(CONTENT_TYPES[0], "general");
/// assert!(CONTENT_TYPES.contains(&"action_plan"));
/// ```
pub const CONTENT_TYPES: [&str; 7] = [
    "general",
    "optimization",
    "data_analysis",
    "action_plan",
    "report",
    "triage",
    "error",
];
/// The types of report that [`QualityProvider::report`] is asked for. The first is the default.
///
/// ```
/// assert_eq!(laneway::protocol::REPORT_TYPES, ["summary", "detailed"]);
/// ```
pub const REPORT_TYPES: [&str; 2] = ["summary", "detailed"];
/// The longest period, in hours: a year. The default period is 24 hours.
///
/// ```
/// assert_eq!(laneway::protocol::MAX_PERIOD_HOURS, 365 * 24);
/// ```
pub const MAX_PERIOD_HOURS: u64 = 8_760;

/// The user that a quality message asks for, and what it is about. All of it comes from one message.
///
/// ```
/// use laneway::protocol::QualityRequest;
///
/// fn subject(of: &QualityRequest<'_>) -> String {
///     let run = of.run.as_ref().map_or("all runs", |run| run.as_str());
///     format!("{run} of {}", of.user.as_str())
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QualityRequest<'a> {
    /// The user who sent the message.
    pub user: &'a UserId,
    /// The thread, if the message names one.
    pub thread: Option<ThreadId>,
    /// The run, if the message names one.
    pub run: Option<RunId>,
    /// The host's time at which the message came.
    pub now: Duration,
}

/// The host's answers to quality messages. Each method runs inside the call of the handler.
///
/// An error ends the message, and its sender receives the code and the text. A panic ends the message
/// too, and its text stays in the host. The progress of each method is the host's.
///
/// ```
/// use laneway::protocol::{HandlerError, QualityProvider, QualityRequest};
/// use serde_json::{Value, json};
///
/// struct Fixed;
/// impl QualityProvider for Fixed {
///     fn metrics(&self, _: &QualityRequest<'_>, hours: u64) -> Result<Value, HandlerError> {
///         Ok(json!({"period_hours": hours, "runs": 1}))
///     }
///     fn validate(
///         &self, _: &QualityRequest<'_>, text: &str, _: &'static str, _: bool,
///     ) -> Result<Value, HandlerError> {
///         Ok(json!({"valid": !text.is_empty()}))
///     }
///     fn report(&self, _: &QualityRequest<'_>, _: &'static str, _: u64) -> Result<Value, HandlerError> {
///         Err(HandlerError::new("NO_REPORTS", "this host makes no reports"))
///     }
/// }
/// # use std::{sync::Arc, time::Duration};
/// # use laneway::protocol::{MessageRouter, Quality};
/// # let inbound = MessageRouter::new(Arc::default(), Duration::ZERO);
/// Quality::new(Arc::default(), Arc::new(Fixed)).register(&inbound)?;
/// # Ok::<(), laneway::protocol::RegisterError>(())
/// ```
pub trait QualityProvider: Send + Sync {
    /// Returns the user's figures of the last `period_hours`, from 1 to [`MAX_PERIOD_HOURS`].
    ///
    /// Answers `get_quality_metrics`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// # use std::sync::Arc;
    /// # let inbound = MessageRouter::new(Arc::default(), now);
    /// # Quality::new(Arc::default(), Arc::new(MemoryQuality::default())).register(&inbound)?;
    /// # let mut phone = ann.connect()?;
    /// let ask = br#"{"type": "get_quality_metrics", "payload": {"period_hours": 48}}"#;
    /// let _ = inbound.route_json(&ann, None, ask, now);
    /// let laneway::Received::Event(answer) = phone.try_recv()? else { panic!("a gap") };
    /// assert!(answer.event.json().contains(r#""period_hours":48"#));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// An error is sent to the sender.
    fn metrics(&self, of: &QualityRequest<'_>, period_hours: u64) -> Result<Value, HandlerError>;

    /// Returns a judgement of `content`. `content_type` is one of [`CONTENT_TYPES`].
    ///
    /// Answers `validate_content`. `strict` is the sender's `strict_mode`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// # use std::sync::Arc;
    /// # let inbound = MessageRouter::new(Arc::default(), now);
    /// # Quality::new(Arc::default(), Arc::new(MemoryQuality::default())).register(&inbound)?;
    /// # let mut phone = ann.connect()?;
    /// let ask = br#"{"type": "validate_content", "payload": {"content": "TODO"}}"#;
    /// let _ = inbound.route_json(&ann, None, ask, now);
    /// let laneway::Received::Event(answer) = phone.try_recv()? else { panic!("a gap") };
    /// assert!(answer.event.json().contains(r#""faults":["it is unfinished"]"#));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// An error is sent to the sender.
    fn validate(
        &self,
        of: &QualityRequest<'_>,
        content: &str,
        content_type: &'static str,
        strict: bool,
    ) -> Result<Value, HandlerError>;

    /// Returns a report of the last `period_hours`. `report_type` is one of [`REPORT_TYPES`].
    ///
    /// Answers `generate_quality_report`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// # use std::sync::Arc;
    /// # let inbound = MessageRouter::new(Arc::default(), now);
    /// # Quality::new(Arc::default(), Arc::new(MemoryQuality::default())).register(&inbound)?;
    /// # let mut phone = ann.connect()?;
    /// let ask = br#"{"type": "generate_quality_report", "payload": {"report_type": "detailed"}}"#;
    /// let _ = inbound.route_json(&ann, None, ask, now);
    /// let laneway::Received::Event(answer) = phone.try_recv()? else { panic!("a gap") };
    /// assert!(answer.event.json().contains(r#""report_type":"detailed""#));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// An error is sent to the sender.
    fn report(
        &self,
        of: &QualityRequest<'_>,
        report_type: &'static str,
        period_hours: u64,
    ) -> Result<Value, HandlerError>;

    /// Starts an agent whose quality the provider observes, or declines.
    ///
    /// The default declines, and the handlers that were registered later see the message.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// # use std::sync::Arc;
    /// # let inbound = MessageRouter::new(Arc::default(), now);
    /// # Quality::new(Arc::default(), Arc::new(MemoryQuality::default())).register(&inbound)?;
    /// # let mut phone = ann.connect()?;
    /// let outcome = inbound.route_json(&ann, None, br#"{"type": "start_agent"}"#, now);
    /// assert_eq!(outcome, Outcome::Unhandled);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// An error is sent to the sender.
    fn start_agent(
        &self,
        _of: &QualityRequest<'_>,
        _sender: &Sender<'_>,
        _message: &Message,
    ) -> Result<Handled, HandlerError> {
        Ok(Handled::Declined)
    }
}
