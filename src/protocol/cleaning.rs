//! What tools get and give, without secrets and cut to size, before it leaves the host.

use serde_json::Value;

/// Words that make a key a secret one. Written without boundaries, see [`is_secret`].
const SECRETS: [&str; 6] = [
    "password",
    "secret",
    "token",
    "apikey",
    "auth",
    "credential",
];
/// Characters of a text that are kept.
const MAX_CHARS: usize = 500;
/// Items of a list that are kept.
const MAX_ITEMS: usize = 10;
/// Objects and lists within each other that are kept.
const MAX_NESTING: usize = 128;

const REDACTED: &str = "[redacted]";
const TOO_DEEP: &str = "[cut: nested too deeply]";

/// A copy that may be shown: without what secret keys hold, and cut to size.
///
/// * A value under a key that has `password`, `secret`, `token`, `api_key`, `auth` or `credential`
///   for one of its words, or their plurals, is `"[redacted]"`, at every depth and whatever its type.
///   A key falls into words at everything that is no letter or digit, between letters and digits, and
///   where the case changes: `accessToken`, `x-api-key`, `DB_PASSWORD2`, `JWTToken`. Case does not
///   count, and a word that has boundaries of its own, `passWord`, is found all the same. `author` and
///   `tokenizer` are other words.
/// * A text over 500 characters becomes its first 500 and `[cut: 7 more characters]`.
/// * A list over 10 items becomes its first 10 and the text `[cut: 7 more items]`.
/// * Objects and lists within more than 127 others become `"[cut: nested too deeply]"`.
///
/// Everything else stays as it is. What texts say is not looked into.
///
/// Wait-free: one pass over what is kept. Never panics.
///
/// ```
/// use laneway::protocol::clean;
/// use serde_json::json;
///
/// let given = json!({"url": "https://a.example", "headers": {"xApiKey": 7}, "author": "ann"});
/// let shown = json!({"url": "https://a.example", "headers": {"xApiKey": "[redacted]"}, "author": "ann"});
/// assert_eq!(clean(&given), shown);
/// ```
#[must_use]
pub fn clean(value: &Value) -> Value {
    clean_within(value, MAX_NESTING)
}

/// As [`clean`], with so many levels left.
fn clean_within(value: &Value, levels: usize) -> Value {
    match value {
        Value::String(text) => Value::String(cut(text)),
        Value::Array(_) | Value::Object(_) if levels == 0 => TOO_DEEP.into(),
        Value::Array(list) => {
            let kept = list.iter().take(MAX_ITEMS);
            let mut kept: Vec<_> = kept.map(|item| clean_within(item, levels - 1)).collect();
            if list.len() > MAX_ITEMS {
                kept.push(format!("[cut: {} more items]", list.len() - MAX_ITEMS).into());
            }
            Value::Array(kept)
        }
        Value::Object(object) => {
            let clean_field = |(key, item): (&String, &Value)| {
                let item = if is_secret(key) {
                    REDACTED.into()
                } else {
                    clean_within(item, levels - 1)
                };
                (key.clone(), item)
            };
            Value::Object(object.iter().map(clean_field).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => {
            let (kept, more) = text.split_at(end);
            format!("{kept}[cut: {} more characters]", more.chars().count())
        }
    }
}

/// What a character of a key is, as far as words go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Upper,
    Lower,
    /// A digit, or a letter without case.
    Uncased,
    /// Between words.
    Other,
}

fn class(c: char) -> Class {
    if c.is_uppercase() {
        Class::Upper
    } else if c.is_lowercase() {
        Class::Lower
    } else if c.is_alphanumeric() {
        Class::Uncased
    } else {
        Class::Other
    }
}

/// Whether one of the key's words, or several in a row, read as one of the [`SECRETS`].
fn is_secret(key: &str) -> bool {
    // The words without what is between them, and where they begin and end.
    let mut letters = String::with_capacity(key.len());
    let mut bounds = vec![0];
    let mut before = Class::Other;
    let mut rest = key.chars().peekable();
    while let Some(c) = rest.next() {
        let (here, next) = (class(c), rest.peek().map(|c| class(*c)));
        let begins = match (before, here) {
            // The last capital of several belongs to the small letters that follow.
            (Class::Upper, Class::Upper) => next == Some(Class::Lower),
            (Class::Upper, Class::Lower) => false,
            _ => before != here,
        };
        if begins {
            bounds.push(letters.len());
        }
        if here != Class::Other {
            letters.extend(c.to_lowercase());
        }
        before = here;
    }
    bounds.push(letters.len());
    let is_bound = |at: usize| bounds.binary_search(&at).is_ok();
    bounds.iter().any(|start| {
        let words = &letters[*start..];
        SECRETS.iter().any(|secret| {
            let end = start + secret.len();
            words
                .strip_prefix(secret)
                .is_some_and(|after| is_bound(end) || (after.starts_with('s') && is_bound(end + 1)))
        })
    })
}
