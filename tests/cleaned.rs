//! What "cleaned" promises: no secrets however their keys are written, a bound in bytes whatever the
//! shape, and values of any depth.
#![cfg(all(feature = "protocol", not(any(laneway_loom, laneway_shuttle))))]

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use laneway::protocol::{
    AgentRun, BroadcastError, Broadcaster, ContextError, Handled, HandlerError, Isolation,
    MAX_CLEANED_BYTES, Message, MessageKind, MessageRouter, Outcome, Packet, Quality,
    QualityProvider, QualityRequest, RunId, Sender, UserContext, clean,
};
use laneway::{Connection, Hub, Received, ThreadId, UserId};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const REDACTED: &str = "[redacted]";
const NOW: Duration = Duration::from_secs(1);
const DEEP: usize = 100_000;

fn is_redacted(key: &str) -> bool {
    clean(&json!({ key: "hunter2" })) == json!({ key: REDACTED })
}

#[test]
fn r076_keys_are_secret_however_people_write_them() {
    let secret = "Authorization AUTHORIZATION authorization Proxy-Authorization X-Api-Key x-api-key \
        HTTP_X_API_KEY apikey apiKey ApiKey API_KEY api.key accessToken access_token AccessToken \
        ACCESS_TOKEN accesstoken ACCESSTOKEN refreshToken refresh-token id_token client_secret \
        clientSecret ClientSecret CLIENT_SECRET clientsecret client-secret app.client.secret passwd PASSWD \
        userPasswd pwd PWD userPwd USERPWD db_pwd pass smtp_pass DbPass passphrase sshPassphrase passcode \
        bearer Bearer bearerToken cookie Cookie cookies Set-Cookie set_cookie setCookie SETCOOKIE \
        private_key privateKey PrivateKey PRIVATE_KEY privatekey private-keys privKey session_id sessionId \
        SessionID JSESSIONID PHPSESSID connect.sid oauth OAuth OAUTH oauth2 oauthToken MYPASSWORD dbpassword \
        DBPASSWORD userpassword mysecret MYSECRET awsSecretAccessKey AWS_SECRET_ACCESS_KEY aws_access_key_id \
        aws_session_token ssh_key signingKey encryption_key masterKey accountKey jwt JWT X-CSRF-Token \
        csrf xsrf-token otp totp PIN recovery_codes X-Auth-Token X-Amz-Security-Token credentials creds \
        ConnectionString connection_string WebhookSecret authCode auth-key";
    for key in secret.split_whitespace() {
        assert!(is_redacted(key), "{key}");
    }
    let open = "author authority tokenizer compass bypass passenger passed surpass shopping pinned spin \
        side session sessions keyboard monkey key keys public_key primaryKey foreign_key sort_key url \
        secretary accredited accept content-type host user-agent opt option basket cooking bear";
    for key in open.split_whitespace() {
        assert!(!is_redacted(key), "{key}");
    }
}

#[test]
fn r076_headers_are_redacted_however_they_are_listed() {
    for (given, shown) in [
        (
            json!({"headers": {"Authorization": "Bearer hunter2", "Accept": "*/*"}}),
            json!({"headers": {"Authorization": REDACTED, "Accept": "*/*"}}),
        ),
        (
            json!([{"name": "Authorization", "value": "hunter2"}, {"name": "Accept", "value": "*/*"}]),
            json!([{"name": "Authorization", "value": REDACTED}, {"name": "Accept", "value": "*/*"}]),
        ),
        (
            json!([{"Key": "DB_PASSWORD", "Value": "hunter2"}]),
            json!([{"Key": "DB_PASSWORD", "Value": REDACTED}]),
        ),
        (
            json!({"headers": [["Cookie", "hunter2"], ["Accept", "*/*"]]}),
            json!({"headers": [["Cookie", REDACTED], ["Accept", "*/*"]]}),
        ),
        (
            json!({"requestHeaders": ["Authorization: Bearer hunter2", "Accept: */*"]}),
            json!({"requestHeaders": ["Authorization: [redacted]", "Accept: */*"]}),
        ),
        (
            json!({"header": "Accept: */*\r\nX-Api-Key: hunter2\r\nHost: a\n"}),
            json!({"header": "Accept: */*\r\nX-Api-Key: [redacted]\r\nHost: a\n"}),
        ),
    ] {
        assert_eq!(clean(&given), shown);
        let deeper = json!({"request": [given]});
        assert_eq!(clean(&deeper), json!({"request": [shown]}));
    }
    // A list of two words is no pair by itself.
    let words = json!({"tags": ["password", "reset"], "text": "token: 5"});
    assert_eq!(clean(&words), words);
}

#[test]
fn r076_objects_over_100_fields_are_cut_and_marked() {
    let object = |n: usize| {
        (0..n)
            .map(|n| (format!("f{n:06}"), json!(n)))
            .collect::<Map<_, _>>()
    };
    assert_eq!(clean(&object(100).into()), Value::Object(object(100)));
    let mut cut = object(100);
    cut.insert("[cut]".into(), "9900 more fields".into());
    assert_eq!(clean(&object(10_000).into()), Value::Object(cut));
    // A field that is called like the mark does not hide it.
    let mut named = object(101);
    named.insert("[cut]".into(), "0 more fields".into());
    let shown = clean(&named.into());
    assert_eq!(shown["[cut]"], "3 more fields");
    assert_eq!(shown.as_object().unwrap().len(), 100);
}

