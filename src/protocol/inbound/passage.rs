//! The way of one message: middlewares, the memory of ids, handlers, the built-in reply.

use std::sync::Arc;

use crate::protocol::inbound::builtin;
use crate::protocol::inbound::chain::Named;
use crate::protocol::inbound::dispatch::MessageRouter;
use crate::protocol::inbound::error::HandlerError;
use crate::protocol::inbound::handler::{Handled, Outcome, Trouble, contained};
use crate::protocol::inbound::repeats::{Noted, Print, Seen};
use crate::protocol::inbound::sender::Sender;
use crate::protocol::message::envelope::Message;
use crate::protocol::message::error::MessageError;
use crate::protocol::message::json::MAX_NESTING;
use crate::protocol::message::kind::MessageKind;
use crate::table::copy_on_write::CopyOnWrite;

impl MessageRouter {
    /// Takes a message through the middlewares and to its handler.
    pub(super) fn settle(&self, sender: &mut Sender<'_>, message: &mut Message) -> Outcome {
        // The kind as it came: a middleware may change it.
        self.counts.came(&message.kind);
        let chain = self.chain.load();
        let mut inside = 0;
        let mut admitted = check(message).map_err(Trouble::Error);
        // The message as it came: a middleware may add a field that differs each time.
        let print = match admitted {
            Ok(()) => self.repeats.print(message),
            Err(_) => None,
        };
        let layers: &[_] = match admitted {
            Ok(()) => &chain.middleware,
            Err(_) => &[],
        };
        for layer in layers {
            admitted = contained(|| layer.before(sender, message));
            if admitted.is_err() {
                break;
            }
            inside += 1;
        }
        let mut noted = None;
        let outcome = match admitted {
            Ok(()) => match print {
                Some(print) => self.once(&chain.handlers, sender, message, &print, &mut noted),
                None => self.dispatch(&chain.handlers, sender, message),
            },
            Err(Trouble::Error(error)) => Outcome::Refused(error),
            Err(Trouble::Panic(error)) => Outcome::Failed(error),
        };
        self.counts.ended(&outcome);
        if let Outcome::Refused(error) | Outcome::Failed(error) = &outcome {
            sender.reply_error(message, error);
        }
        if let (Some(answers), Some(noted)) = (sender.answers.take(), noted) {
            self.repeats.answered(&noted, answers.load());
        }
        for layer in layers[..inside].iter().rev() {
            let told = contained(|| {
                layer.after(sender, message, &outcome);
                Ok(())
            });
            // An error or a panic here changes no outcome.
            drop(told);
        }
        outcome
    }

    /// Asks the handlers, unless the message came before under its id. Puts it into `noted` if it did not.
    fn once(
        &self,
        handlers: &[Named],
        sender: &mut Sender<'_>,
        message: &Message,
        print: &Print,
        noted: &mut Option<Noted>,
    ) -> Outcome {
        let again = |status: &str| {
            let ack = Message::new(MessageKind::from_name("ack"))
                .with("received_type", message.kind.name())
                .with("status", status)
                .with("message_id", print.id.clone());
            if message.kind.is_answered() {
                sender.reply_stamped(ack);
            }
            Outcome::Repeated
        };
        match self.repeats.see(sender.user(), print) {
            Seen::First(new) => {
                *noted = Some(new);
                sender.answers = Some(CopyOnWrite::new());
                self.dispatch(handlers, sender, message)
            }
            Seen::Handling => again("in_progress"),
            Seen::Answered(answers) if !answers.is_empty() => {
                sender.repeat(&answers);
                Outcome::Repeated
            }
            Seen::Answered(_) => again("already_handled"),
            Seen::Other => {
                let text = "this message id came with another message";
                Outcome::Refused(HandlerError::new("MESSAGE_ID_REUSED", text))
            }
        }
    }

    /// Asks the handlers in their order, and then the built-in replies.
    fn dispatch(&self, handlers: &[Named], sender: &Sender<'_>, message: &Message) -> Outcome {
        for candidate in handlers.iter().filter(|h| h.kinds.has(&message.kind)) {
            let Some(handler) = &candidate.handler.0 else {
                continue;
            };
            match contained(|| handler.handle(sender, message)) {
                Ok(Handled::Done) => return Outcome::Handled(Some(Arc::clone(&candidate.name))),
                Ok(Handled::Declined) => {}
                Err(Trouble::Error(error) | Trouble::Panic(error)) => {
                    return Outcome::Failed(error);
                }
            }
        }
        builtin::reply(sender, message, &self.client_errors)
    }
}

/// Returns the error of a message that no handler may see.
fn check(message: &Message) -> Result<(), HandlerError> {
    if !message.is_within() {
        let limit = MAX_NESTING;
        let error = MessageError::TooDeep { limit };
        return Err(HandlerError::new(error.code(), error.to_string()));
    }
    let is_rpc = message.kind == MessageKind::JsonRpcRequest;
    if is_rpc && message.rpc_kind() != Some(MessageKind::JsonRpcRequest) {
        let text = MessageError::BadRpc.to_string();
        return Err(HandlerError::new("INVALID_REQUEST", text));
    }
    Ok(())
}
