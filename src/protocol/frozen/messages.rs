//! The same for the memory of message ids.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{NOW, stopped_everywhere, user};
use crate::Hub;
use crate::connection::Connection;
use crate::protocol::inbound::dispatch::MessageRouter;
use crate::protocol::inbound::handler::{Handled, Outcome};
use crate::protocol::inbound::repeats::RepeatLimits;
use crate::protocol::inbound::sender::Sender;
use crate::protocol::message::envelope::Message;
use crate::protocol::packet::Packet;
use crate::scope::UserScope;

/// A thread that is stopped in the memory of ids holds up no other message, and no id is handled twice.
#[test]
fn messages_with_ids_go_on() {
    struct World {
        inbound: MessageRouter,
        ann: UserScope<Packet>,
        handled: AtomicUsize,
        _phone: Connection<Packet>,
        _hub: Hub<Packet>,
    }
    fn world() -> World {
        let limits = RepeatLimits {
            users: 2,
            messages: 3,
            answer_bytes: 100,
        };
        let inbound = MessageRouter::new(Arc::default(), NOW).repeats(limits);
        let reply = |sender: &Sender<'_>, message: &Message| {
            let _ = sender.reply(message);
            Ok(Handled::Done)
        };
        inbound.register("all", reply).expect("a new name");
        let hub = Hub::new();
        let ann = hub.scope(user("ann"));
        let world = World {
            inbound,
            handled: AtomicUsize::new(0),
            _phone: ann.connect().expect("room"),
            _hub: hub,
            ann,
        };
        (0..3).for_each(|n| send(&world, n));
        world
    }
    fn send(world: &World, id: u64) {
        let json = format!(r#"{{"type":"chat","message_id":{id}}}"#);
        let outcome = (world.inbound).route_json(&world.ann, None, json.as_bytes(), NOW);
        let handled = usize::from(matches!(outcome, Outcome::Handled(_)));
        world.handled.fetch_add(handled, Ordering::Relaxed);
    }
    let others = |world: &World| {
        send(world, 3);
        send(world, 4);
        send(world, 4);
    };
    let check = |world: &World, ()| {
        // 0 to 4, each once: the limit has three of them, and the latest three come last.
        assert_eq!(world.handled.swap(0, Ordering::Relaxed), 5);
        (3..5).for_each(|n| send(world, n));
        assert_eq!(
            world.handled.swap(0, Ordering::Relaxed),
            0,
            "they are known"
        );
        send(world, 0);
        assert_eq!(world.handled.load(Ordering::Relaxed), 1, "it was forgotten");
    };
    stopped_everywhere("send", world, |world| send(world, 3), others, check);
}