#[test]
fn r076_keys_over_128_characters_are_cut_and_marked() {
    for c in ["x", "é", "\u{1F511}"] {
        let key = c.repeat(128);
        let given = json!({ &key: 1 });
        assert_eq!(clean(&given), given);
        let cut = format!("{key}[cut: 1000000 more characters]");
        assert_eq!(clean(&json!({ c.repeat(1_000_128): 1 })), json!({ cut: 1 }));
    }
    // Keys that are the same once they are cut.
    let (one, other) = ("x".repeat(200) + "1", "x".repeat(200) + "2");
    let shown = clean(&json!({ one: 1, other: 2 }));
    let cut = format!("{}[cut: 73 more characters]", "x".repeat(128));
    assert_eq!(shown, json!({ cut: 1, "[cut]": "1 more fields" }));
}

/// A value that is as wide as is kept at each of so many levels.
fn wide(levels: usize, leaf: &Value, list: bool) -> Value {
    match (levels, list) {
        (0, _) => leaf.clone(),
        (_, true) => vec![wide(levels - 1, leaf, true); 11].into(),
        (_, false) => (0..20)
            .map(|n| (format!("key {n}"), wide(levels - 1, leaf, false)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

fn deep(levels: usize, leaf: Value) -> Value {
    // Without `json!`, which copies by recursion.
    (0..levels).fold(leaf, |value, at| match at % 2 {
        0 => Value::Object(Map::from_iter([("a".to_owned(), value)])),
        _ => Value::Array(vec![value]),
    })
}

#[test]
fn r076_the_whole_is_bounded_in_bytes_whatever_its_shape() {
    let texts = ["x", "\u{0}", "\"", "é", "\u{1F511}"].map(|c| json!(c.repeat(600)));
    let keys: Map<_, _> = (0..10_000)
        .map(|n| {
            (
                format!("{n}{}", "\u{1}".repeat(300)),
                json!("\u{2}".repeat(600)),
            )
        })
        .collect();
    let mut values = vec![
        wide(5, &json!(1), true),
        wide(4, &json!(true), false),
        keys.into(),
        deep(127, wide(3, &json!(1), true)),
        json!(vec![json!({}); 10]),
        json!(vec![json!([[], [], {}]); 10]),
        wide(5, &json!([]), true),
        wide(3, &json!({}), false),
    ];
    for text in &texts {
        values.extend([wide(3, text, true), wide(2, text, false), text.clone()]);
    }
    for value in values {
        let cleaned = clean(&value).to_string();
        assert!(cleaned.len() <= MAX_CLEANED_BYTES, "{}", cleaned.len());
        if value.to_string().len() > MAX_CLEANED_BYTES {
            assert!(cleaned.contains("[cut"), "it says that it was cut");
            assert!(
                cleaned.len() > MAX_CLEANED_BYTES / 4,
                "and it uses its room"
            );
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ("[a\u{0}\"\u{1F511}]", 0_usize..700).prop_map(|(c, n)| c.repeat(n).into()),
    ];
    let key = ("[a\u{1}é]", 0_usize..200).prop_map(|(c, n)| c.repeat(n));
    leaf.prop_recursive(8, 600, 25, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..25).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..25)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn r076_any_value_is_bounded_in_bytes(value in prop::collection::vec(any_json(), 1..10)) {
        let cleaned = clean(&Value::from(value)).to_string();
        prop_assert!(cleaned.len() <= MAX_CLEANED_BYTES, "{}", cleaned.len());
    }
}

/// Runs `test` with less stack than recursion over a deep value takes.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let small = thread::Builder::new().stack_size(512 * 1024);
    small.spawn(test).unwrap().join().unwrap();
}

/// A value whose test drops it without recursion.
struct Host(Value);
impl Drop for Host {
    fn drop(&mut self) {
        let mut left = vec![self.0.take()];
        while let Some(value) = left.pop() {
            match value {
                Value::Array(list) => left.extend(list),
                Value::Object(object) => left.extend(object.into_iter().map(|(_, value)| value)),
                _ => {}
            }
        }
    }
}

fn read(connection: &mut Connection<Packet>) -> Vec<Value> {
    let mut all = Vec::new();
    while let Ok(Received::Event(got)) = connection.try_recv() {
        all.push(serde_json::from_str(got.event.json()).unwrap());
    }
    all
}

#[test]
fn r076_values_of_any_depth_are_cleaned_and_dropped() {
    on_a_small_stack(|| {
        let given = Host(deep(DEEP, json!(1)));
        let cleaned = clean(&given.0).to_string();
        assert!(cleaned.contains("[cut: nested too deeply]"));
        let engine: Hub<Packet> = Hub::new();
        let ann = engine.scope(UserId::new("ann").unwrap());
        let mut phone = ann.connect().unwrap();
        let context = UserContext::builder(
            UserId::new("ann").unwrap(),
            ThreadId::new("t-7").unwrap(),
            RunId::new("r-7").unwrap(),
        );
        let metadata = || Map::from_iter([("deep".to_owned(), deep(DEEP, json!(1)))]);
        let refused = context.clone().metadata(metadata()).build();
        assert_eq!(refused, Err(ContextError::MetadataTooDeep));
        let context = context.build().unwrap();
        assert_eq!(
            context.child(metadata()),
            Err(ContextError::MetadataTooDeep)
        );
        let begun = AgentRun::start(Arc::default(), ann, context, "planner", NOW);
        let mut run = begun.unwrap().0;
        let value = || deep(DEEP, json!(1));
        // A value that is refused is dropped as well.
        run.tool_executing("", value(), NOW).unwrap_err();
        let _ = run.tool_executing("search", value(), NOW).unwrap();
        run.tool_executing("search", value(), NOW).unwrap_err();
        run.tool_completed("read", value(), NOW, true, NOW)
            .unwrap_err();
        let _ = run
            .tool_completed("search", value(), NOW, true, NOW)
            .unwrap();
        drop(run);
        assert_eq!(read(&mut phone).len(), 4);
    });
}

#[test]
fn r076_messages_of_any_depth_are_refused_and_dropped() {
    on_a_small_stack(|| {
        let engine: Hub<Packet> = Hub::new();
        let ann = engine.scope(UserId::new("ann").unwrap());
        let mut phone = ann.connect().unwrap();
        let broadcaster = Arc::new(Broadcaster::default());
        for (leaf, is_clean) in [(json!(1), true), (json!({"userId": "bob"}), false)] {
            let mut message = Message::new(MessageKind::Chat).with("deep", deep(DEEP, leaf));
            let told = broadcaster.broadcast(&ann, &message, NOW);
            assert_eq!(told.refused, Some(BroadcastError::TooDeep));
            assert!(message.to_json().len() > DEEP);
            let body = Host(message.fields_mut().remove("deep").unwrap());
            let checked = Isolation::default().check(&body.0, ann.user());
            assert_eq!(checked.is_ok(), is_clean);
        }
        let router = MessageRouter::new(broadcaster, Duration::ZERO);
        let answers = |sender: &Sender<'_>, message: &Message| {
            let told = sender.answer(message, deep(DEEP, json!(1)));
            let error = match message.kind {
                MessageKind::JsonRpcRequest => BroadcastError::TooDeep,
                _ => BroadcastError::NoRequest,
            };
            assert_eq!(told.refused, Some(error));
            Ok(Handled::Done)
        };
        router.register("answers", answers).unwrap();
        let message = Message::new(MessageKind::Chat).with("deep", deep(DEEP, json!(1)));
        let outcome = router.route(&ann, Some(phone.id()), message, NOW);
        assert!(matches!(outcome, Outcome::Refused(e) if e.code == "MESSAGE_TOO_DEEP"));
        for json in [
            r#"{"type":"chat"}"#,
            r#"{"jsonrpc":"2.0","method":"m","id":1}"#,
        ] {
            router.route_json(&ann, Some(phone.id()), json.as_bytes(), NOW);
        }
        assert_eq!(read(&mut phone).len(), 1, "that it was refused");
    });
}

struct DeepProvider;
impl QualityProvider for DeepProvider {
    fn metrics(&self, _: &QualityRequest<'_>, _: u64) -> Result<Value, HandlerError> {
        Ok(deep(DEEP, json!(1)))
    }
    fn validate(
        &self,
        _: &QualityRequest<'_>,
        _: &str,
        _: &'static str,
        _: bool,
    ) -> Result<Value, HandlerError> {
        Ok(deep(DEEP, json!(1)))
    }
    fn report(
        &self,
        _: &QualityRequest<'_>,
        _: &'static str,
        _: u64,
    ) -> Result<Value, HandlerError> {
        Ok(deep(DEEP, json!(1)))
    }
}

#[test]
fn r076_quality_of_any_depth_is_refused_and_dropped() {
    on_a_small_stack(|| {
        let engine: Hub<Packet> = Hub::new();
        let ann = engine.scope(UserId::new("ann").unwrap());
        let mut phone = ann.connect().unwrap();
        let router = MessageRouter::new(Arc::default(), Duration::ZERO);
        let quality = Quality::new(Arc::default(), Arc::new(DeepProvider));
        quality.register(&router).unwrap();
        quality.subscribe(&ann).unwrap();
        let payload = || Map::from_iter([("deep".to_owned(), deep(DEEP, json!(1)))]);
        assert_eq!(quality.alert(payload(), NOW).reached, 0);
        assert_eq!(quality.update(payload(), NOW).reached, 0);
        for json in [
            r#"{"type":"get_quality_metrics"}"#,
            r#"{"type":"validate_content","content":"x"}"#,
            r#"{"type":"generate_quality_report"}"#,
        ] {
            router.route_json(&ann, Some(phone.id()), json.as_bytes(), NOW);
        }
        assert!(read(&mut phone).is_empty());
    });
}
