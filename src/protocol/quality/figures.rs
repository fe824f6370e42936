//! A provider of quality that keeps the results of runs in memory.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::id::UserId;
use crate::protocol::inbound::error::HandlerError;
use crate::protocol::per_user::PerUser;
use crate::protocol::quality::content::faults;
use crate::protocol::quality::provider::{QualityProvider, QualityRequest};
use crate::protocol::quality::records::{Period, Records, RunRecord};
use crate::table::copy_on_write::CopyOnWrite;

/// Users whose records a [`MemoryQuality`] keeps.
///
/// For a further user, it removes the records of users that were recorded or asked for longest ago.
///
/// ```
/// assert_eq!(laneway::protocol::MAX_RECORDED_USERS, 1_024);
/// ```
pub const MAX_RECORDED_USERS: usize = 1_024;
/// Keeps the last [`MAX_RECORDS`](crate::protocol::MAX_RECORDS) results of each user's runs, and answers
/// quality messages with figures of them. A user's figures come from that user's runs only.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use laneway::protocol::{MemoryQuality, MessageRouter, Quality, RunRecord};
/// use laneway::{Received, Hub, UserId};
///
/// let (engine, now) = (Hub::new(), Duration::from_secs(60));
/// let (ann, records) = (engine.scope(UserId::new("ann")?), Arc::new(MemoryQuality::default()));
/// let inbound = MessageRouter::new(Arc::default(), now);
/// Quality::new(Arc::default(), records.clone()).register(&inbound)?;
///
/// let took = Duration::from_millis(80);
/// records.record(ann.user(), RunRecord { success: true, duration: took, characters: 24, at: now });
/// let mut phone = ann.connect()?;
/// let _ = inbound.route_json(&ann, None, br#"{"type": "get_quality_metrics"}"#, now);
/// let Received::Event(answer) = phone.try_recv()? else { panic!("a gap") };
/// assert!(answer.event.json().contains(r#""success_rate":100.0"#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Removed records
///
/// * `known` is `false` and each figure is `null` if the user's records may have been removed. No loss
///   appears as a zero.
/// * `complete` is `false` if the period begins before a record that was removed.
///
/// # Records from the future
///
/// A host clock that runs ahead may stamp a record with a future time. Such a record counts from the
/// first look at it, so it stays no longer than others. Once its time has come, it counts as stamped.
/// Sums saturate.
///
/// # Progress
///
/// Each method is lock-free. A record costs a copy of the user's records. A record of a further user may
/// cost a walk over all users.
pub struct MemoryQuality(PerUser<CopyOnWrite<Records>>);

impl Default for MemoryQuality {
    fn default() -> Self {
        Self(PerUser::new(MAX_RECORDED_USERS))
    }
}

impl fmt::Debug for MemoryQuality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryQuality")
            .field("users", &self.0.len())
            .finish_non_exhaustive()
    }
}

impl MemoryQuality {
    /// Keeps the result of a run. Removes the oldest record of the user, or a user, if there are too many.
    ///
    /// Lock-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{UserId, protocol::*};
    /// # let (ann, now) = (UserId::new("ann")?, Duration::from_secs(60));
    /// let (records, took) = (MemoryQuality::default(), Duration::from_millis(80));
    /// records.record(&ann, RunRecord { success: true, duration: took, characters: 24, at: now });
    /// assert!(records.forget(&ann)); // there was a record
    /// # Ok::<(), laneway::InvalidId>(())
    /// ```
    pub fn record(&self, user: &UserId, record: RunRecord) {
        let records = self.0.get_or_default(user);
        // Read after `get_or_default`. In the other order, another thread may remove this user's list
        // in between, as the first of all lists that are removed. The flag that was read is unset then,
        // and the new list appears complete.
        let may_have_lost = self.0.has_lost();
        (records.value).change(|records| records.add(record, may_have_lost));
    }

    /// Removes all records of a user. Returns `false` if there are none. Lock-free.
    ///
    /// ```
    /// let ann = laneway::UserId::new("ann")?;
    /// assert!(!laneway::protocol::MemoryQuality::default().forget(&ann));
    /// # Ok::<(), laneway::InvalidId>(())
    /// ```
    pub fn forget(&self, user: &UserId) -> bool {
        self.0.remove(user)
    }

    /// Returns a user's records of the last `hours`. `None` if they may have been removed.
    fn since(&self, of: &QualityRequest<'_>, hours: u64) -> Option<Period> {
        let period = Duration::from_secs(hours.saturating_mul(3600));
        let from = of.now.saturating_sub(period);
        // `get` before `has_lost`. In the other order an eviction in between would be missed: the flag
        // is still unset, the user is gone, and lost records would appear as no runs.
        let Some(records) = self.0.get(of.user) else {
            return (!self.0.has_lost()).then(|| Period {
                records: Vec::new(),
                complete: true,
            });
        };
        // A look first: most reads find no record from the future, and copy nothing.
        if records.value.load().are_ahead(of.now) {
            (records.value).change(|records| records.note_ahead(of.now));
        }
        Some(records.value.load().since(from, of.now))
    }
}

