//! R094: the values of the crate have the forms and the traits that a host expects of them.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt::{Debug, Display};
use std::hash::{BuildHasher, Hash, RandomState};
use std::str::FromStr;
use std::time::Duration;

use laneway::{
    ConnectError, ConnectOptions, ConnectionId, Hub, InvalidId, PublishError, ThreadId, UserId,
};

/// All ways from a text to an id and back, and maps that are asked by a text.
fn converts<I>()
where
    I: Clone + Debug + Display + Hash + Ord + AsRef<str> + Borrow<str> + Into<String>,
    I: FromStr<Err = InvalidId> + TryFrom<String, Error = InvalidId>,
    I: for<'a> TryFrom<&'a str, Error = InvalidId>,
{
    // In place, at the edge, and shared.
    let texts = [
        "a",
        "b c",
        &"x".repeat(24),
        &"x".repeat(25),
        &"é".repeat(100),
    ]
    .map(String::from);
    let id = |text: &str| I::try_from(text).unwrap();
    for text in &texts {
        assert_eq!(text.parse::<I>().unwrap(), id(text));
        assert_eq!(I::try_from(text.clone()).unwrap(), id(text));
        assert_eq!((id(text).as_ref(), &id(text).to_string()), (&**text, text));
        assert_eq!(&id(text).into(), text);
    }
    let state = RandomState::new();
    let hashes: HashMap<I, usize> = texts.iter().map(|t| id(t)).zip(0..).collect();
    let sorted: BTreeMap<I, usize> = texts.iter().map(|t| id(t)).zip(0..).collect();
    for (at, text) in texts.iter().enumerate() {
        assert_eq!(hashes.get(&**text), Some(&at));
        assert_eq!(sorted.get(&**text), Some(&at));
        assert_eq!(state.hash_one(id(text)), state.hash_one(&**text));
        for other in &texts {
            assert_eq!(id(text).cmp(&id(other)), text.cmp(other));
            assert_eq!(id(text) == id(other), text == other);
        }
    }
    assert_eq!(I::try_from(String::new()).unwrap_err(), InvalidId::Empty);
    assert_eq!(" x".parse::<I>().unwrap_err(), InvalidId::Blank);
    assert_eq!(
        I::try_from("a\0b").unwrap_err(),
        InvalidId::ControlCharacter
    );
}

#[test]
fn r094_ids_come_from_texts_go_into_texts_and_are_found_by_texts() {
    converts::<UserId>();
    converts::<ThreadId>();
    #[cfg(feature = "protocol")]
    {
        converts::<laneway::protocol::RunId>();
        converts::<laneway::protocol::RequestId>();
    }
}

#[test]
fn r094_an_id_of_a_connection_goes_to_a_client_and_comes_back_as_its_text() {
    let hub: Hub<u8> = Hub::new();
    let scope = |name| hub.scope(UserId::new(name).unwrap());
    let (ann, bob) = (scope("ann"), scope("bob"));
    let phone = ann.connect().unwrap();
    let _laptop = bob.connect().unwrap();
    let text = String::from(phone.id());
    assert_eq!(text, phone.id().to_string());
    let id: ConnectionId = text.parse().unwrap();
    assert_eq!(ConnectionId::try_from(text), Ok(id));
    assert_eq!(ann.to_connection(id).publish(1).unwrap().connections, 1);
    // One of another user, and those that a client makes up, reach no connection and are counted.
    assert!(bob.to_connection(id).publish(2).is_err());
    for made_up in ["0", "999", "18446744073709551615"] {
        let id: ConnectionId = made_up.parse().unwrap();
        assert!(ann.to_connection(id).publish(3).is_err());
        assert!(!ann.disconnect(id, 4000));
        assert_eq!(ann.to_others(id).publish(4).unwrap().connections, 1);
    }
    assert_eq!(hub.stats().unknown_connections, 7);
    for bad in [
        "",
        "-1",
        "+1",
        "01",
        " 1",
        "1.0",
        "one",
        "18446744073709551616",
    ] {
        assert_eq!(bad.parse::<ConnectionId>(), Err(InvalidId::NotANumber));
    }
}

