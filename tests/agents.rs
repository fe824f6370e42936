//! Runs of agents, and what they show: a test a requirement, cited by its number.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

use laneway::protocol::clean;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const REDACTED: &str = "[redacted]";

/// Objects and lists within each other, `depth` of them, lists and objects in turn.
fn nested(depth: usize, inside: Value) -> Value {
    (0..depth).fold(inside, |value, at| {
        if at % 2 == 0 {
            json!({"a": value})
        } else {
            json!([value])
        }
    })
}

/// Takes a nested value apart as often as it goes.
fn innermost(mut value: &Value) -> (usize, &Value) {
    let mut depth = 0;
    while let Some(next) = value.get("a").or_else(|| value.get(0)) {
        (value, depth) = (next, depth + 1);
    }
    (depth, value)
}

#[test]
fn r054_values_under_keys_that_have_a_secret_word_are_redacted() {
    let secret = "password PASSWORD Password passwords userPassword user_password user-password \
        user.password PASSWORD1 password2 passWord PassWord DB_PASSWORD_OLD newPasswordHash \
        secret secrets client_secret clientSecret SECRETKey s3Secret top:secret \
        token tokens accessToken access_token access-token JWTToken JWTTokens userTOKENs max_tokens tokenV2 \
        api_key apiKey api-key apikey APIKEY APIKey ApiKeys api.key apikeys X-API-Key xApiKey APIkey api_keys \
        auth Auth AUTH basicAuth auth_header http.auth OAuth authToken \
        credential credentials Credentials awsCredential \
        ünïToken 钥auth auth钥 Éauth2Auth";
    for key in secret.split_whitespace() {
        let cleaned = clean(&json!({ key: "hunter2" }));
        assert_eq!(cleaned, json!({ key: REDACTED }), "{key}");
    }
    for key in [
        "api key",
        "my  token",
        " secret ",
        "auth\n",
        "\u{1F511}token\u{1F511}",
    ] {
        let cleaned = clean(&json!({ key: "hunter2" }));
        assert_eq!(cleaned, json!({ key: REDACTED }), "{key}");
    }
}

#[test]
fn r054_values_under_keys_that_have_no_secret_word_stay() {
    let open = "author authors Author co_author authority tokenizer Tokenizer tokenize tokenised \
        secretary secretariat passwordless credentialed authentic api key keys api_url key_api apiKeyed \
        monkey apis oauthor ss s ßtoken \u{00e9}auth 密钥 \u{1F511} ___ 123";
    let mut object = Map::new();
    for key in open.split_whitespace() {
        object.insert(key.to_owned(), "shown".into());
    }
    object.insert(String::new(), "shown".into());
    let given = Value::Object(object);
    assert_eq!(clean(&given), given);
}

#[test]
fn r054_secrets_are_redacted_at_every_depth_and_of_every_type() {
    let any = [
        json!(null),
        json!(true),
        json!(7),
        json!(""),
        json!("x".repeat(600)),
        json!([1, 2]),
        json!({"a": 1}),
        nested(200, json!(1)),
    ];
    for value in &any {
        for depth in [0, 1, 2, 9, 100] {
            let cleaned = clean(&nested(depth, json!({ "a_token": value, "b": 1 })));
            assert_eq!(
                cleaned,
                nested(depth, json!({ "a_token": REDACTED, "b": 1 }))
            );
        }
    }
    let list = json!([{"secret": 1}, [{"secret": 2}], {"a": [{"secret": 3}]}]);
    let shown =
        json!([{"secret": REDACTED}, [{"secret": REDACTED}], {"a": [{"secret": REDACTED}]}]);
    assert_eq!(clean(&list), shown);
    // A secret is a key's, not a text's.
    let text = json!({"a": "password", "b": ["token"]});
    assert_eq!(clean(&text), text);
}

#[test]
fn r054_texts_over_500_characters_are_cut_and_marked() {
    for c in ["x", "é", "密", "\u{1F511}"] {
        let text = json!({"a": c.repeat(500)});
        assert_eq!(clean(&text), text);
        let cut = json!({"a": format!("{}[cut: 1 more characters]", c.repeat(500))});
        assert_eq!(clean(&json!({"a": c.repeat(501)})), cut);
    }
    let cut = json!(format!("{}[cut: 99500 more characters]", "é".repeat(500)));
    assert_eq!(clean(&json!("é".repeat(100_000))), cut);
}

#[test]
fn r054_lists_over_10_items_are_cut_and_marked() {
    let list = |n: usize| (0..n).map(Value::from).collect::<Vec<_>>();
    assert_eq!(clean(&json!(list(10))), json!(list(10)));
    let mut eleven = list(10);
    eleven.push("[cut: 1 more items]".into());
    assert_eq!(clean(&json!(list(11))), json!(eleven));
    let mut thousand = list(10);
    thousand.push("[cut: 990 more items]".into());
    assert_eq!(
        clean(&json!({"a": [list(1_000)]})),
        json!({"a": [thousand]})
    );
}

