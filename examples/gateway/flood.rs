//! Floods: many events of a user to the user's own devices, so that a slow one falls behind.
#![allow(clippy::disallowed_types)] // The host's own table, far from any delivery.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use laneway::protocol::{
    Broadcaster, Handled, Handler, HandlerError, Message, MessageKind, Packet, Sender,
};
use laneway::{UserId, UserScope};
use tokio::time::sleep;

use crate::Clock;

/// Events of one flood.
const MOST: u64 = 2000;
/// Events at once, and the pause after them: devices that are not slow keep up.
const BATCH: u64 = 8;
const PAUSE: Duration = Duration::from_millis(10);

/// Floods a user's own lane, once at a time. No other user receives an event of it.
pub(crate) struct Flood {
    pub(crate) broadcaster: Arc<Broadcaster>,
    pub(crate) clock: Clock,
    pub(crate) running: Arc<Mutex<HashSet<UserId>>>,
}

/// The flood of a user. Its drop lets the next one begin.
struct Running {
    scope: UserScope<Packet>,
    all: Arc<Mutex<HashSet<UserId>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(self.scope.user());
    }
}

impl Handler for Flood {
    fn handle(&self, sender: &Sender<'_>, message: &Message) -> Result<Handled, HandlerError> {
        if message.kind.name() != "flood" {
            return Ok(Handled::Declined);
        }
        let events = message.field("events").and_then(serde_json::Value::as_u64);
        let events = events.filter(|events| (1..=MOST).contains(events));
        let error = format!("a flood has 1 to {MOST} events");
        let events = events.ok_or_else(|| HandlerError::new("FLOOD", error))?;
        let mut all = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.insert(sender.user().clone()) {
            let error = "your last flood has not ended yet";
            return Err(HandlerError::new("FLOOD", error));
        }
        drop(all);
        let running = Running {
            scope: sender.scope().clone(),
            all: Arc::clone(&self.running),
        };
        tokio::spawn(pour(
            running,
            events,
            Arc::clone(&self.broadcaster),
            self.clock,
        ));
        Ok(Handled::Done)
    }
}

async fn pour(running: Running, events: u64, broadcaster: Arc<Broadcaster>, clock: Clock) {
    for n in 1..=events {
        let now = clock.now();
        let event = Message::new(MessageKind::Unknown("flood".into()))
            .with("n", n)
            .with("of", events)
            .with("at", now.as_micros() as u64);
        // The user has gone, or the gateway ends.
        if broadcaster
            .broadcast(&running.scope, &event, now)
            .refused
            .is_some()
        {
            return;
        }
        if n % BATCH == 0 {
            sleep(PAUSE).await;
        }
    }
}
