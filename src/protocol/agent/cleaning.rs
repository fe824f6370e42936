//! What tools get and give, without secrets and cut to size, before it leaves the host.

use std::slice;

use serde_json::{Map, Value, map};

use crate::protocol::agent::secret::{is_headers, is_secret};
use crate::protocol::message::json::text_len;

/// Bytes that what [`clean`] returns takes as JSON, at most.
pub const MAX_CLEANED_BYTES: usize = 65_536;
/// Characters of a text that are kept.
const MAX_CHARS: usize = 500;
/// Items of a list that are kept.
const MAX_ITEMS: usize = 10;
/// Fields of an object that are kept.
const MAX_FIELDS: usize = 100;
/// Objects and lists within each other that are kept. An event around them is still parsed by all.
const MAX_NESTING: usize = 120;
/// Characters of a key that are kept.
const MAX_KEY_CHARS: usize = 128;
/// Bytes for the brackets of a list or an object, and for the mark that it was cut.
const AROUND: usize = 64;

const REDACTED: &str = "[redacted]";
const TOO_DEEP: &str = "[cut: nested too deeply]";
const TOO_LONG: &str = "[cut: too long]";
/// The key under which an object tells how many of its fields were cut.
const CUT: &str = "[cut]";

/// A copy that may be shown: without what secret keys hold, and cut to size.
///
/// A key is secret if one of its words is, or several in a row, or their plural. A key falls into words
/// at everything that is no letter or digit, between letters and digits, and where the case changes:
/// `accessToken`, `X-Api-Key`, `DB_PASSWORD2`, `JWTToken`, `client.secret`. Case does not count.
///
/// * Secret alone or as the end of a word, `dbpassword`, `oauth`: password, passwd, pwd, passphrase,
///   passcode, secret, token, auth, authorization, authorisation, credential, cookie, session id,
///   connection string, and the keys of api, access, secret, private (priv), signing, encryption,
///   master, shared, account, session, license, ssh.
/// * Secret as whole words: pass, db pass, user pass, bearer, jwt, cred, auth key, auth code,
///   authentication, sid, sessid, phpsessid, csrf, xsrf, otp, totp, pin, recovery code, seed phrase,
///   mnemonic.
///
/// `author`, `tokenizer` and `compass` are other words.
///
/// * A value under a secret key is `"[redacted]"`, at every depth and whatever its type. So is the value
///   of a pair: of `{"name": "Authorization", "value": ..}`, and of `["Cookie", ..]` in a list of such
///   pairs. Lines `Name: value` are looked at under keys that end in `header` or `headers`.
/// * A text over 500 characters becomes its first 500 and `[cut: 7 more characters]`. A key over 128 is
///   cut the same way.
/// * A list over 10 items becomes its first 10 and the text `[cut: 7 more items]`.
/// * An object over 100 fields becomes its first 100 and the field `"[cut]": "7 more fields"`.
/// * Objects and lists within more than 119 others become `"[cut: nested too deeply]"`.
/// * The whole takes at most [`MAX_CLEANED_BYTES`] of JSON. What comes when there is no room any more is
///   cut from its list or object, which is marked as above.
///
/// Everything else stays as it is. What other texts say is not looked into.
///
/// Wait-free: one pass over what is kept, without recursion. Never panics.
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
    let mut cleaner = Cleaner {
        left: MAX_CLEANED_BYTES,
        open: Vec::new(),
    };
    let mut done = match cleaner.enter(value, Shown::default()) {
        Entered::Whole(whole) => Some(whole),
        Entered::Opened => None,
        Entered::NoRoom => return TOO_LONG.into(),
    };
    loop {
        if let Some(value) = done.take() {
            match cleaner.open.last_mut() {
                Some(around) => around.put(value),
                None => return value,
            }
        }
        done = cleaner.step();
    }
}

