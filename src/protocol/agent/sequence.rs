//! Whether a user's events of agent runs are what they should be: for the tests of hosts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;

use crate::id::UserId;
use crate::protocol::agent::fault::{Fault, Violation};
use crate::protocol::agent::step::{ALWAYS, Shape, Step};
use crate::protocol::message::kind::MessageKind;

/// Runs that a [`SequenceChecker`] keeps track of at once. Of more, those that ended first are
/// forgotten; if none has ended, the new one is not checked.
pub const MAX_CHECKED_RUNS: usize = 1_000;
/// Tools of one run that may be at work at once for a [`SequenceChecker`].
pub const MAX_CHECKED_TOOLS: usize = 100;
/// The last event ids, which a [`SequenceChecker`] knows again.
pub const MAX_CHECKED_IDS: usize = 10_000;

/// What has been seen of a run.
#[derive(Debug, Default)]
struct Seen {
    thread: Option<String>,
    latest: Option<u64>,
    started: bool,
    ended: bool,
    /// The event before was one that had been kept.
    recovered: bool,
    /// Tools that execute, with the ids of their calls.
    tools: Vec<(String, Option<String>)>,
}

impl Seen {
    /// Whether an event comes when it should.
    fn order(&mut self, sequence: u64, step: Step, recovered: bool) -> Option<Fault> {
        let before = self.latest;
        self.latest = Some(before.map_or(sequence, |latest| latest.max(sequence)));
        // Only critical events are kept, so that others are missing around them.
        let may_lack = std::mem::replace(&mut self.recovered, recovered) || recovered;
        let from = match before {
            Some(after) if sequence <= after => return Some(Fault::OutOfOrder { after }),
            Some(_) if may_lack => return None,
            Some(latest) => latest + 1,
            None if step == Step::Started => 1,
            None => return None,
        };
        let to = sequence.saturating_sub(1);
        (to >= from).then_some(Fault::Missing { from, to })
    }

    /// Whether it may be what it is after those before.
    fn step(&mut self, step: Step, tool: Option<&str>, call: Option<&str>) -> Vec<Fault> {
        let unpaired = |tool: String| Fault::Unpaired { tool };
        match (step, tool) {
            (Step::Executing, Some(_)) if self.tools.len() >= MAX_CHECKED_TOOLS => {
                return vec![Fault::TooMany];
            }
            (Step::Executing, Some(tool)) => {
                let tool = tool.to_owned();
                if call.is_some() && self.tools.iter().any(|(_, open)| open.as_deref() == call) {
                    return vec![Fault::DuplicateCall { tool }];
                }
                self.tools.push((tool, call.map(str::to_owned)));
            }
            (Step::Completed, Some(tool)) => {
                let is_it =
                    |(open, id): &(String, Option<String>)| open == tool && id.as_deref() == call;
                let Some(at) = self.tools.iter().position(is_it) else {
                    return vec![unpaired(tool.to_owned())];
                };
                self.tools.remove(at);
            }
            (Step::End, _) => {
                let left = self.tools.drain(..);
                return left.map(|(tool, _)| unpaired(tool)).collect();
            }
            // With an error a tool may be at work: it may well be what failed.
            _ => {}
        }
        Vec::new()
    }
}

/// Checks the events of one user's agent runs, in the order in which a client got them.
///
/// A run is `agent_started`, then `agent_thinking`, `agent_response_chunk`, `tool_executing` and
/// `tool_completed` as they come, each completed tool after one executing of the same name and, if it
/// has one, the same `call_id`, then `agent_completed` with no tool left, or `agent_error`. Sequences
/// count by one, from 0 or 1. A field is looked for in the event,
/// then in its `payload`. What was kept for the user (`"recovered": true`) is as good as any other;
/// but gaps before and behind it are no fault, because only critical events are kept. Messages of
/// other known types are passed over.
///
/// What it says is for the eyes of developers: it repeats ids and tools as they came.
///
/// ```
/// use laneway::UserId;
/// use laneway::protocol::{Fault, SequenceChecker};
/// use serde_json::json;
///
/// let mut checker = SequenceChecker::new(UserId::new("ann")?);
/// let started = json!({
///     "type": "agent_started", "event_id": "e1", "user_id": "ann", "thread_id": "t",
///     "run_id": "r", "request_id": "q", "agent_name": "triage", "timestamp": 1, "sequence": 0,
/// });
/// assert_eq!(checker.check(&started), []);
/// assert_eq!(checker.finish()[0].fault, Fault::NoEnd);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SequenceChecker {
    user: UserId,
    runs: BTreeMap<String, Seen>,
    /// In the order of their ends.
    ended: VecDeque<String>,
    ids: BTreeSet<String>,
    ids_in_order: VecDeque<String>,
}

