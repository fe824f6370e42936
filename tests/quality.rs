//! Quality messages through the one router: what the provider is asked, and whom alerts reach.
#![cfg(all(feature = "protocol", not(any(laneway_loom, laneway_shuttle))))]
#![allow(clippy::disallowed_types)] // What a provider was asked is kept under a lock.
#![allow(clippy::needless_pass_by_value)] // So that calls read as what is sent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use laneway::protocol::{
    Broadcaster, CONTENT_TYPES, Handled, HandlerError, Message, MessageRouter, Outcome, Packet,
    Quality, QualityProvider, QualityRequest, Sender,
};
use laneway::{Connection, Hub, Received, UserId, UserScope};
use serde_json::{Map, Value, json};

const NOW: Duration = Duration::from_millis(5);

/// Keeps what it is asked.
#[derive(Clone, Default)]
struct Provider(Arc<Mutex<Vec<String>>>);

impl Provider {
    fn note(&self, of: &QualityRequest<'_>, what: &str) -> Value {
        let thread = of.thread.as_ref().map_or("-", |t| t.as_str());
        let run = of.run.as_ref().map_or("-", |r| r.as_str());
        let asked = format!("{} {thread} {run} {what}", of.user);
        self.0.lock().unwrap().push(asked.clone());
        json!({"asked": asked})
    }
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl QualityProvider for Provider {
    fn metrics(&self, of: &QualityRequest<'_>, hours: u64) -> Result<Value, HandlerError> {
        Ok(self.note(of, &format!("metrics {hours}")))
    }
    fn validate(
        &self,
        of: &QualityRequest<'_>,
        content: &str,
        content_type: &'static str,
        strict: bool,
    ) -> Result<Value, HandlerError> {
        if content == "unreadable" {
            return Err(HandlerError::new("UNREADABLE", "the content is unreadable"));
        }
        let what = format!("validate {content} {content_type} {strict}");
        Ok(self.note(of, &what))
    }
    fn report(
        &self,
        of: &QualityRequest<'_>,
        report_type: &'static str,
        hours: u64,
    ) -> Result<Value, HandlerError> {
        Ok(self.note(of, &format!("report {report_type} {hours}")))
    }
    fn start_agent(
        &self,
        of: &QualityRequest<'_>,
        _: &Sender<'_>,
        message: &Message,
    ) -> Result<Handled, HandlerError> {
        if message.text("enhanced").is_none() {
            return Ok(Handled::Declined);
        }
        self.note(of, "start");
        Ok(Handled::Done)
    }
}

struct Host {
    engine: Hub<Packet>,
    router: MessageRouter,
    quality: Quality,
    provider: Provider,
    ann: UserScope<Packet>,
    phone: Connection<Packet>,
}

fn scope(engine: &Hub<Packet>, name: &str) -> UserScope<Packet> {
    engine.scope(UserId::new(name).unwrap())
}

fn read(connection: &mut Connection<Packet>) -> Vec<Value> {
    let mut all = Vec::new();
    while let Ok(Received::Event(got)) = connection.try_recv() {
        all.push(serde_json::from_str(got.event.json()).unwrap());
    }
    all
}

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => panic!("no object: {other}"),
    }
}

impl Host {
    fn new() -> Self {
        let engine = Hub::new();
        let ann = scope(&engine, "ann");
        let broadcaster = Arc::new(Broadcaster::default());
        let provider = Provider::default();
        let router = MessageRouter::new(Arc::clone(&broadcaster), Duration::ZERO);
        let quality = Quality::new(broadcaster, Arc::new(provider.clone()));
        quality.register(&router).unwrap();
        Self {
            phone: ann.connect().unwrap(),
            engine,
            router,
            quality,
            provider,
            ann,
        }
    }

    fn send(&mut self, message: &Value) -> (Outcome, Vec<Value>) {
        let (ann, from) = (&self.ann, Some(self.phone.id()));
        let json = message.to_string();
        let outcome = self.router.route_json(ann, from, json.as_bytes(), NOW);
        (outcome, read(&mut self.phone))
    }

    /// What the provider was asked and what it is called in the reply.
    fn ask(&mut self, message: Value) -> (String, String) {
        let (outcome, mut replies) = self.send(&message);
        assert_eq!(outcome, Outcome::Handled(Some("quality".into())));
        let (asked, reply) = (self.provider.asked().remove(0), replies.remove(0));
        assert_eq!(reply["payload"]["asked"], *asked);
        assert!(replies.is_empty());
        (asked, reply["type"].as_str().unwrap().into())
    }

