//! JSON as clients write it, and as they should not.

use std::fmt::Write;

/// JSON that the bytes choose: names that come twice or with escapes, odd numbers, odd texts. Most of it
/// is valid.
pub(crate) struct Writer<'a> {
    choices: std::iter::Copied<std::slice::Iter<'a, u8>>,
    out: String,
}

const NAMES: [&str; 20] = [
    "type",
    "payload",
    "message_id",
    "jsonrpc",
    "method",
    "id",
    "params",
    "result",
    "error",
    "text",
    "userId",
    "recipient_id",
    "target_user_id",
    "user_id",
    "a",
    "",
    "\u{e9}",
    "payload",
    "type",
    "text",
];
/// The first half is JSON.
const TEXTS: [&str; 24] = [
    "\"chat\"",
    "\"2.0\"",
    "\"2\\u002e0\"",
    "\" \"",
    "\"\"",
    "\"ann\"",
    "\"bob\"",
    "\"a \\\"quoted\\\" text that is longer than eight bytes\"",
    "\"\\ud83d\\ude00\"",
    "\"ends with a backslash\\\\\"",
    "\"g\u{e9}n\u{e9}ral \u{2603}\"",
    "\"seven77\"",
    "\"\\ud83d\"",
    "\"\\ud83dx\"",
    "\"\\ud83d\\u0041\"",
    "\"\\ude00\"",
    "\"\\x\"",
    "\"\\u00g0\"",
    "\"\\u00\"",
    "\"\\\u{e9}\"",
    "\"tab\there\"",
    "\"0123456\u{1}\"",
    "\"line\nbreak\"",
    "'single'",
];
/// As above; the last of the first half are inexact.
const NUMBERS: [&str; 34] = [
    "0",
    "-0",
    "1",
    "-1",
    "1.50",
    "1.5",
    "1e2",
    "1E+2",
    "100.0",
    "1e-2",
    "0.1",
    "-0.0",
    "0e999",
    "18446744073709551615",
    "-9223372036854775808",
    "18446744073709551616",
    "9007199254740993.0",
    "-9223372036854775809",
    "123456789012345678901",
    "1e-999",
    "1e999",
    "-1e999",
    "01",
    "-01",
    "1.",
    ".5",
    "1e",
    "1e+",
    "-",
    "+1",
    "0x1",
    "1_0",
    "NaN",
    "1.e2",
];
const WORDS: [&str; 6] = ["true", "false", "null", "nul", "True", "truefalse"];

impl<'a> Writer<'a> {
    pub(crate) fn json(choices: &'a [u8]) -> String {
        let choices = choices.iter().copied();
        let mut writer = Self {
            choices,
            out: String::new(),
        };
        writer.space();
        match writer.choose(12) {
            0 => writer.value(0),
            1 => writer.list(0),
            2..6 => writer.object(0),
            _ => {
                // One more member, which makes it a message.
                writer.object(0);
                let is_empty = writer.out.trim_end().ends_with("{}");
                writer.out.pop();
                let end = if is_empty {
                    "\"type\":\"chat\"}"
                } else {
                    ",\"type\":\"chat\"}"
                };
                writer.out.push_str(end);
            }
        }
        writer.space();
        writer.out
    }

    /// A number below `of`, 0 once the bytes are used up.
    fn choose(&mut self, of: usize) -> usize {
        self.choices.next().map_or(0, usize::from) % of
    }

    fn space(&mut self) {
        let space = ["", "", "", "", " ", "\n", "\t\r", "\u{a0}"];
        // The last is no space of JSON, and rare.
        let at = match self.choose(251) {
            250 => 7,
            other => other % 7,
        };
        self.out.push_str(space[at]);
    }

    fn value(&mut self, depth: usize) {
        match self.choose(if depth > 6 { 4 } else { 8 }) {
            0 | 1 => self.one_of(&TEXTS),
            2 => self.one_of(&NUMBERS),
            3 => self.one_of(&WORDS),
            4 | 5 => self.list(depth),
            _ => self.object(depth),
        }
    }

    /// One of these, most often of the first half.
    fn one_of(&mut self, tokens: &[&str]) {
        let some = match self.choose(64) {
            63 => tokens,
            _ => &tokens[..tokens.len() / 2],
        };
        let token = some[self.choose(some.len())];
        self.out.push_str(token);
    }

    fn list(&mut self, depth: usize) {
        self.out.push('[');
        for nth in 0..self.choose(4) {
            if nth > 0 {
                self.out.push(',');
            }
            self.space();
            self.value(depth + 1);
            self.space();
        }
        self.out.push(']');
    }

    fn object(&mut self, depth: usize) {
        self.out.push('{');
        let count = match self.choose(48) {
            // More names than are compared.
            47 => 70,
            other => other % 6,
        };
        for nth in 0..count {
            if nth > 0 {
                self.out.push(',');
            }
            self.space();
            let name = NAMES[self.choose(NAMES.len())];
            self.name(name);
            self.space();
            self.out.push(':');
            self.space();
            self.value(depth + 1);
            self.space();
        }
        self.out.push('}');
    }

    fn name(&mut self, name: &str) {
        self.out.push('"');
        let escaped = self.choose(8) == 7;
        for char in name.chars() {
            if escaped && self.choose(2) == 1 {
                _ = write!(self.out, "\\u{:04x}", u32::from(char));
            } else {
                self.out.push(char);
            }
        }
        self.out.push('"');
    }
}
