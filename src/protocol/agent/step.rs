//! The kinds of events of a run, and the fields that each must have.

use serde_json::Value;

/// The values that a field may have.
#[derive(Clone, Copy)]
pub(in crate::protocol) enum Shape {
    /// A text that is not blank.
    Name,
    /// Any text.
    Text,
    Flag,
    Number,
    /// A number, or a text that is not blank.
    Time,
    /// Any value: the field only has to exist.
    Any,
}

impl Shape {
    /// Returns `true` if the field may have this value.
    pub(in crate::protocol) fn fits(self, value: &Value) -> bool {
        let is_name = || value.as_str().is_some_and(|text| !text.trim().is_empty());
        match self {
            Self::Name => is_name(),
            Self::Text => value.is_string(),
            Self::Flag => value.is_boolean(),
            Self::Number => value.is_number(),
            Self::Time => value.is_number() || is_name(),
            Self::Any => true,
        }
    }
}

/// Names of fields, and the shape of each.
pub(in crate::protocol) type Fields = &'static [(&'static str, Shape)];

/// Fields of every event, besides its type, user, run and sequence. The checker looks at those itself.
pub(in crate::protocol) const ALWAYS: Fields = &[
    ("event_id", Shape::Name),
    ("thread_id", Shape::Name),
    ("request_id", Shape::Name),
    ("agent_name", Shape::Name),
    ("timestamp", Shape::Time),
];

/// The kind of an event, as far as the order of events depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Step {
    Started,
    Thinking,
    Chunk,
    Executing,
    Completed,
    End,
    Error,
}

impl Step {
    /// Returns the step of a type name and the fields of that type. `None` for other types.
    pub(in crate::protocol) fn of(name: &str) -> Option<(Self, Fields)> {
        use Shape::{Any, Flag, Name, Number, Text};
        Some(match name {
            "agent_started" => (Self::Started, &[]),
            "agent_thinking" => (Self::Thinking, &[("reasoning", Text)]),
            "agent_response_chunk" => (Self::Chunk, &[("text", Text)]),
            "tool_executing" => {
                let fields = &[("tool_name", Name), ("parameters", Any)];
                (Self::Executing, fields)
            }
            "tool_completed" => {
                let fields = &[
                    ("tool_name", Name),
                    ("results", Any),
                    ("duration", Number),
                    ("success", Flag),
                ];
                (Self::Completed, fields)
            }
            "agent_completed" => {
                let fields = &[
                    ("status", Name),
                    ("final_response", Any),
                    ("duration", Number),
                ];
                (Self::End, fields)
            }
            "agent_error" => {
                let fields = &[("code", Name), ("message", Text), ("recoverable", Flag)];
                (Self::Error, fields)
            }
            _ => return None,
        })
    }
}