    fn refused(&mut self, message: Value) -> String {
        let (outcome, replies) = self.send(&message);
        let Outcome::Failed(error) = outcome else {
            panic!("not refused: {outcome:?}");
        };
        assert!(self.provider.asked().is_empty());
        assert_eq!(replies.len(), 1);
        assert_eq!(replies[0]["message"], *error.message);
        error.message
    }
}

#[test]
fn r040_quality_messages_go_to_the_provider_through_the_one_router() {
    let mut host = Host::new();
    for (message, asked, reply) in [
        (
            json!({"type": "get_quality_metrics"}),
            "metrics 24",
            "quality_metrics",
        ),
        (
            json!({"type": "validate_content", "content": "text"}),
            "validate text general false",
            "content_validation_result",
        ),
        (
            json!({"type": "generate_quality_report"}),
            "report summary 24",
            "quality_report_generated",
        ),
    ] {
        let expected = (format!("ann - - {asked}"), reply.to_owned());
        assert_eq!(host.ask(message), expected);
    }
    let (outcome, replies) = host.send(&json!({"type": "start_agent", "enhanced": "yes"}));
    assert_eq!(outcome, Outcome::Handled(Some("quality".into())));
    assert_eq!(
        (replies.len(), host.provider.asked()),
        (0, vec!["ann - - start".into()])
    );
    // An agent that is not for it is the next handler's; other kinds are none of its business.
    assert_eq!(
        host.send(&json!({"type": "execute_agent"})).0,
        Outcome::Unhandled
    );
    assert_eq!(host.send(&json!({"type": "chat"})).0, Outcome::Unhandled);
    // The provider's trouble is the sender's error.
    let error = host.refused(json!({"type": "validate_content", "content": "unreadable"}));
    assert_eq!(error, "the content is unreadable");
    assert_eq!(host.router.stats().handlers, ["quality".into()]);
    assert!(host.quality.register(&host.router).is_err());
}

#[test]
fn r041_thread_and_run_are_those_of_this_message() {
    let mut host = Host::new();
    let mut ask = |message: Value| host.ask(message).0;
    let both = json!({"type": "get_quality_metrics", "thread_id": "top", "run_id": "r",
        "payload": {"thread_id": "inner"}});
    assert_eq!(ask(both), "ann inner r metrics 24");
    let null =
        json!({"type": "get_quality_metrics", "thread_id": "top", "payload": {"thread_id": null}});
    assert_eq!(ask(null), "ann top - metrics 24");
    assert_eq!(
        ask(json!({"type": "get_quality_metrics"})),
        "ann - - metrics 24"
    );
    for bad in [json!(7), json!(""), json!(" t"), json!(["t"])] {
        let message = json!({"type": "get_quality_metrics", "run_id": bad});
        assert!(host.refused(message).contains("run_id"));
    }
}

#[test]
fn r042_subscribing_is_idempotent_and_other_actions_name_the_two() {
    let mut host = Host::new();
    let message =
        |action: &str| json!({"type": "subscribe_quality_alerts", "payload": {"action": action}});
    for (action, status, count) in [
        ("unsubscribe", "unsubscribed", 0),
        ("subscribe", "subscribed", 1),
        ("subscribe", "subscribed", 1),
        ("unsubscribe", "unsubscribed", 0),
        ("unsubscribe", "unsubscribed", 0),
    ] {
        let (outcome, replies) = host.send(&message(action));
        assert_eq!(outcome, Outcome::Handled(Some("quality".into())));
        assert_eq!(
            replies,
            [json!({"type": "quality_alerts_subscription", "status": status, "timestamp": 5})]
        );
        assert_eq!(host.quality.subscriber_count(), count);
    }
    host.send(&json!({"type": "subscribe_quality_alerts"}));
    assert_eq!(host.quality.subscriber_count(), 1);
    let error = host.refused(message("pause"));
    assert!(error.contains("subscribe, unsubscribe"), "{error}");
    assert_eq!(host.quality.subscriber_count(), 1);
}