/// The source of an error, if it has this type.
fn source<T: Error, S: Error + 'static>(error: &T) -> Option<&S> {
    error.source()?.downcast_ref()
}

#[test]
fn r094_an_error_that_wraps_another_returns_it_as_its_source() {
    let hub: Hub<u8> = Hub::new();
    let ann = hub.scope(UserId::new("ann").unwrap());
    let batch = ann.publish_batch([1]).unwrap_err();
    assert_eq!(source::<_, PublishError<u8>>(&batch), Some(&batch.error));
    let mut phone = ann.connect().unwrap();
    assert!(phone.try_recv().unwrap_err().source().is_none());
    hub.shutdown();
    let ended = phone.recv().unwrap_err();
    assert_eq!(source(&phone.try_recv().unwrap_err()), Some(&ended));
    let late = phone.recv_timeout(Duration::ZERO).unwrap_err();
    assert_eq!(source(&late), Some(&ended));
    let refused = ann.resume(&phone.position()).map(drop).unwrap_err();
    assert_eq!(source(&refused), Some(&ConnectError::Closed));
}

#[cfg(feature = "protocol")]
#[test]
fn r094_errors_of_the_protocol_layer_lead_to_what_was_wrong_at_first() {
    use laneway::protocol::{
        AgentRun, Broadcaster, Contaminated, Contamination, ContextError, Isolation, RunId,
        UserContext,
    };
    let invalid = ContextError::InvalidId(InvalidId::Empty);
    assert_eq!(source(&invalid), Some(&InvalidId::Empty));
    let hub = Hub::new();
    let ann = hub.scope(UserId::new("ann").unwrap());
    let (thread, run) = (ThreadId::new("t-7").unwrap(), RunId::new("r-7").unwrap());
    let context = UserContext::builder(ann.user().clone(), thread, run)
        .build()
        .unwrap();
    let rejecting = Broadcaster::new(Isolation::new(Contamination::Reject)).into();
    let now = Duration::ZERO;
    let (mut run, _) = AgentRun::start(rejecting, ann, context, "planner", now).unwrap();
    let foreign = serde_json::json!({"userId": "bob"});
    let refused = run.tool_executing("mail", foreign, now).unwrap_err();
    let broadcast = refused.source().unwrap();
    assert!(broadcast.source().unwrap().is::<Contaminated>());
}

#[test]
fn r094_an_error_that_hands_an_event_back_lends_it_too() {
    let hub: Hub<String> = Hub::new();
    let ann = hub.scope(UserId::new("ann").unwrap());
    let refused = ann.publish("hello".to_owned()).unwrap_err();
    assert_eq!(refused.event(), "hello");
    assert_eq!(
        refused.clone(),
        PublishError::NoConnections("hello".to_owned())
    );
    assert_eq!(refused.into_inner(), "hello");
}

#[test]
fn r094_options_of_a_connection_are_set_one_by_one() {
    let thread = ThreadId::new("Oslo").unwrap();
    let options = ConnectOptions::default()
        .thread(thread.clone())
        .lane_capacity(4)
        .note("phone");
    let literal = ConnectOptions {
        threads: vec![thread],
        lane_capacity: Some(4),
        note: Some("phone".into()),
    };
    assert_eq!(options, literal);
}

#[cfg(feature = "protocol")]
#[test]
fn r094_limits_of_the_protocol_layer_are_set_one_by_one() {
    use laneway::protocol::*;
    let open = OpenRunLimits::default().total(7).per_user(2);
    assert_eq!((open.total, open.per_user), (7, 2));
    let day = Duration::from_secs(86_400);
    let runs = RunLimits::default().total(7).fair_share(2).lifetime(day);
    assert_eq!((runs.total, runs.fair_share, runs.lifetime), (7, 2, day));
    let events = ConfirmationLimits::default().total(7).per_user(2);
    assert_eq!((events.total, events.per_user), (7, 2));
    let repeats = RepeatLimits::default().users(7).messages(2).answer_bytes(9);
    assert_eq!(
        (repeats.users, repeats.messages, repeats.answer_bytes),
        (7, 2, 9)
    );
    let messages = MessageLimits::default().bytes(7).depth(2);
    assert_eq!((messages.bytes, messages.depth), (7, 2));
}

