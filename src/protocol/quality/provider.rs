//! The host's part of quality: the provider of figures, and what it is asked.

use std::time::Duration;

use serde_json::Value;

use crate::id::{RunId, ThreadId, UserId};
use crate::protocol::inbound::error::HandlerError;
use crate::protocol::inbound::handler::{Handled, Sender};
use crate::protocol::message::envelope::Message;

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