#[test]
fn r054_what_is_nested_too_deeply_is_replaced_by_a_mark() {
    let deep = nested(128, json!("inside"));
    assert_eq!(clean(&deep), deep);
    for depth in [129, 130, 1_000] {
        let cleaned = clean(&nested(depth, json!("inside")));
        let (kept, mark) = innermost(&cleaned);
        assert_eq!((kept, mark), (128, &json!("[cut: nested too deeply]")));
    }
}

#[test]
fn r054_a_key_of_any_length_takes_its_time_and_no_more() {
    // A boundary and half a match at every sixth character.
    let key = "Author".repeat(200_000);
    let given = json!({ key.clone(): 1 });
    assert_eq!(clean(&given), given);
    assert_eq!(
        clean(&json!({ key.clone() + "Auth": 1 })),
        json!({ key + "Auth": REDACTED })
    );
}

/// How the words of a key are put together.
fn put_together(words: &[&str], style: usize) -> String {
    let capital = |word: &&str| word[..1].to_uppercase() + &word[1..];
    match style {
        0 => words.join("_"),
        1 => words.join("-"),
        2 => words.join("."),
        3 => words.join(" "),
        4 => words.join("_").to_uppercase(),
        5 => words.iter().map(capital).collect(),
        6 => words[0].to_owned() + &words[1..].iter().map(capital).collect::<String>(),
        _ => words.iter().map(capital).collect::<Vec<_>>().join("-"),
    }
}

fn any_words() -> impl Strategy<Value = Vec<&'static str>> {
    let words = "password passwords secret secrets token tokens apikey apikeys auth credential credentials \
        api key keys user author tokenizer name id x secretary http config of";
    let words: Vec<_> = words.split_whitespace().collect();
    prop::collection::vec(prop::sample::select(words), 1..5)
}

/// The requirement, word by word.
fn secret_word(words: &[&str]) -> bool {
    let secret = "password secret token apikey auth credential";
    let is = |word: &str| {
        let one = word.strip_suffix('s').unwrap_or(word);
        secret.split(' ').any(|secret| secret == one)
    };
    let pair = |pair: &[&str]| pair == ["api", "key"] || pair == ["api", "keys"];
    words.iter().any(|word| is(word)) || words.windows(2).any(pair)
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        ("[a\u{e9}\u{1F511}]", 490_usize..520).prop_map(|(c, n)| c.repeat(n).into()),
    ];
    let key = prop_oneof![
        ".{0,12}",
        prop::sample::select(vec!["a", "b", "apiToken", "author"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 120, 14, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..14).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// What is wrong with a copy. Of keys that are not known here, only that they are there.
fn flaw(given: &Value, cleaned: &Value) -> Option<String> {
    let flaw_of = |wrong: bool, what: &str| wrong.then(|| format!("{what}: {given} {cleaned}"));
    match (given, cleaned) {
        (Value::String(given), Value::String(cleaned)) => {
            let more = given.chars().count().saturating_sub(500);
            let kept: String = given.chars().take(500).collect();
            let expected = match more {
                0 => kept,
                more => format!("{kept}[cut: {more} more characters]"),
            };
            flaw_of(expected != *cleaned, "text")
        }
        (Value::Array(given), Value::Array(cleaned)) => {
            if given.len() > 10 {
                let mark = json!(format!("[cut: {} more items]", given.len() - 10));
                if cleaned.len() != 11 || cleaned[10] != mark {
                    return flaw_of(true, "long list");
                }
            } else if given.len() != cleaned.len() {
                return flaw_of(true, "list");
            }
            let kept = given.iter().take(10).zip(cleaned);
            kept.into_iter()
                .find_map(|(given, cleaned)| flaw(given, cleaned))
        }
        (Value::Object(given), Value::Object(cleaned)) => {
            if !given.keys().eq(cleaned.keys()) {
                return flaw_of(true, "keys");
            }
            let fields = given.iter().map(|(key, item)| (key.as_str(), item));
            fields
                .into_iter()
                .find_map(|(key, item)| match (key, &cleaned[key]) {
                    ("apiToken", shown) => flaw_of(shown != REDACTED, "redacted"),
                    ("a" | "b" | "author", shown) => flaw(item, shown),
                    (_, shown) if shown == REDACTED => None,
                    (_, shown) => flaw(item, shown),
                })
        }
        (given, cleaned) => flaw_of(given != cleaned, "scalar"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn r054_a_key_is_secret_by_its_words_however_they_are_put_together(
        words in any_words(),
        style in 0_usize..8,
    ) {
        let key = put_together(&words, style);
        let shown = if secret_word(&words) { REDACTED } else { "hunter2" };
        prop_assert_eq!(clean(&json!({ &key: "hunter2" })), json!({ &key: shown }), "{}", key);
    }

    #[test]
    fn r054_a_copy_is_complete_but_for_secrets_and_what_is_too_long(given in any_json()) {
        prop_assert_eq!(flaw(&given, &clean(&given)), None);
    }
}