#[test]
fn r043_alerts_reach_every_subscriber_whatever_is_wrong_with_one() {
    let host = Host::new();
    let names = ["zoe", "bob", "cid", "dan"];
    let scopes = names.map(|name| scope(&host.engine, name));
    for scope in &scopes {
        host.quality.subscribe(scope).unwrap();
    }
    // Bob is not there, cid was and has gone; ann is there and has not subscribed.
    let (mut zoe, mut dan) = (scopes[0].connect().unwrap(), scopes[3].connect().unwrap());
    let mut tab = scopes[3].connect().unwrap();
    drop(scopes[2].connect().unwrap());
    let alert = fields(json!({"text": "drop", "userId": "zoe"}));
    let reach = host.quality.alert(alert, NOW);
    assert_eq!(
        (reach.subscribers, reach.reached, reach.connections),
        (4, 2, 3)
    );
    for (name, device) in [("zoe", &mut zoe), ("dan", &mut dan), ("dan", &mut tab)] {
        let payload = json!({"text": "drop", "severity": "info", "userId": name});
        assert_eq!(
            read(device),
            [json!({"type": "quality_alert", "payload": payload})]
        );
    }
    let severe = fields(json!({"severity": "critical"}));
    assert_eq!(host.quality.alert(severe, NOW).reached, 2);
    assert_eq!(read(&mut zoe)[0]["payload"]["severity"], "critical");
    let null = fields(json!({"severity": null}));
    assert_eq!(host.quality.alert(null, NOW).reached, 2);
    assert_eq!(read(&mut zoe)[0]["payload"]["severity"], "info");
    // An update is no alert.
    host.quality.unsubscribe(&scopes[3]);
    let reach = host.quality.update(fields(json!({"score": 1})), NOW);
    assert_eq!(
        (reach.subscribers, reach.reached, reach.connections),
        (3, 1, 1)
    );
    assert_eq!(
        read(&mut zoe),
        [json!({"type": "quality_update", "payload": {"score": 1}})]
    );
    let mut phone = host.phone;
    assert!(read(&mut phone).is_empty());
}

#[test]
fn r044_defaults_and_what_is_allowed() {
    let mut host = Host::new();
    let validate = |field: &str, value: Value| json!({"type": "validate_content", "content": "x", field: value});
    for allowed in CONTENT_TYPES {
        let (asked, _) = host.ask(validate("content_type", json!(allowed)));
        assert_eq!(asked, format!("ann - - validate x {allowed} false"));
    }
    let (asked, _) = host.ask(validate("strict_mode", json!(true)));
    assert_eq!(asked, "ann - - validate x general true");
    let report =
        json!({"type": "generate_quality_report", "report_type": "detailed", "period_hours": 1});
    assert_eq!(host.ask(report).0, "ann - - report detailed 1");
    for (message, allowed) in [
        (
            validate("content_type", json!("poem")),
            CONTENT_TYPES.join(", "),
        ),
        (validate("content_type", json!(7)), CONTENT_TYPES.join(", ")),
        (validate("strict_mode", json!("yes")), "true, false".into()),
        (json!({"type": "validate_content"}), "a text".into()),
        (
            json!({"type": "validate_content", "content": 7}),
            "a text".into(),
        ),
        (
            json!({"type": "generate_quality_report", "report_type": "long"}),
            "summary, detailed".into(),
        ),
        (
            json!({"type": "get_quality_metrics", "period_hours": 0}),
            "1 to 8760".into(),
        ),
        (
            json!({"type": "get_quality_metrics", "period_hours": 8_761}),
            "1 to 8760".into(),
        ),
        (
            json!({"type": "get_quality_metrics", "period_hours": 1.5}),
            "1 to 8760".into(),
        ),
        (
            json!({"type": "get_quality_metrics", "period_hours": "24"}),
            "1 to 8760".into(),
        ),
    ] {
        let error = host.refused(message);
        assert!(error.contains(&allowed), "{error} does not say {allowed}");
    }
}

#[test]
fn r079_a_subscriber_who_has_gone_makes_room_and_one_who_is_there_never() {
    let host = Host::new();
    let quality = Quality::with_room(Arc::default(), Arc::new(Provider::default()), 3);
    let names = ["ann", "bob", "cid", "dan", "eve", "fay"];
    let scopes = names.map(|name| scope(&host.engine, name));
    let subscribe = |n: usize| quality.subscribe(&scopes[n]);
    // Ann is there, bob and cid are not; subscribing again changes no order.
    for n in [0, 1, 2, 1] {
        subscribe(n).unwrap();
    }
    let mut dan = scopes[3].connect().unwrap();
    subscribe(3).unwrap();
    assert_eq!(quality.subscriber_count(), 3);
    // Of those who have gone bob subscribed first; cid is there again and stays.
    let mut cid = scopes[2].connect().unwrap();
    let refused = subscribe(4).unwrap_err();
    assert_eq!(refused.code, "TOO_MANY_SUBSCRIBERS");
    subscribe(2).unwrap();
    let reach = quality.alert(Map::new(), NOW);
    assert_eq!((reach.subscribers, reach.reached), (3, 3));
    assert_eq!((read(&mut cid).len(), read(&mut dan).len()), (1, 1));
    drop(cid);
    subscribe(5).unwrap();
    assert_eq!(quality.alert(Map::new(), NOW).reached, 2);
    // A user has one place, however often it subscribes.
    for _ in 0..10 {
        subscribe(5).unwrap();
    }
    assert_eq!(quality.subscriber_count(), 3);
}