/// Returns whole milliseconds, at most `u64::MAX`.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the figures of a period, or nulls without one. Rates are in percent, and 0 without runs.
#[allow(clippy::cast_precision_loss)] // Rounds counts above 2^53.
fn figures(period: Option<&Period>) -> Value {
    let Some(Period { records, complete }) = period else {
        return json!({
            "known": false,
            "complete": false,
            "runs": null,
            "success_rate": null,
            "mean_duration_ms": null,
            "p95_duration_ms": null,
            "mean_characters": null,
        });
    };
    let count = records.len();
    let per = |sum: f64| if count == 0 { 0.0 } else { sum / count as f64 };
    let successes = records.iter().filter(|record| record.success).count();
    let mut durations: Vec<_> = records.iter().map(|r| millis(r.duration)).collect();
    durations.sort_unstable();
    let total: f64 = durations.iter().map(|&ms| ms as f64).sum();
    // The nearest rank: the smallest duration that 95 % of the runs do not exceed.
    let p95 = (95 * count).div_ceil(100).saturating_sub(1);
    // A sum of floats, because a sum of the host's integers could overflow.
    let characters: f64 = records.iter().map(|record| record.characters as f64).sum();
    json!({
        "known": true,
        "complete": complete,
        "runs": count,
        "success_rate": per(100.0 * successes as f64),
        "mean_duration_ms": per(total),
        "p95_duration_ms": durations.get(p95).copied().unwrap_or(0),
        "mean_characters": per(characters),
    })
}

impl QualityProvider for MemoryQuality {
    fn metrics(&self, of: &QualityRequest<'_>, period_hours: u64) -> Result<Value, HandlerError> {
        let mut metrics = figures(self.since(of, period_hours).as_ref());
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
        let period = self.since(of, period_hours);
        let mut report = figures(period.as_ref());
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
            report["each"] = match &period {
                Some(period) => period.records.iter().map(run).collect(),
                None => Value::Null,
            };
        }
        Ok(report)
    }
}

#[cfg(all(test, not(any(laneway_loom, laneway_shuttle))))]
mod tests {
    use super::*;
    use crate::protocol::quality::records::MAX_RECORDS;

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
        quality.record(&ann, ran(1, 900, false));
        for ms in 1..=20 {
            quality.record(&ann, ran(30, ms, ms > 5));
        }
        quality.record(&bob, ran(30, 5_000, false));
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
        let forgotten = quality.metrics(&asks(&ann, 31), 24).unwrap();
        assert_eq!(forgotten["runs"], Value::Null, "no figure of zero");
        assert_eq!(quality.metrics(&asks(&bob, 31), 24).unwrap()["runs"], 1);
    }

    #[test]
    fn r079_records_and_their_users_are_bounded_and_no_loss_is_a_zero() {
        let quality = MemoryQuality::default();
        let user = |n: usize| UserId::new(format!("u{n}")).unwrap();
        let asked = |n: usize| quality.metrics(&asks(&user(n), 1), 24).unwrap();
        assert_eq!(
            (&asked(0)["runs"], &asked(0)["known"]),
            (&json!(0), &json!(true))
        );
        for n in 0..MAX_RECORDED_USERS {
            quality.record(&user(n), ran(1, 1, true));
        }
        // A flood of one user removes no record of the others.
        for ms in 0..=MAX_RECORDS as u64 {
            quality.record(&user(1), ran(1, ms, true));
        }
        assert!((0..MAX_RECORDED_USERS).all(|n| asked(n)["known"] == true));
        let kept = quality.report(&asks(&user(1), 1), "detailed", 1).unwrap();
        assert_eq!(kept["each"].as_array().unwrap().len(), MAX_RECORDS);
        assert_eq!(
            (&kept["complete"], &asked(0)["complete"]),
            (&json!(false), &json!(true))
        );
        // Further users evict a user asked for long ago, and not the one just asked for.
        asked(0);
        for n in 0..100 {
            quality.record(&user(MAX_RECORDED_USERS + n), ran(1, 1, true));
        }
        assert_eq!(asked(0)["runs"], 1);
        let lost = quality.report(&asks(&user(2), 1), "detailed", 1).unwrap();
        for (name, figure) in lost.as_object().unwrap() {
            let about = ["known", "complete", "period_hours", "report_type"];
            assert!(
                about.contains(&name.as_str()) || figure.is_null(),
                "{name}: {figure}"
            );
        }
        assert_eq!(lost["known"], false);
        // An evicted user who comes back is known from then on, and not for the time before.
        quality.record(&user(2), ran(1, 1, true));
        assert_eq!(
            (&asked(2)["runs"], &asked(2)["complete"]),
            (&json!(1), &json!(false))
        );
        assert!(quality.0.len() <= MAX_RECORDED_USERS);
    }

    #[test]
    fn r079_figures_that_a_host_made_up_saturate() {
        let (quality, ann) = (MemoryQuality::default(), UserId::new("ann").unwrap());
        for _ in 0..MAX_RECORDS {
            let record = RunRecord {
                success: true,
                duration: Duration::MAX,
                characters: usize::MAX,
                at: Duration::MAX,
            };
            quality.record(&ann, record);
        }
        for hours in [1, u64::MAX] {
            for now in [0, 1, u64::MAX / 3600] {
                let report = quality.report(&asks(&ann, now), "detailed", hours).unwrap();
                assert_eq!(
                    report["p95_duration_ms"],
                    if report["runs"] == 0 { 0 } else { u64::MAX }
                );
                assert!(hours == 1 || report["runs"] == MAX_RECORDS);
            }
        }
    }
}
