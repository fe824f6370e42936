//! Keys that hold secrets, in the ways that people write them.

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
/// Words that make a key secret only as whole words: `pin`, but not `shopping`.
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

/// The class of a character, by which a key is split into words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Upper,
    Lower,
    /// A digit, or a letter without case.
    Uncased,
    /// A separator between words.
    Other,
}

/// Returns the class of a character.
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

/// Returns the letters and digits of a key in lower case, and the positions where its words meet.
fn words(key: &str) -> (String, Vec<usize>) {
    let mut letters = String::with_capacity(key.len());
    let mut bounds = vec![0];
    let mut before = Class::Other;
    let mut rest = key.chars().peekable();
    while let Some(c) = rest.next() {
        let (here, next) = (class(c), rest.peek().map(|c| class(*c)));
        let begins = match (before, here) {
            // In `JWTToken` the second `T` starts a word, because a small letter follows it.
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

/// Returns `true` if a word of the key, or several words in a row, name a secret.
pub(in crate::protocol) fn is_secret(key: &str) -> bool {
    let (letters, bounds) = words(key);
    let is_bound = |at: usize| bounds.binary_search(&at).is_ok();
    // A word may be followed by the `s` of its plural: `passwords`.
    let ends = |end: usize| is_bound(end) || (letters[end..].starts_with('s') && is_bound(end + 1));
    let found = |word: &'static str| {
        let places = letters.match_indices(word).map(|(start, _)| start);
        places.filter(move |start| ends(start + word.len()))
    };
    ENDS.iter().any(|word| found(word).next().is_some())
        || WHOLE.iter().any(|word| found(word).any(is_bound))
}

/// Returns `true` if the key names a list of headers.
pub(in crate::protocol) fn is_headers(key: &str) -> bool {
    let (letters, _) = words(key);
    letters.ends_with("header") || letters.ends_with("headers")
}