/// What a value has to be, as bounds that the compiler checks.
macro_rules! are {
    ($($bound:ident)+: $($type:ty),+ $(,)?) => {{
        fn is<T: $($bound +)+>() {}
        $(is::<$type>();)+
    }};
}

#[test]
fn r094_public_types_have_the_common_traits() {
    use laneway::*;
    are!(Debug Clone Eq Ord Hash: UserId, ThreadId, ConnectionId);
    are!(Debug Clone Copy Eq Hash: Position, Origin, CloseReason, LimitPolicy, Activity);
    are!(Debug Clone Eq: Builder, ConnectOptions, Retention, Notice, Change, ConnectionInfo);
    are!(Debug Clone Default: Builder, ConnectOptions, Retention, HubStats, ConnectionStats);
    are!(Debug Clone Copy Eq: HubStats, ConnectionStats, Delivery, BatchDelivery, RoomDelivery);
    are!(Debug Clone Copy Eq: Visited, Resumed, Recovered, Closed, NoNotice, LifecycleError);
    are!(Debug Clone Eq: Received<u8>, Delivered<u8>, Imbalance);
    are!(Error Clone Eq: Closed, TryRecvError, RecvTimeoutError, ConnectError, ResumeError);
    are!(Error Clone Eq: InvalidId, InvalidPosition, ConfigError, NoNotice, LifecycleError);
    are!(Error Clone Eq: PublishError<u8>, BatchError<u8>);
    are!(Debug Clone: Hub<u8>, UserScope<u8>, Addressed<'_, u8>, RoomSender<u8>, Announcer<u8>);
    are!(Debug Clone Copy Eq Hash: Joined, Memberships);
    are!(Error Clone Copy Eq: JoinRoomError);
    are!(Debug: Connection<u8>, Lifecycle);
    are!(Send Sync: Hub<u8>, UserScope<u8>, Connection<u8>, Lifecycle, PublishError<u8>);
}

#[cfg(feature = "protocol")]
#[test]
fn r094_public_types_of_the_protocol_layer_have_the_common_traits() {
    use laneway::protocol::*;
    are!(Debug Clone Eq Ord Hash: RunId, RequestId);
    are!(Debug Clone Eq Hash: MessageKind, EventState);
    are!(Debug Clone Copy Eq Default: BroadcastStats, ConfirmationStats, RunStats, QualityReach);
    are!(Debug Clone Copy Eq Default: ConfirmationSweep, RunsEnded, ConfirmationLimits, RunLimits);
    are!(Debug Clone Copy Eq Default: MessageLimits, OpenRunLimits, RepeatLimits, Contamination);
    are!(Debug Clone Eq: DispatchStats, Outcome, Handled, Packet, Fault, Violation, Status);
    are!(Debug Clone Copy Eq: Audience<'_>, Confirmation, RunRecord);
    are!(Debug Clone PartialEq: Message, Broadcast, UserContext, Contaminated, ForeignField);
    are!(Error Clone Eq: MessageError, PayloadError, HandlerError, RegisterError, Busy);
    are!(Error Clone Eq: ExpectError, NotMoved, RunRegistryError, ContextError, UnknownFlag);
    are!(Error Clone PartialEq: BroadcastError, RunError);
    are!(Error: NotEnded);
    are!(Debug Send Sync: Broadcaster, MessageRouter, InboundQueue, Inlet, AgentRuns, AgentRun);
    are!(Debug Send Sync: Confirmations, RunRegistry, Quality, MemoryQuality, Isolation);
    are!(Debug: SequenceChecker, ContextBuilder, Sender<'_>, QualityRequest<'_>, Isolated<'_>);
}
