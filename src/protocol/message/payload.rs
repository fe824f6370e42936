//! The reading of a payload as a type of the host's.

use std::error::Error;
use std::fmt;

use serde::de::DeserializeOwned;

/// The most characters of a path and of a reason. A client can make both as long as its message.
const MAX_CHARS: usize = 200;

/// The error of a payload that does not fit the host's type. It repeats nothing but the sender's message,
/// so the host may show it to the sender.
///
/// ```
/// let message = laneway::protocol::Message::parse(br#"{"type": "chat", "payload": [1, "x"]}"#)?;
/// let error = message.payload::<Vec<u8>>().unwrap_err();
/// assert_eq!(error.path, "payload[1]");
/// assert_eq!(error.reason, r#"invalid type: string "x", expected u8"#);
/// # Ok::<(), laneway::protocol::MessageError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PayloadError {
    /// The member that does not fit, with the way to it: `payload.tools[2].name`. Cut after 200 characters.
    pub path: String,
    /// The fault, in serde's words. Cut after 200 characters.
    pub reason: String,
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.reason)
    }
}

impl Error for PayloadError {}

/// Reads the JSON of the member `name`, or of the message itself if `name` is empty.
pub(in crate::protocol) fn read<T: DeserializeOwned>(
    name: &str,
    json: &str,
) -> Result<T, PayloadError> {
    serde_json::from_str(json).map_err(|error| misfit::<T>(name, json, &error))
}

/// Reads the JSON once more, to find the member that does not fit.
#[cold]
fn misfit<T: DeserializeOwned>(name: &str, json: &str, error: &serde_json::Error) -> PayloadError {
    let parser = &mut serde_json::Deserializer::from_str(json);
    let inside = match serde_path_to_error::deserialize::<_, T>(parser) {
        Err(error) if error.path().iter().len() > 0 => error.path().to_string(),
        _ => String::new(),
    };
    let dot = !name.is_empty() && !inside.is_empty() && !inside.starts_with('[');
    let reason = error.to_string();
    // serde's line and column count from the beginning of the part, which the sender does not know.
    let reason = match reason.rsplit_once(" at line ") {
        Some((reason, _)) if error.line() > 0 => reason,
        _ => &reason,
    };
    PayloadError {
        path: cut(&format!("{name}{}{inside}", if dot { "." } else { "" })),
        reason: cut(reason),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