/// How a value is shown.
#[derive(Clone, Copy, Default)]
struct Shown {
    /// Not at all.
    redacted: bool,
    /// Its lines are headers.
    headers: bool,
    /// It is a name and a value.
    pair: bool,
}

enum Entered {
    /// A value that is clean.
    Whole(Value),
    /// A list or an object, on top of those that are open.
    Opened,
    /// It does not fit.
    NoRoom,
}

struct Cleaner<'a> {
    /// Bytes that may still be used.
    left: usize,
    open: Vec<Open<'a>>,
}

impl<'a> Cleaner<'a> {
    fn enter(&mut self, value: &'a Value, shown: Shown) -> Entered {
        let (whole, length) = match value {
            _ if shown.redacted => (REDACTED.into(), REDACTED.len() + 2),
            Value::Array(_) | Value::Object(_) if self.open.len() >= MAX_NESTING => {
                (TOO_DEEP.into(), TOO_DEEP.len() + 2)
            }
            Value::Array(list) => return self.open(Open::list(list, shown)),
            Value::Object(object) => return self.open(Open::object(object)),
            Value::String(text) => {
                let text = cut(text, MAX_CHARS);
                let text = if shown.headers {
                    redact_lines(&text)
                } else {
                    text
                };
                let length = text_len(&text);
                (text.into(), length)
            }
            Value::Null | Value::Bool(_) => (value.clone(), 5),
            Value::Number(number) => (value.clone(), number.to_string().len()),
        };
        if self.spend(length) {
            Entered::Whole(whole)
        } else {
            Entered::NoRoom
        }
    }

    fn open(&mut self, open: Open<'a>) -> Entered {
        if !self.spend(AROUND) {
            return Entered::NoRoom;
        }
        self.open.push(open);
        Entered::Opened
    }

    fn spend(&mut self, bytes: usize) -> bool {
        let enough = bytes <= self.left;
        if enough {
            self.left -= bytes;
        }
        enough
    }

    /// Takes the next item of the innermost list or object, or closes it.
    fn step(&mut self) -> Option<Value> {
        let innermost = self.open.last_mut()?;
        if let Some((key_len, item, shown)) = innermost.next() {
            // With the comma.
            let before = self.left;
            let entered = if self.spend(key_len + 1) {
                self.enter(item, shown)
            } else {
                Entered::NoRoom
            };
            match entered {
                Entered::Whole(whole) => return Some(whole),
                Entered::Opened => return None,
                Entered::NoRoom => {
                    self.left = before;
                    self.open.last_mut()?.stop();
                }
            }
        }
        let (value, unused) = self.open.pop()?.close();
        self.left += unused;
        Some(value)
    }
}

/// A list or an object that is being copied.
enum Open<'a> {
    List {
        items: slice::Iter<'a, Value>,
        kept: Vec<Value>,
        cut: usize,
        of: Shown,
        /// All items are pairs of a name and a value.
        pairs: bool,
        /// It is a pair whose name is secret.
        secret: bool,
    },
    Object {
        fields: map::Iter<'a>,
        kept: Map<String, Value>,
        cut: usize,
        /// The key of the field that is being copied.
        key: String,
        /// It has a field that names it, and that is secret.
        secret: bool,
    },
}

impl<'a> Open<'a> {
    fn list(list: &'a [Value], of: Shown) -> Self {
        let is_pair = |item: &Value| {
            let pair = item.as_array();
            pair.is_some_and(|pair| pair.len() == 2 && pair[0].is_string())
        };
        let name = list.first().and_then(Value::as_str);
        Self::List {
            items: list.iter(),
            kept: Vec::new(),
            cut: 0,
            of,
            pairs: list.iter().take(MAX_ITEMS).all(is_pair),
            secret: of.pair && name.is_some_and(is_secret),
        }
    }

