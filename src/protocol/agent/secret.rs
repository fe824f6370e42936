//! Keys that hold secrets, as people write them.

/// Words that make a key secret, alone or as the end of a longer word: `dbpassword`, `oauth`.
const ENDS: [&str; 27] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "privkey",
    "signingkey",
    "encryptionkey",
    "masterkey",
    "sharedkey",
    "accountkey",
    "sessionkey",
    "licensekey",
    "sshkey",
    "auth",
    "authorization",
    "authorisation",
    "credential",
    "cookie",
    "sessionid",
    "connectionstring",
];
/// Words that make a key secret only as whole words: `pin`, and not `shopping`.
const WHOLE: [&str; 20] = [
    "pass",
    "dbpass",
    "userpass",
    "bearer",
    "jwt",
    "cred",
    "authkey",
    "authcode",
    "authentication",
    "sid",
    "sessid",
    "phpsessid",
    "csrf",
    "xsrf",
    "otp",
    "totp",
    "pin",
    "recoverycode",
    "seedphrase",
    "mnemonic",
];

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

/// The letters and digits of a key in lower case, and where its words begin and end in them.
fn words(key: &str) -> (String, Vec<usize>) {
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
    (letters, bounds)
}

/// Whether one of the key's words, or several in a row, read as a secret.
pub(in crate::protocol) fn is_secret(key: &str) -> bool {
    let (letters, bounds) = words(key);
    let is_bound = |at: usize| bounds.binary_search(&at).is_ok();
    // At the end of a word, or in front of its plural's last letter.
    let ends = |end: usize| is_bound(end) || (letters[end..].starts_with('s') && is_bound(end + 1));
    let found = |word: &'static str| {
        let places = letters.match_indices(word).map(|(start, _)| start);
        places.filter(move |start| ends(start + word.len()))
    };
    ENDS.iter().any(|word| found(word).next().is_some())
        || WHOLE.iter().any(|word| found(word).any(is_bound))
}

/// Whether the key is one of a list of headers.
pub(in crate::protocol) fn is_headers(key: &str) -> bool {
    let (letters, _) = words(key);
    letters.ends_with("header") || letters.ends_with("headers")
}
