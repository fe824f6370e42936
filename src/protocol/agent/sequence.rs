//! A check of the events of one user's runs, for the tests of hosts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;

use crate::id::UserId;
use crate::protocol::agent::fault::{Fault, Violation};
use crate::protocol::agent::step::{ALWAYS, Shape, Step};
use crate::protocol::message::kind::MessageKind;

/// Runs that a [`SequenceChecker`] follows at a time.
///
/// A further run replaces the run that ended first. If none has ended, the further run is not checked,
/// and its events are [`Fault::TooMany`].
///
/// ```
/// assert_eq!(laneway::protocol::MAX_CHECKED_RUNS, 1_000);
/// ```
pub const MAX_CHECKED_RUNS: usize = 1_000;
/// Open calls of tools in one run that a [`SequenceChecker`] follows at a time.
///
/// ```
/// use laneway::protocol::{MAX_CHECKED_TOOLS, MAX_OPEN_TOOLS};
///
/// assert!(MAX_CHECKED_TOOLS > MAX_OPEN_TOOLS); // an `AgentRun` stays below it
/// ```
pub const MAX_CHECKED_TOOLS: usize = 100;
/// Event ids, the latest ones, that a [`SequenceChecker`] compares a new id with.
///
/// ```
/// assert_eq!(laneway::protocol::MAX_CHECKED_IDS, 10_000);
/// ```
pub const MAX_CHECKED_IDS: usize = 10_000;

/// The state of one run, from the events so far.
#[derive(Debug, Default)]
struct Seen {
    thread: Option<String>,
    latest: Option<u64>,
    started: bool,
    ended: bool,
    /// The last event had been kept for a device that came back.
    recovered: bool,
    /// Open calls: the tool's name, and the call's id if it has one.
    tools: Vec<(String, Option<String>)>,
}

impl Seen {
    /// Checks the sequence of an event against the latest one.
    fn order(&mut self, sequence: u64, step: Step, recovered: bool) -> Option<Fault> {
        let before = self.latest;
        self.latest = Some(before.map_or(sequence, |latest| latest.max(sequence)));
        // A lane keeps critical events only. So ordinary ones may be missing before and after.
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

    /// Checks the kind of an event against the open calls.
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
            // A run may fail while a tool executes: the tool may be the reason.
            _ => {}
        }
        Vec::new()
    }
}

/// Checks the events of one user's runs, in the order in which a client received them.
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
///
/// The rules:
///
/// * A run begins with `agent_started`. Then `agent_thinking`, `agent_response_chunk`,
///   `tool_executing` and `tool_completed` follow in any order.
/// * Each `tool_completed` follows a `tool_executing` with the same name, and the same `call_id` if it
///   has one.
/// * A run ends with `agent_error`, or with `agent_completed` and no open call.
/// * Sequences start at 0 or 1 and grow by one.
/// * A field may stand in the event or in its `payload`; the event comes first.
/// * Around an event that was kept for the user (`"recovered": true`), sequences may skip: a lane keeps
///   critical events only.
/// * Messages of other known types are skipped.
///
/// The results repeat ids and tools as they came. They are for developers, not for users.
///
/// # Bounds and progress
///
/// [`MAX_CHECKED_RUNS`], [`MAX_CHECKED_TOOLS`], [`MAX_CHECKED_IDS`]. One thread owns a checker, so no
/// method waits.
#[derive(Debug)]
pub struct SequenceChecker {
    user: UserId,
    runs: BTreeMap<String, Seen>,
    /// Runs that have ended, in the order of their ends.
    ended: VecDeque<String>,
    ids: BTreeSet<String>,
    ids_in_order: VecDeque<String>,
}

impl SequenceChecker {
    /// Creates a checker for the events of this user.
    ///
    /// ```
    /// let checker = laneway::protocol::SequenceChecker::new(laneway::UserId::new("ann")?);
    /// assert_eq!(checker.finish(), []);
    /// # Ok::<(), laneway::InvalidId>(())
    /// ```
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

    /// Checks the next event, and returns its faults: none, one or several.
    ///
    /// ```
    /// use laneway::protocol::{Fault, SequenceChecker};
    ///
    /// let mut checker = SequenceChecker::new(laneway::UserId::new("ann")?);
    /// let found = checker.check(&serde_json::json!({"type": "agent_thinking", "user_id": "ann"}));
    /// assert!(found.iter().any(|violation| violation.fault == Fault::Malformed { field: "event_id" }));
    /// # Ok::<(), laneway::InvalidId>(())
    /// ```
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

    /// Returns the faults of an event. `field` finds a value in it, and `name` a text that is not blank.
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
        let recovered = field("recovered") == Some(&Value::Bool(true));
        faults.extend(self.run_faults(run, step, sequence, recovered, name));
        faults
    }

    /// Returns the faults that depend on the earlier events of the run.
    fn run_faults<'e>(
        &mut self,
        run: &str,
        step: Step,
        sequence: Option<u64>,
        recovered: bool,
        name: &impl Fn(&'static str) -> Option<&'e str>,
    ) -> Vec<Fault> {
        let mut faults = Vec::new();
        if !self.runs.contains_key(run) {
            if !self.make_room() {
                faults.push(Fault::TooMany);
                return faults;
            }
            if step != Step::Started {
                faults.push(Fault::NoStart);
            }
        }
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

    /// Records an event id. Returns `false` if it is among the latest ones already.
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

    /// Returns `true` if there is room for another run, and forgets an ended run for it if necessary.
    fn make_room(&mut self) -> bool {
        if self.runs.len() < MAX_CHECKED_RUNS {
            return true;
        }
        let oldest = self.ended.pop_front();
        oldest.is_some_and(|run| self.runs.remove(&run).is_some())
    }

    /// Ends the check, and returns the runs that have no end.
    ///
    /// ```
    /// let mut checker = laneway::protocol::SequenceChecker::new(laneway::UserId::new("ann")?);
    /// let _ = checker.check(&serde_json::json!({"type": "agent_thinking", "user_id": "ann", "run_id": "r"}));
    /// assert_eq!(checker.finish()[0].run.as_deref(), Some("r"));
    /// # Ok::<(), laneway::InvalidId>(())
    /// ```
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
