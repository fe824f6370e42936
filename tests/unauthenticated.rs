//! R097: an id that a host gives to clients before they log in receives no message of the protocol layer.
#![cfg(all(feature = "protocol", not(any(laneway_loom, laneway_shuttle))))]

use std::sync::Arc;
use std::time::Duration;

use laneway::protocol::{
    AgentRun, AgentRuns, Audience, BroadcastError, Broadcaster, ContextError, Message, MessageKind,
    MessageRouter, OpenRunLimits, Packet, RunError, RunId, UserContext,
};
use laneway::{Hub, ThreadId, TryRecvError, UserId};

const NOW: Duration = Duration::ZERO;
const RESERVED: [&str; 6] = [
    "pending_auth",
    "awaiting_auth",
    "temp_auth_",
    "temp_auth_7",
    "Pending_Auth",
    "TEMP_AUTH_7",
];

fn context(user: &str) -> Result<UserContext, ContextError> {
    let (thread, run) = (ThreadId::new("t-1").unwrap(), RunId::new("r-1").unwrap());
    UserContext::builder(UserId::new(user).unwrap(), thread, run).build()
}

#[test]
fn r097_no_message_goes_to_a_user_who_is_not_authenticated() {
    let (hub, broadcaster) = (Hub::<Packet>::new(), Broadcaster::default());
    for name in RESERVED {
        let scope = hub.scope(UserId::new(name).unwrap());
        let mut socket = scope.connect().unwrap();
        let chat = Message::new(MessageKind::Chat);
        for sent in [
            broadcaster.broadcast(&scope, &chat, NOW),
            broadcaster.broadcast_critical(&scope, &chat, NOW),
            broadcaster.broadcast_to(&scope, Audience::Connection(socket.id()), &chat, NOW),
        ] {
            assert_eq!(sent.refused, Some(BroadcastError::Unauthenticated));
            assert_eq!((sent.number, sent.connections), (None, 0));
        }
        assert_eq!(socket.try_recv().unwrap_err(), TryRecvError::Empty);
    }
    let stats = broadcaster.stats();
    assert_eq!((stats.failed, stats.successful), (18, 0));
}

#[test]
fn r097_a_router_answers_no_user_who_is_not_authenticated() {
    let hub = Hub::new();
    let router = MessageRouter::new(Arc::default(), NOW);
    for name in RESERVED {
        let scope = hub.scope(UserId::new(name).unwrap());
        let mut socket = scope.connect().unwrap();
        let _ = router.route_json(&scope, Some(socket.id()), br#"{"type":"ping"}"#, NOW);
        assert_eq!(socket.try_recv().unwrap_err(), TryRecvError::Empty);
    }
}

#[test]
fn r097_no_context_and_no_run_is_of_a_user_who_is_not_authenticated() {
    let hub = Hub::new();
    let runs = AgentRuns::new(Arc::default(), OpenRunLimits::default());
    for name in RESERVED {
        assert_eq!(context(name), Err(ContextError::Unauthenticated));
        // The context of another user opens no way to this one.
        let scope = hub.scope(UserId::new(name).unwrap());
        let mut socket = scope.connect().unwrap();
        let ann = context("ann").unwrap();
        let begun = AgentRun::start(Arc::default(), scope.clone(), ann.clone(), "planner", NOW);
        assert_eq!(begun.map(drop), Err(RunError::ForeignScope));
        let begun = runs.start(scope, ann, "planner", NOW);
        assert_eq!(begun.map(drop), Err(RunError::ForeignScope));
        assert_eq!(socket.try_recv().unwrap_err(), TryRecvError::Empty);
    }
    assert!(runs.is_empty());
}

#[test]
fn r097_ids_that_only_look_like_reserved_ones_receive_messages() {
    let (hub, broadcaster) = (Hub::<Packet>::new(), Broadcaster::default());
    for name in [
        "pending_auth2",
        "my_pending_auth",
        "temp_auth",
        "temp_authé",
        "é",
        "ann",
    ] {
        let scope = hub.scope(UserId::new(name).unwrap());
        let _socket = scope.connect().unwrap();
        let sent = broadcaster.broadcast(&scope, &Message::new(MessageKind::Chat), NOW);
        assert!(sent.is_successful(), "{name}");
    }
}
