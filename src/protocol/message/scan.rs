//! The one look at a client's bytes: whether they are JSON, and what the layer has to know of them.
//!
//! The scan accepts what `serde_json` accepts, in one pass and without recursion. It builds no
//! [`Value`](serde_json::Value). It compares names by the text that JSON means, escapes included.

use smallvec::SmallVec;

use crate::protocol::message::facts::{Facts, INLINE, Member, Root, Span, Spot, routing};
use crate::protocol::message::json::MAX_NESTING;
use crate::protocol::message::numbers;
use crate::protocol::message::token::{self, mix};

/// Names of one object that a scan compares with each other. An object with more is taken for one that
/// has a name twice.
const MAX_COMPARED: usize = 64;

/// The use of a container's names in the layer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The level around the text.
    Outside,
    Message,
    /// A list in place of a message.
    Batch,
    BatchItem,
    Payload,
    Other,
}

/// A container that has not ended.
#[derive(Clone, Copy)]
struct Open {
    role: Role,
    is_object: bool,
    /// Where its names begin among all that are kept.
    names: usize,
    /// The hash of its items so far.
    content: u64,
    /// The hash of the name whose value is being read.
    name: u64,
    /// Where that name is, without its quotes.
    name_at: Span,
    /// Where that value begins.
    value: usize,
    member: Option<Member>,
}

/// The facts about a value that was read.
enum Step {
    /// The beginning of a container that is not empty.
    Begun,
    /// All of it, and what it says.
    Ended(u64),
}

/// A scan that is under way.
pub(in crate::protocol) struct Scan<'a, 'f> {
    text: &'a str,
    at: usize,
    /// The innermost container.
    here: Open,
    /// Those around it.
    above: SmallVec<[Open; INLINE]>,
    /// Hashes of the names of the containers that are open.
    names: SmallVec<[u64; MAX_COMPARED]>,
    facts: &'f mut Facts,
    /// Numbers that `serde_json` keeps as an `f64`.
    floats: Vec<&'a str>,
}