impl SequenceChecker {
    /// For this user's events.
    #[must_use]
    pub fn new(user: UserId) -> Self {
        Self {
            user,
            runs: BTreeMap::new(),
            ended: VecDeque::new(),
            ids: BTreeSet::new(),
            ids_in_order: VecDeque::new(),
        }
    }

    /// What is wrong with the next event: nothing, one thing or several.
    #[must_use = "an event may be wrong"]
    pub fn check(&mut self, event: &Value) -> Vec<Violation> {
        let field = |name| {
            let inner = || event.get("payload")?.get(name);
            event.get(name).or_else(inner)
        };
        let name = |name| {
            field(name)
                .filter(|v| Shape::Name.fits(v))
                .and_then(Value::as_str)
        };
        let run = name("run_id");
        let sequence = field("sequence").and_then(Value::as_u64);
        let faults = self.faults(event.is_object(), &field, &name, run, sequence);
        let violation = |fault| Violation {
            run: run.map(str::to_owned),
            sequence,
            fault,
        };
        faults.into_iter().map(violation).collect()
    }

    fn faults<'e>(
        &mut self,
        is_object: bool,
        field: &impl Fn(&'static str) -> Option<&'e Value>,
        name: &impl Fn(&'static str) -> Option<&'e str>,
        run: Option<&str>,
        sequence: Option<u64>,
    ) -> Vec<Fault> {
        let malformed = |field| Fault::Malformed { field };
        if !is_object {
            return vec![malformed("")];
        }
        let kind = name("type").unwrap_or_default();
        let Some((step, fields)) = Step::of(kind) else {
            let is_known = MessageKind::KNOWN.iter().any(|k| k.outbound_name() == kind);
            return if is_known {
                Vec::new()
            } else {
                vec![malformed("type")]
            };
        };
        let mut faults = Vec::new();
        match name("user_id") {
            Some(user) if user != self.user.as_str() => return vec![Fault::Foreign],
            Some(_) => {}
            None => faults.push(malformed("user_id")),
        }
        for &(name, shape) in ALWAYS.iter().chain(fields) {
            if !field(name).is_some_and(|value| shape.fits(value)) {
                faults.push(malformed(name));
            }
        }
        if sequence.is_none() {
            faults.push(malformed("sequence"));
        }
        if field("call_id").is_some_and(|id| !Shape::Name.fits(id)) {
            faults.push(malformed("call_id"));
        }
        if name("event_id").is_some_and(|id| !self.is_new(id)) {
            faults.push(Fault::DuplicateId);
        }
        let Some(run) = run else {
            faults.push(malformed("run_id"));
            return faults;
        };
        if !self.runs.contains_key(run) {
            if !self.make_room() {
                faults.push(Fault::TooMany);
                return faults;
            }
            if step != Step::Started {
                faults.push(Fault::NoStart);
            }
        }
        let recovered = field("recovered") == Some(&Value::Bool(true));
        let seen = self.runs.entry(run.to_owned()).or_default();
        match (&seen.thread, name("thread_id")) {
            (None, Some(thread)) => seen.thread = Some(thread.to_owned()),
            (Some(first), Some(thread)) if first != thread => faults.push(Fault::OtherThread),
            _ => {}
        }
        if seen.ended {
            faults.push(Fault::AfterEnd);
            return faults;
        }
        let order = sequence.and_then(|n| seen.order(n, step, recovered));
        let is_late = matches!(order, Some(Fault::OutOfOrder { .. }));
        faults.extend(order);
        if !is_late {
            faults.extend(seen.step(step, name("tool_name"), name("call_id")));
        }
        if step == Step::Started && std::mem::replace(&mut seen.started, true) {
            faults.push(Fault::DuplicateStart);
        }
        if matches!(step, Step::End | Step::Error) {
            seen.ended = true;
            self.ended.push_back(run.to_owned());
        }
        faults
    }

    fn is_new(&mut self, id: &str) -> bool {
        if !self.ids.insert(id.to_owned()) {
            return false;
        }
        self.ids_in_order.push_back(id.to_owned());
        if self.ids_in_order.len() > MAX_CHECKED_IDS
            && let Some(oldest) = self.ids_in_order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }

    /// Whether there is room for another run.
    fn make_room(&mut self) -> bool {
        if self.runs.len() < MAX_CHECKED_RUNS {
            return true;
        }
        let oldest = self.ended.pop_front();
        oldest.is_some_and(|run| self.runs.remove(&run).is_some())
    }

    /// The runs that have no end, once there are no more events.
    #[must_use]
    pub fn finish(self) -> Vec<Violation> {
        let open = self.runs.into_iter().filter(|(_, seen)| !seen.ended);
        let violation = |(run, seen): (String, Seen)| Violation {
            run: Some(run),
            sequence: seen.latest,
            fault: Fault::NoEnd,
        };
        open.map(violation).collect()
    }
}
