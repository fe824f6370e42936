//! How often the rare things happened.

use crate::common::model::Figures;

macro_rules! outcomes {
    ($($outcome:ident: $name:literal,)*) => {
        /// How often the rare things happened.
        #[derive(Clone, Copy, Debug, Default)]
        pub(crate) struct Seen {
            $(pub(crate) $outcome: usize,)*
        }

        impl Seen {
            pub(crate) const NAMES: &[&str] = &[$($name),*];

            pub(crate) fn counts(&self) -> Vec<usize> {
                vec![$(self.$outcome),*]
            }
        }
    };
}

outcomes! {
    gap: "gap",
    overwrite: "evict",
    full: "full",
    close: "close",
    attached: "attached",
    refused_connect: "refused connect",
    idle: "swept",
    overrun: "overrun",
    stepped_over: "stepped over",
    superseded: "superseded",
    past_deadline: "past its deadline",
    merged: "merged",
    revoked: "revoked",
    // From here on with retention only.
    kept_for_nobody: "kept for an absent user",
    whole: "resumed whole",
    resumed_with_gap: "resumed with gap",
    reset: "reset",
    foreign: "foreign",
    replaced: "replaced",
    replayed: "replayed",
    in_replay: "position in a replay",
    recovered: "recovered",
    recovered_in_part: "recovered in part",
    expired: "expired",
    crowded_out: "crowded out",
    too_heavy: "too heavy",
    too_old: "too old",
    ended_early: "ended early",
    // From here on with rooms only.
    roomed: "reached by a room",
    refused_join: "refused join",
    // From here on with every verb only.
    lacking: "refused to a weaker scope",
    by_weaker: "accepted from a weaker scope",
    bound: "kept in its thread",
    over_budget: "over a budget",
    answered: "answered",
    late_answer: "answered too late",
    unanswerable: "no device is left to answer",
    too_late: "no answer before the deadline",
    told: "told of a drain",
    drained: "drained",
    cut: "cut off by a drain",
}

impl Seen {
    /// The outcomes that need no retention come first.
    pub(crate) const WITHOUT_RETENTION: usize = 13;
    /// Those that need no rooms come first.
    pub(crate) const WITHOUT_ROOMS: usize = Self::OF_FEW - 2;
    /// Those of scripts without every verb come first.
    pub(crate) const OF_FEW: usize = Self::NAMES.len() - 11;

    /// What became of a connection's numbers.
    pub(super) fn count(&mut self, stats: &laneway::ConnectionStats) {
        self.stepped_over += stats.stepped_over as usize;
        self.superseded += stats.superseded as usize;
        self.past_deadline += stats.expired as usize;
    }

    pub(crate) fn add(&mut self, figures: &Figures) {
        self.foreign = figures.foreign as usize;
        self.reset = figures.stale as usize;
        self.expired = figures.expired;
        self.crowded_out = figures.crowded_out;
        self.too_heavy = figures.too_heavy;
        self.too_old = figures.too_old;
    }
}
