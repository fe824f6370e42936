//! Copies of what tools take and return: without secrets, and cut to size before they leave the host.

use std::slice;

use serde_json::{Map, Value, map};

use crate::protocol::agent::secret::{is_headers, is_secret};
use crate::protocol::message::json::text_len;

/// Bytes of JSON that the result of [`clean`] takes, at most.
///
/// ```
/// use laneway::protocol::{MAX_CLEANED_BYTES, clean};
///
/// let fields = (0..100).map(|n| (n.to_string(), vec!["x".repeat(500); 10].into()));
/// let large = serde_json::Value::Object(fields.collect());
/// assert!(large.to_string().len() > 500_000);
/// assert!(clean(&large).to_string().len() <= MAX_CLEANED_BYTES);
/// ```
pub const MAX_CLEANED_BYTES: usize = 65_536;
/// Characters of a text that a copy keeps.
const MAX_CHARS: usize = 500;
/// Items of a list that a copy keeps.
const MAX_ITEMS: usize = 10;
/// Fields of an object that a copy keeps.
const MAX_FIELDS: usize = 100;
/// Levels of nesting that a copy keeps. An event adds levels of its own around the copy, and JSON
/// parsers commonly stop at 128.
const MAX_NESTING: usize = 120;
/// Characters of a key that a copy keeps.
const MAX_KEY_CHARS: usize = 128;
/// Bytes set aside for the brackets of a list or an object and for its mark of a cut.
const AROUND: usize = 64;

const REDACTED: &str = "[redacted]";
const TOO_DEEP: &str = "[cut: nested too deeply]";
const TOO_LONG: &str = "[cut: too long]";
/// The key under which an object says how many of its fields were cut.
const CUT: &str = "[cut]";

/// Returns a copy that may be shown to users: without the values of secret keys, and cut to size.
///
/// Wait-free: one pass over the values that are kept, without recursion. Never panics.
///
/// ```
/// use laneway::protocol::clean;
/// use serde_json::json;
///
/// let given = json!({"url": "https://a.example", "headers": {"xApiKey": 7}, "author": "ann"});
/// let shown = json!({"url": "https://a.example", "headers": {"xApiKey": "[redacted]"}, "author": "ann"});
/// assert_eq!(clean(&given), shown);
/// ```
///
/// # Secret keys
///
/// A key is split into words: at each character that is no letter or digit, between letters and
/// digits, and where the case changes. `accessToken`, `X-Api-Key`, `DB_PASSWORD2`, `JWTToken` and
/// `client.secret` each have several words. Case does not count. A key is secret if one of its words,
/// or several in a row, or their plural, is in one of these lists.
///
/// * Secret alone and as the end of a word, as in `dbpassword` and `oauth`: password, passwd, pwd,
///   passphrase, passcode, secret, token, auth, authorization, authorisation, credential, cookie,
///   session id, connection string, and the keys of api, access, secret, private (priv), signing,
///   encryption, master, shared, account, session, license, ssh.
/// * Secret as whole words only: pass, db pass, user pass, bearer, jwt, cred, auth key, auth code,
///   authentication, sid, sessid, phpsessid, csrf, xsrf, otp, totp, pin, recovery code, seed phrase,
///   mnemonic.
///
/// `author`, `tokenizer` and `compass` are not secret.
///
/// # Redaction
///
/// * A value under a secret key becomes `"[redacted]"`, at every depth and for every type.
/// * So does the value of a pair with a secret name: `{"name": "Authorization", "value": ..}`, and
///   `["Cookie", ..]` in a list of such pairs.
/// * Under keys that end in `header` or `headers`, lines `Name: value` of a text are redacted too.
///
/// Other texts are not searched for secrets.
///
/// # Bounds
///
/// * A text over 500 characters becomes its first 500 and `[cut: 7 more characters]`. A key over 128
///   characters is cut the same way.
/// * A list over 10 items becomes its first 10 and the text `[cut: 7 more items]`.
/// * An object over 100 fields becomes its first 100 and the field `"[cut]": "7 more fields"`.
/// * Objects and lists within more than 119 others become `"[cut: nested too deeply]"`.
/// * The whole takes at most [`MAX_CLEANED_BYTES`] of JSON. Values for which there is no room are cut
///   from their list or object, which gets the mark of a cut.
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

/// The way in which a value is shown.
#[derive(Clone, Copy, Default)]
struct Shown {
    /// The value is replaced by [`REDACTED`].
    redacted: bool,
    /// Each line of the value is a header.
    headers: bool,
    /// The value may be a pair of a name and a value.
    pair: bool,
}

/// The result of copying one value.
enum Entered {
    /// The copy, complete.
    Whole(Value),
    /// The value is a list or an object. It is now the innermost open one, and its items follow.
    Opened,
    /// The value does not fit into the bytes that are left.
    NoRoom,
}

/// A copy under way. The stack of open lists and objects replaces recursion, which a deeply nested
/// value could drive into a stack overflow.
struct Cleaner<'a> {
    /// Bytes of JSON that the copy may still use.
    left: usize,
    open: Vec<Open<'a>>,
}

impl<'a> Cleaner<'a> {
    /// Copies a value, or opens it if it is a list or an object.
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

    /// Sets aside bytes for a list or an object, and makes it the innermost open one.
    fn open(&mut self, open: Open<'a>) -> Entered {
        if !self.spend(AROUND) {
            return Entered::NoRoom;
        }
        self.open.push(open);
        Entered::Opened
    }

    /// Takes bytes off the rest. Returns `false`, and takes none, if there are too few.
    fn spend(&mut self, bytes: usize) -> bool {
        let enough = bytes <= self.left;
        if enough {
            self.left -= bytes;
        }
        enough
    }

    /// Copies the next item of the innermost open list or object, or closes it.
    fn step(&mut self) -> Option<Value> {
        let innermost = self.open.last_mut()?;
        if let Some((key_len, item, shown)) = innermost.next() {
            // One byte more, for the comma.
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
        /// The way in which the list itself is shown.
        of: Shown,
        /// Each item is a list of a name and a value.
        pairs: bool,
        /// The list is a pair, and its name is secret.
        secret: bool,
    },
    Object {
        fields: map::Iter<'a>,
        kept: Map<String, Value>,
        cut: usize,
        /// The key of the field that is being copied.
        key: String,
        /// A field of the object names it, and the name is secret.
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

    /// Returns the bytes of the next item's key, the item, and the way in which it is shown.
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
                // Two long keys may be equal once they are cut. The second would overwrite the first, so
                // it counts as cut.
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

    /// Adds a copied item to this list or object.
    fn put(&mut self, value: Value) {
        match self {
            Self::List { kept, .. } => kept.push(value),
            Self::Object { kept, key, .. } => _ = kept.insert(std::mem::take(key), value),
        }
    }

    /// Cuts the item that was taken last, and all items after it.
    fn stop(&mut self) {
        match self {
            Self::List { items, cut, .. } => *cut = items.len() + 1,
            Self::Object { fields, cut, .. } => *cut += fields.len() + 1,
        }
    }

    /// Returns the copy with its mark of a cut, and the bytes around it that were not needed.
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
                    // The mark replaces a field of the same name, which therefore counts as cut.
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

/// Returns the first `chars` characters of a text, and how many follow.
fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        None => text.to_owned(),
        Some((end, _)) => {
            let (kept, more) = text.split_at(end);
            format!("{kept}[cut: {} more characters]", more.chars().count())
        }
    }
}

/// Redacts the values of secret headers in a text of one header a line. Keeps line ends.
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