    fn object(object: &'a Map<String, Value>) -> Self {
        let candidates = ["name", "key", "header", "field"];
        let is_name = |key: &str| candidates.iter().any(|name| key.eq_ignore_ascii_case(name));
        let mut named = object
            .iter()
            .take(MAX_FIELDS)
            .filter(|(key, _)| is_name(key));
        Self::Object {
            fields: object.iter(),
            kept: Map::new(),
            cut: 0,
            key: String::new(),
            secret: named.any(|(_, name)| name.as_str().is_some_and(is_secret)),
        }
    }

    /// The bytes of the next item's key, the item, and how it is shown.
    fn next(&mut self) -> Option<(usize, &'a Value, Shown)> {
        match self {
            Self::List {
                items,
                kept,
                cut,
                of,
                pairs,
                secret,
            } => {
                if kept.len() == MAX_ITEMS {
                    *cut = items.len();
                    return None;
                }
                let shown = Shown {
                    redacted: *secret && kept.len() == 1,
                    headers: of.headers,
                    pair: *pairs,
                };
                Some((0, items.next()?, shown))
            }
            Self::Object {
                fields,
                kept,
                cut: left_out,
                key,
                secret,
            } => loop {
                if kept.len() == MAX_FIELDS {
                    *left_out += fields.len();
                    return None;
                }
                let (name, item) = fields.next()?;
                *key = cut(name, MAX_KEY_CHARS);
                // Two long keys may be the same once they are cut.
                if kept.contains_key(key) {
                    *left_out += 1;
                    continue;
                }
                let is_value = ["value", "values", "val"]
                    .iter()
                    .any(|value| name.eq_ignore_ascii_case(value));
                let shown = Shown {
                    redacted: is_secret(name) || (*secret && is_value),
                    headers: is_headers(name),
                    pair: false,
                };
                return Some((text_len(key) + 1, item, shown));
            },
        }
    }

    fn put(&mut self, value: Value) {
        match self {
            Self::List { kept, .. } => kept.push(value),
            Self::Object { kept, key, .. } => _ = kept.insert(std::mem::take(key), value),
        }
    }

    /// Leaves out the item that was taken last, and all that follow.
    fn stop(&mut self) {
        match self {
            Self::List { items, cut, .. } => *cut = items.len() + 1,
            Self::Object { fields, cut, .. } => *cut += fields.len() + 1,
        }
    }

    /// The copy with its mark, and the bytes that it did not need around it.
    fn close(self) -> (Value, usize) {
        let brackets = 2;
        match self {
            Self::List { mut kept, cut, .. } => {
                let mut used = brackets;
                if cut > 0 {
                    let mark = format!("[cut: {cut} more items]");
                    used += text_len(&mark) + 1;
                    kept.push(mark.into());
                }
                (kept.into(), AROUND.saturating_sub(used))
            }
            Self::Object { mut kept, cut, .. } => {
                let mut used = brackets;
                if cut > 0 {
                    // A field that has this name already is one of those that are cut.
                    let more = cut + usize::from(kept.contains_key(CUT));
                    let mark = format!("{more} more fields");
                    used += text_len(CUT) + text_len(&mark) + 2;
                    kept.insert(CUT.into(), mark.into());
                }
                (kept.into(), AROUND.saturating_sub(used))
            }
        }
    }
}

fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        None => text.to_owned(),
        Some((end, _)) => {
            let (kept, more) = text.split_at(end);
            format!("{kept}[cut: {} more characters]", more.chars().count())
        }
    }
}

/// Headers, each in a line, without the values of secret ones.
fn redact_lines(text: &str) -> String {
    let redact = |line: &str| match line.split_once(':') {
        Some((name, _)) if is_secret(name) => {
            let end = if line.ends_with("\r\n") {
                "\r\n"
            } else if line.ends_with('\n') {
                "\n"
            } else {
                ""
            };
            format!("{name}: {REDACTED}{end}")
        }
        _ => line.to_owned(),
    };
    text.split_inclusive('\n').map(redact).collect()
}
