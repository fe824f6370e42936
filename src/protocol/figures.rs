//! Quality from what really happened: a provider that keeps records in memory.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::registry::CopyOnWrite;
use super::{HandlerError, QualityProvider, QualityRequest};
use crate::id::UserId;

/// Runs that are kept of one user; the oldest goes first.
pub const MAX_RECORDS: usize = 256;
/// Users of whom records are kept; those of others are not taken.
pub const MAX_RECORDED_USERS: usize = 1_024;
/// Characters below which content says too little, when it is looked at strictly.
const SHORT: usize = 40;
/// What an unfinished text has in it.
const UNFINISHED: [&str; 4] = ["lorem ipsum", "todo", "tbd", "[placeholder]"];

/// What came of one run of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunRecord {
    /// Whether it ended as it should.
    pub success: bool,
    /// How long it took.
    pub duration: Duration,
    /// Characters of its answer.
    pub characters: usize,
    /// The host's time of its end.
    pub at: Duration,
}

type Records = CopyOnWrite<VecDeque<RunRecord>>;

/// Keeps what it is told of users' runs, the last [`MAX_RECORDS`] of each, and answers with figures of
/// them: a user's from that user's runs alone.
///
/// Lock-free, each method. A record costs a copy of its user's records, a new user one of the list of
/// users: meant for as many as a small server has, not for millions.
#[derive(Default)]
pub struct MemoryQuality(CopyOnWrite<BTreeMap<UserId, Arc<Records>>>);

impl fmt::Debug for MemoryQuality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryQuality")
            .field("users", &self.0.load().len())
            .finish_non_exhaustive()
    }
}

impl MemoryQuality {
    /// Keeps a record. `false` if there are records of too many users already.
    pub fn record(&self, user: &UserId, record: RunRecord) -> bool {
        let Some(records) = self.records(user) else {
            return false;
        };
        let added: Result<(), std::convert::Infallible> = records.update(|kept| {
            let mut kept = kept.clone();
            if kept.len() == MAX_RECORDS {
                kept.pop_front();
            }
            kept.push_back(record);
            Ok((kept, ()))
        });
        added.is_ok()
    }

    /// Forgets a user's records. `false` if there are none.
    pub fn forget(&self, user: &UserId) -> bool {
        let done = self.0.update(|users| {
            let mut users = users.clone();
            users.remove(user).map(|_| (users, ())).ok_or(())
        });
        done.is_ok()
    }

    fn records(&self, user: &UserId) -> Option<Arc<Records>> {
        if let Some(records) = self.0.load().get(user) {
            return Some(Arc::clone(records));
        }
        let added = self.0.update(|users| {
            if users.len() >= MAX_RECORDED_USERS && !users.contains_key(user) {
                return Err(());
            }
            let mut users = users.clone();
            let records = users
                .entry(user.clone())
                .or_insert_with(|| Arc::new(CopyOnWrite::new()));
            let records = Arc::clone(records);
            Ok((users, records))
        });
        added.ok()
    }

    /// A user's records of the last so many hours, oldest first.
    fn since(&self, of: &QualityRequest<'_>, hours: u64) -> Vec<RunRecord> {
        let period = Duration::from_secs(hours.saturating_mul(3600));
        let from = of.now.saturating_sub(period);
        let users = self.0.load();
        let kept = users.get(of.user).map(|records| records.load());
        let kept = kept.iter().flat_map(|kept| kept.iter().copied());
        kept.filter(|record| record.at >= from).collect()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The figures of some runs. Rates are percentages, 0 of nothing.
#[allow(clippy::cast_precision_loss)] // Figures for people.
fn figures(records: &[RunRecord]) -> Value {
    let count = records.len();
    let per = |sum: f64| if count == 0 { 0.0 } else { sum / count as f64 };
    let successes = records.iter().filter(|record| record.success).count();
    let mut durations: Vec<_> = records.iter().map(|r| millis(r.duration)).collect();
    durations.sort_unstable();
    let total: f64 = durations.iter().map(|&ms| ms as f64).sum();
    // The smallest that 95 of a hundred do not exceed.
    let p95 = (95 * count).div_ceil(100).saturating_sub(1);
    let characters: usize = records.iter().map(|record| record.characters).sum();
    json!({
        "runs": count,
        "success_rate": per(100.0 * successes as f64),
        "mean_duration_ms": per(total),
        "p95_duration_ms": durations.get(p95).copied().unwrap_or(0),
        "mean_characters": per(characters as f64),
    })
}

/// What is wrong with a text.
fn faults(content: &str, content_type: &str, strict: bool) -> Vec<&'static str> {
    let text = content.trim().to_lowercase();
    let mut faults = Vec::new();
    if text.is_empty() {
        return vec!["it is empty"];
    }
    if UNFINISHED.iter().any(|mark| text.contains(mark)) {
        faults.push("it is unfinished");
    }
    let lines: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    let mut distinct = lines.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if lines.len() > distinct.len() {
        faults.push("it repeats itself");
    }
    if content_type == "action_plan" && lines.len() < 2 {
        faults.push("a plan has more than one step");
    }
    if content_type == "data_analysis" && !text.contains(|c: char| c.is_ascii_digit()) {
        faults.push("an analysis of data has figures");
    }
    if strict && text.chars().count() < SHORT {
        faults.push("it is short");
    }
    faults
}

impl QualityProvider for MemoryQuality {
    fn metrics(&self, of: &QualityRequest<'_>, period_hours: u64) -> Result<Value, HandlerError> {
        let mut metrics = figures(&self.since(of, period_hours));
        metrics["period_hours"] = period_hours.into();
        Ok(metrics)
    }