impl<'a, 'f> Scan<'a, 'f> {
    /// Looks at a text of less than 4 GiB, and puts down what it finds in fresh `facts`. Returns the
    /// numbers that an `f64` is kept of; `None` if `serde_json` refuses the text. Linear in its length.
    pub(in crate::protocol) fn of(text: &'a str, facts: &'f mut Facts) -> Option<Vec<&'a str>> {
        let here = Open {
            role: Role::Outside,
            is_object: false,
            names: 0,
            content: 0,
            name: 0,
            name_at: Span::default(),
            value: 0,
            member: None,
        };
        let mut scan = Self {
            text,
            at: 0,
            here,
            above: SmallVec::new(),
            names: SmallVec::new(),
            facts,
            floats: Vec::new(),
        };
        scan.space();
        if scan.peek() == Some(b'{') {
            scan.facts.root = Root::Object;
        }
        loop {
            if let Step::Ended(content) = scan.value()?
                && scan.ended(content)?
            {
                return Some(scan.floats);
            }
        }
    }

    /// Reads a scalar or an empty container, and returns what it says. Of any other container it reads
    /// the beginning.
    fn value(&mut self) -> Option<Step> {
        self.space();
        self.here.value = self.at;
        let content = match self.peek()? {
            b'"' => match self.plain() {
                Some(text) => token::text_content(text),
                None => token::text_content(&self.escaped()?),
            },
            b'{' => {
                self.open(true)?;
                if !self.take(b'}') {
                    self.name()?;
                    return Some(Step::Begun);
                }
                self.close()
            }
            b'[' => {
                self.open(false)?;
                if !self.take(b']') {
                    return Some(Step::Begun);
                }
                self.close()
            }
            b'-' | b'0'..=b'9' => token::content(self.number()?),
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            b'n' => self.word("null")?,
            _ => return None,
        };
        Some(Step::Ended(content))
    }

    /// A value has ended, and with it maybe the containers around it. Returns whether the text has.
    fn ended(&mut self, mut content: u64) -> Option<bool> {
        loop {
            let end = self.at;
            self.space();
            let here = &mut self.here;
            if !here.is_object {
                if here.role == Role::Outside {
                    self.facts.content = content;
                    return (self.at == self.text.len()).then_some(true);
                }
                here.content = mix(here.content, content);
            } else if here.member != Some(Member::Type) {
                // A sum: members say the same in any order.
                here.content = here.content.wrapping_add(mix(here.name, content));
            }
            let value = Span::new(here.value, end);
            if let Some(member) = here.member {
                self.facts.members[member as usize] = value;
            }
            let is_payload = here.role == Role::Payload;
            if here.is_object && (is_payload || here.role == Role::Message) {
                let name = here.name_at;
                self.facts.spots.push(Spot {
                    is_payload,
                    name,
                    value,
                });
            }
            let is_object = here.is_object;
            let next = self.peek()?;
            self.at += 1;
            match (next, is_object) {
                (b',', true) => self.name()?,
                (b',', false) => {}
                (b'}', true) | (b']', false) => {
                    content = self.close();
                    continue;
                }
                _ => return None,
            }
            return Some(false);
        }
    }

    fn open(&mut self, is_object: bool) -> Option<()> {
        if self.above.len() > MAX_NESTING {
            return None;
        }
        let role = match self.here.role {
            Role::Outside if is_object => Role::Message,
            Role::Outside => Role::Batch,
            Role::Message if self.here.member == Some(Member::Payload) => Role::Payload,
            Role::Batch => Role::BatchItem,
            _ => Role::Other,
        };
        self.above.push(self.here);
        self.here = Open {
            role,
            is_object,
            names: self.names.len(),
            content: u64::from(is_object),
            name: 0,
            name_at: Span::default(),
            value: 0,
            member: None,
        };
        self.facts.depth = self.facts.depth.max(self.above.len());
        self.at += 1;
        self.space();
        Some(())
    }

    /// The innermost container has ended. Returns what it says.
    fn close(&mut self) -> u64 {
        self.names.truncate(self.here.names);
        let content = mix(self.here.content, u64::from(self.here.is_object));
        if let Some(above) = self.above.pop() {
            self.here = above;
        }
        content
    }

    /// Reads a name and its colon.
    fn name(&mut self) -> Option<()> {
        self.space();
        if self.peek() != Some(b'"') {
            return None;
        }
        let start = self.at + 1;
        if let Some(name) = self.plain() {
            self.named(name);
        } else {
            let name = self.escaped()?;
            self.named(&name);
            self.facts.names_escaped = true;
        }
        self.here.name_at = Span::new(start, self.at - 1);
        self.space();
        self.take(b':').then_some(())
    }

    /// The next value has this name.
    fn named(&mut self, text: &str) {
        self.facts.names_receiver |= routing(text).is_some();
        let member = match self.here.role {
            Role::Message => Member::of(text),
            Role::Payload if text == "message_id" => Some(Member::PayloadMessageId),
            Role::BatchItem => {
                if text == "jsonrpc" {
                    self.facts.root = Root::Batch;
                }
                None
            }
            _ => None,
        };
        if member == Some(Member::Payload) {
            // An earlier payload does not count.
            self.facts.members[Member::PayloadMessageId as usize] = Span::default();
        }
        let name = token::text_content(text);
        let siblings = &self.names[self.here.names..];
        let is_full = siblings.len() == MAX_COMPARED;
        self.facts.names_twice |= is_full || siblings.contains(&name);
        if !is_full {
            self.names.push(name);
        }
        (self.here.name, self.here.member) = (name, member);
    }

    /// Reads a text that has no escapes; `None` and reads nothing if there are some.
    fn plain(&mut self) -> Option<&'a str> {
        let start = self.at + 1;
        let end = token::plain_until(self.text, start);
        if self.text.as_bytes().get(end) != Some(&b'"') {
            return None;
        }
        self.at = end + 1;
        Some(&self.text[start..end])
    }

    /// Reads a text, and returns what it means.
    #[cold]
    fn escaped(&mut self) -> Option<String> {
        let start = self.at;
        let mut end = token::plain_until(self.text, start + 1);
        while *self.text.as_bytes().get(end)? == b'\\' {
            end = token::plain_until(self.text, end + 2);
        }
        self.at = end + 1;
        serde_json::from_str(self.text.get(start..self.at)?).ok()
    }

    fn number(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        let mut is_float = false;
        if self.take(b'.') {
            is_float = true;
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            is_float = true;
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let number = &self.text[start..self.at];
        if is_float || numbers::is_beyond_integers(number) {
            if numbers::is_out_of_range(number) {
                return None;
            }
            self.floats.push(number);
        }
        Some(number)
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn word(&mut self, word: &str) -> Option<u64> {
        let is_there = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        self.at += word.len();
        is_there.then(|| token::content(word))
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }
}
