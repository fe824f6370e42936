//! The simulated agent, and the handler that starts it.

use std::sync::Arc;
use std::time::Duration;

use laneway::ThreadId;
use laneway::protocol::{
    AgentRun, AgentRuns, Handled, HandlerError, MemoryQuality, Message, MessageKind, Quality,
    RunError, RunId, RunRecord, RunRegistry, Sender, UserContext,
};
use serde_json::{Map, json};
use tokio::time::sleep;

use crate::Clock;
use crate::absent::Absent;

const TEXT_CHARS: usize = 4000;
/// An answer that takes longer is told to those who asked for alerts.
const SLOW: Duration = Duration::from_secs(3);
/// The thread of those who name none.
const THREAD: &str = "main";

/// Starts an agent for each message that a user writes.
pub(crate) struct Chat {
    pub(crate) open: AgentRuns,
    pub(crate) quality: Arc<MemoryQuality>,
    pub(crate) alerts: Quality,
    pub(crate) runs: Arc<RunRegistry>,
    pub(crate) absent: Arc<Absent>,
    pub(crate) clock: Clock,
    pub(crate) pace: Duration,
}

fn refused(code: &'static str, error: impl std::fmt::Display) -> HandlerError {
    HandlerError::new(code, error.to_string())
}

impl laneway::protocol::Handler for Chat {
    fn kinds(&self) -> Option<&[MessageKind]> {
        Some(&[MessageKind::UserMessage, MessageKind::Chat])
    }

    fn handle(&self, sender: &Sender<'_>, message: &Message) -> Result<Handled, HandlerError> {
        let text = message.text("text").unwrap_or_default();
        let length = text.chars().count();
        if !(1..=TEXT_CHARS).contains(&length) {
            let error = format!("a message has 1 to {TEXT_CHARS} characters, not {length}");
            return Err(refused("TEXT_LENGTH", error));
        }
        // The thread is the client's to name, within its own user; the run is the server's.
        let thread = ThreadId::new(message.text("thread_id").unwrap_or(THREAD))
            .map_err(|e| refused("THREAD", e))?;
        let run = RunId::new(format!("run-{}", uuid::Uuid::new_v4())).expect("a valid id");
        let context = UserContext::builder(sender.user().clone(), thread.clone(), run.clone())
            .build()
            .map_err(|e| refused("CONTEXT", e))?;
        // The user's text comes before the agent's. So the refusal of a run that cannot begin is told last.
        let mut said = Message::new(MessageKind::UserMessage)
            .with("run_id", run.as_str())
            .with("thread_id", thread.as_str())
            .with("text", text);
        // A page knows by it that its message has arrived, also if the socket was lost meanwhile.
        if let Some(id) = message.text("message_id") {
            said = said.with("message_id", id);
        }
        let _ = sender.broadcast(&said);
        let (scope, now) = (sender.scope().clone(), sender.now());
        let begun = self.open.start(scope, context.clone(), "counter", now);
        let (begun, _) = begun.map_err(|e| refused("BUSY", e))?;
        self.runs
            .register(sender.user(), &run, &thread, now)
            .map_err(|e| refused("BUSY", e))?;
        let answer = Answer {
            quality: Arc::clone(&self.quality),
            alerts: self.alerts.clone(),
            runs: Arc::clone(&self.runs),
            absent: Arc::clone(&self.absent),
            context,
            text: text.to_owned(),
            clock: self.clock,
            pace: self.pace,
        };
        tokio::spawn(answer.give(begun));
        Ok(Handled::Done)
    }
}

/// One run of the agent.
struct Answer {
    quality: Arc<MemoryQuality>,
    alerts: Quality,
    runs: Arc<RunRegistry>,
    absent: Arc<Absent>,
    context: UserContext,
    text: String,
    clock: Clock,
    pace: Duration,
}

/// A number of things, in words.
fn counted(number: usize, thing: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{s}")
}

impl Answer {
    async fn give(self, run: AgentRun) {
        // A run that cannot go on has told its user so, when it was dropped.
        let _ = self.events(run).await;
        self.runs.remove(self.context.user(), self.context.run());
        // The end of a run is kept, also for a user whose lane had ended before.
        self.absent.left(self.context.user());
    }

    async fn events(&self, mut run: AgentRun) -> Result<(), RunError> {
        let now = || self.clock.now();
        let began = now();
        let words = counted(self.text.split_whitespace().count(), "word");
        let letters = counted(
            self.text.chars().filter(|c| c.is_alphabetic()).count(),
            "letter",
        );
        let answer = format!("You wrote {words} with {letters}, and I read them all.");
        sleep(self.pace).await;
        let _ = run.thinking("Reading the message …", now())?;
        sleep(self.pace).await;
        let _ = run.tool_executing("count", json!({ "text": self.text }), now())?;
        sleep(self.pace).await;
        let found = json!(format!("{words}, {letters}"));
        let _ = run.tool_completed("count", found, self.pace, true, now())?;
        let mut parts = answer.split_inclusive(' ').peekable();
        while parts.peek().is_some() {
            sleep(self.pace).await;
            let part: String = parts.by_ref().take(4).collect();
            let _ = run.chunk(&part, now())?;
        }
        sleep(self.pace).await;
        let took = now().saturating_sub(began);
        let record = RunRecord {
            success: true,
            duration: took,
            characters: answer.chars().count(),
            at: now(),
        };
        self.quality.record(self.context.user(), record);
        if took > SLOW {
            // All subscribers receive the alert, so it does not name the user of the answer.
            let alert = Map::from_iter([
                ("severity".to_owned(), json!("warning")),
                ("message".to_owned(), json!("an answer took long")),
                ("duration_ms".to_owned(), json!(took.as_millis() as u64)),
            ]);
            let _ = self.alerts.alert(alert, now());
        }
        let _ = run.complete("completed", &answer, took, now());
        Ok(())
    }
}