    fn validate(
        &self,
        _of: &QualityRequest<'_>,
        content: &str,
        content_type: &'static str,
        strict: bool,
    ) -> Result<Value, HandlerError> {
        let faults = faults(content, content_type, strict);
        Ok(json!({
            "valid": faults.is_empty(),
            "faults": faults,
            "content_type": content_type,
            "strict_mode": strict,
            "characters": content.chars().count(),
        }))
    }

    fn report(
        &self,
        of: &QualityRequest<'_>,
        report_type: &'static str,
        period_hours: u64,
    ) -> Result<Value, HandlerError> {
        let records = self.since(of, period_hours);
        let mut report = figures(&records);
        report["report_type"] = report_type.into();
        report["period_hours"] = period_hours.into();
        if report_type == "detailed" {
            let run = |record: &RunRecord| {
                json!({
                    "success": record.success,
                    "duration_ms": millis(record.duration),
                    "characters": record.characters,
                    "at_ms": millis(record.at),
                })
            };
            report["each"] = records.iter().map(run).collect();
        }
        Ok(report)
    }
}

#[cfg(all(test, not(any(laneway_loom, laneway_shuttle))))]
mod tests {
    use super::*;

    fn ran(at_hours: u64, ms: u64, success: bool) -> RunRecord {
        RunRecord {
            success,
            duration: Duration::from_millis(ms),
            characters: 10,
            at: Duration::from_secs(at_hours * 3600),
        }
    }

    fn asks(user: &UserId, hour: u64) -> QualityRequest<'_> {
        QualityRequest {
            user,
            thread: None,
            run: None,
            now: Duration::from_secs(hour * 3600),
        }
    }

    #[test]
    fn r040_figures_are_of_ones_own_runs_in_the_period() {
        let (ann, bob) = (UserId::new("ann").unwrap(), UserId::new("bob").unwrap());
        let quality = MemoryQuality::default();
        assert!(quality.record(&ann, ran(1, 900, false)));
        for ms in 1..=20 {
            assert!(quality.record(&ann, ran(30, ms, ms > 5)));
        }
        assert!(quality.record(&bob, ran(30, 5_000, false)));
        let day = quality.metrics(&asks(&ann, 31), 24).unwrap();
        assert_eq!(
            (&day["runs"], &day["success_rate"]),
            (&json!(20), &json!(75.0))
        );
        assert_eq!(day["mean_duration_ms"], json!(10.5));
        assert_eq!(day["p95_duration_ms"], 19);
        let two_days = quality.report(&asks(&ann, 31), "detailed", 48).unwrap();
        assert_eq!(two_days["each"].as_array().unwrap().len(), 21);
        assert_eq!(two_days["each"][0]["duration_ms"], 900);
        assert!(quality.forget(&ann) && !quality.forget(&ann));
        assert_eq!(quality.metrics(&asks(&ann, 31), 24).unwrap()["runs"], 0);
        assert_eq!(quality.metrics(&asks(&bob, 31), 24).unwrap()["runs"], 1);
    }

    #[test]
    fn records_and_their_users_are_bounded() {
        let quality = MemoryQuality::default();
        let user = |n: usize| UserId::new(format!("u{n}")).unwrap();
        for n in 0..MAX_RECORDED_USERS {
            assert!(quality.record(&user(n), ran(1, 1, true)));
        }
        assert!(!quality.record(&user(MAX_RECORDED_USERS), ran(1, 1, true)));
        for n in 0..=MAX_RECORDS as u64 {
            assert!(quality.record(&user(0), ran(1, n, true)));
        }
        let kept = quality.report(&asks(&user(0), 1), "detailed", 1).unwrap();
        assert_eq!(kept["each"].as_array().unwrap().len(), MAX_RECORDS);
        assert_eq!(kept["each"][0]["duration_ms"], 1, "the oldest are gone");
    }

    #[test]
    fn r044_content_is_looked_at_as_what_it_is() {
        let faults = |text: &str, of: &'static str, strict| faults(text, of, strict).len();
        assert_eq!(faults(" ", "general", false), 1);
        assert_eq!(faults("fine", "general", false), 0);
        assert_eq!(faults("fine", "general", true), 1);
        assert_eq!(faults("TODO", "general", false), 1);
        assert_eq!(faults("one\ntwo\none", "general", false), 1);
        assert_eq!(faults("just do it", "action_plan", false), 1);
        assert_eq!(faults("first\nthen", "action_plan", false), 0);
        assert_eq!(faults("many", "data_analysis", false), 1);
        assert_eq!(faults("17 of 20", "data_analysis", false), 0);
    }
}
