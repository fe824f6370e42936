//! What travels, and the simulated agent that makes it.

use std::sync::Arc;
use std::time::Duration;

use laneway::UserScope;
use tokio::time::sleep;

/// One event of a conversation, as every tab of its user gets it.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Event {
    /// The agent run that it belongs to.
    pub(crate) run: Arc<str>,
    #[serde(flatten)]
    pub(crate) body: Body,
}

#[derive(Debug, serde::Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Body {
    UserMessage { text: String },
    AgentStarted,
    AgentThinking { text: &'static str },
    ToolExecuting { tool: &'static str },
    ToolCompleted { tool: &'static str, result: String },
    Answer { text: String },
    AgentCompleted,
}

/// Answers one message. The scope is the only address it knows, and it cannot make another.
pub(crate) async fn run(scope: UserScope<Arc<Event>>, run: Arc<str>, text: String, pace: Duration) {
    let words = text.split_whitespace().count();
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let answer = format!("You wrote {words} words with {letters} letters, and I read them all.");
    let mut steps = vec![
        Body::UserMessage { text },
        Body::AgentStarted,
        Body::AgentThinking {
            text: "Reading the message …",
        },
        Body::ToolExecuting { tool: "count" },
        Body::ToolCompleted {
            tool: "count",
            result: format!("{words} words, {letters} letters"),
        },
    ];
    let mut parts = answer.split_inclusive(' ').peekable();
    while parts.peek().is_some() {
        let text = parts.by_ref().take(4).collect();
        steps.push(Body::Answer { text });
    }
    steps.push(Body::AgentCompleted);
    for body in steps {
        let run = Arc::clone(&run);
        // Without a tab there is nobody to tell; one that opens later sees the rest of the run.
        if let Err(e) = scope.publish(Arc::new(Event { run, body }))
            && e.is_closed()
        {
            return;
        }
        sleep(pace).await;
    }
}
