//! Publishing: one exchange on the state claims a number and decides where its event lives.

use super::arena::{Arena, Directory};
use super::audience::Audience;
use super::litter::Litter;
use super::slot::SlotRef;
use super::words::{ArenaWord, Kind, Run, SlotWord, State, Status};
use super::{Accepted, Lane, Refusal, Refused, Terms};
use crate::sync::{Guard, Ordering, broken, fence, pin};

/// Numbers that one publish may lose to impatient readers before it hands its event back.
const ATTEMPTS: usize = 16;

/// An event on its way into a lane.
pub(crate) struct Offer<E> {
    pub(crate) event: E,
    /// Whom it is for, if not for all of the user's connections.
    pub(crate) audience: Option<Box<Audience>>,
}

/// A number that belongs to its publisher, and the slot that is its home.
pub(super) struct Claim<'a, E> {
    pub(super) state: State,
    slot: SlotRef<E>,
    /// The slot's word. The claim says that the numbers before it are over.
    seen: SlotWord,
    /// Of a slot in an arena.
    arena: Option<Arena<'a, E>>,
}

/// Whether a burst's next number has a home.
enum Home {
    In(Run),
    /// The lane has changed meanwhile.
    LookAgain,
}

/// One call of `append`.
struct Publisher<'a, E: 'static> {
    lane: &'a Lane<E>,
    terms: Terms,
    /// Of the events that it evicted: a panic of the host's `Drop` is thrown when the call is done.
    litter: Litter<E>,
}

impl<E: 'static> Lane<E> {
    /// Appends an event. This is the only function that does.
    #[inline(always)]
    #[allow(clippy::inline_always)] // A call is a tenth of what is left.
    pub(crate) fn append(&self, offer: Offer<E>, terms: Terms) -> Result<Accepted, Refused<E>> {
        // Without a second look, which nearly every publish needs not.
        if terms.evict
            && offer.audience.is_none()
            && let Some(claim) = self.claim_at_once()
        {
            match claim.fill(offer, terms) {
                Ok(()) => return Ok(self.accepted_as(claim.state, terms)),
                Err(back) => return self.append_again(back, terms, &claim),
            }
        }
        self.append_slowly(offer, terms, 0)
    }

    /// Claims the next number if its home is ready and no other thread comes between.
    #[inline(always)]
    #[allow(clippy::inline_always)] // As above.
    fn claim_at_once(&self) -> Option<Claim<'_, E>> {
        let state = self.load();
        let number = state.seq();
        if state.refuses() {
            return None;
        }
        if state.is_burst() {
            let run = self.run();
            // The first number of an arena has the arena made ready before it is claimed.
            let is_inside = number > run.base() && self.holds(run.base(), number);
            let claimed = is_inside && self.exchange(state, state.claimed());
            claimed.then(|| Claim::in_arena(self, state, run))
        } else {
            let word = self.hot.load();
            let is_next = word == SlotWord::free(number - 1);
            let claimed = is_next && self.exchange(state, state.claimed());
            claimed.then(|| Claim::in_hot_slot(self, state, word))
        }
    }

    /// As `append`, after a reader has passed over the number of a claim.
    #[cold]
    #[inline(never)]
    fn append_again(
        &self,
        offer: Offer<E>,
        terms: Terms,
        claim: &Claim<'_, E>,
    ) -> Result<Accepted, Refused<E>> {
        let late = u8::from(self.give_up(claim));
        self.append_slowly(offer, terms, late)
    }

    #[cold]
    #[inline(never)]
    fn append_slowly(
        &self,
        mut offer: Offer<E>,
        terms: Terms,
        mut late: u8,
    ) -> Result<Accepted, Refused<E>> {
        let mut publisher = Publisher {
            lane: self,
            terms,
            litter: Litter::default(),
        };
        for _ in 0..ATTEMPTS {
            let claim = match publisher.claim() {
                Ok(claim) => claim,
                Err(why) => return Err(Refused::new(why, offer.event, late)),
            };
            match claim.fill(offer, terms) {
                Ok(()) => return Ok(self.accepted_as(claim.state, terms)),
                Err(back) => {
                    offer = back;
                    late += u8::from(self.give_up(&claim));
                }
            }
        }
        Err(Refused::new(Refusal::Full, offer.event, late))
    }

    /// Wakes the connections that sleep, and tells what the publish did.
    #[inline]
    fn accepted_as(&self, claimed: State, terms: Terms) -> Accepted {
        if claimed.waiting() > 0 && terms.wake && !broken("publish-without-wake") {
            self.wake();
        }
        Accepted {
            number: self.public(claimed.seq()),
            connections: claimed.connections(),
            kept: claimed.is_archived(),
        }
    }

    /// Counts a number that a reader made void, and gives its slot back. Returns whether the lane's
    /// figures had been taken over before. Only the publisher counts it, so it is counted once.
    #[cold]
    pub(super) fn give_up(&self, claim: &Claim<'_, E>) -> bool {
        let is_late = self.count_void();
        claim.acknowledge();
        // As in `finish`: the last connection to leave sees the acknowledgement, or this sees it gone.
        fence(Ordering::SeqCst);
        if self.load().live() == 0 && !broken("leave-the-arenas") {
            // The last connection to leave found this publisher still inside.
            self.finish();
        }
        is_late
    }

    pub(super) fn run(&self) -> Run {
        // Acquire: pairs with `exchange_run`.
        Run(self.run.load(Ordering::Acquire))
    }

    fn exchange_run(&self, from: Run, to: Run) -> bool {
        // Release: what was noted of the run before is seen by a thread that finds this one.
        self.run
            .compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Whether a live connection has not read the number a whole lane before `state`'s. No number is
    /// that old while the lane is hot.
    #[cold]
    fn is_full(&self, state: State) -> bool {
        let number = state.seq() - self.capacity();
        if number < self.capacity() || !state.is_burst() {
            return false;
        }
        let guard = pin();
        let Some(word) = self.peek(number, &guard) else {
            return false;
        };
        let is_unread = word.number() < number || word.is_event(number);
        // First: a connection that counts for the number and is not on its way in is listed. Acquire
        // pairs with the Release in `list`.
        if !is_unread || (self.comings().joining() > 0 && !broken("overlook-joining")) {
            return is_unread;
        }
        let mut is_wanted = false;
        self.for_each(|member| {
            // A connection that is marked as closed and not counted out yet would count for the new
            // event, though it has not read the old one.
            let counts = if broken("overlook-leaving") {
                member.is_open()
            } else {
                member.left_at().is_none() || broken("full-for-the-gone")
            };
            is_wanted |= counts && member.cursor() <= number;
        });
        is_wanted
    }

    /// The word of the slot of `number`, for a thread that does not count for it.
    pub(super) fn peek(&self, number: u64, guard: &Guard) -> Option<SlotWord> {
        let Some(directory) = self.root.load(guard) else {
            return Some(self.hot.load());
        };
        let run = self.run();
        let start = directory.start(run);
        if number < start {
            return Some(self.hot.load());
        }
        let slot = |arena: Arena<'_, E>, base| arena.slot((number - base) as usize).load();
        if self.holds(run.base(), number) {
            return directory.get(run.arena()).map(|a| slot(a, run.base()));
        }
        let held = directory.arenas().find_map(|(_, arena)| {
            let word = arena.load();
            let holds = word.status() == Status::Live
                && word.base() >= start
                && self.holds(word.base(), number);
            holds.then_some((arena, word.base()))
        });
        held.map(|(arena, base)| slot(arena, base))
    }

    /// Whether an arena with this base has a slot for `number`.
    #[inline]
    pub(super) fn holds(&self, base: u64, number: u64) -> bool {
        number.wrapping_sub(base) < self.arena_len()
    }
}

impl<'a, E: 'static> Publisher<'a, E> {
    /// Claims the next number.
    fn claim(&mut self) -> Result<Claim<'a, E>, Refusal> {
        let lane = self.lane;
        loop {
            let state = lane.load();
            if state.refuses() {
                return Err(lane.refusal(state));
            }
            if !self.terms.evict && lane.is_full(state) && !broken("overwrite-when-full") {
                return Err(Refusal::Full);
            }
            let number = state.seq();
            if !state.is_burst() {
                let word = lane.hot.load();
                let is_next = word == SlotWord::free(number - 1);
                if is_next || (broken("hot-any-free") && word.is_free()) {
                    if lane.exchange(state, state.claimed()) {
                        return Ok(Claim::in_hot_slot(lane, state, word));
                    }
                    continue;
                }
                if let Home::In(run) = self.begin(state)?
                    && lane.exchange(state, state.claimed_in_burst())
                {
                    return Ok(Claim::in_arena(lane, state, run));
                }
                continue;
            }
            // After the state: the run of a burst only moves on, so this one is not older.
            let mut run = lane.run();
            // The first number of an arena has the arena made ready before it is claimed.
            let is_inside = number > run.base() && lane.holds(run.base(), number);
            if !is_inside {
                match self.reach(state, run)? {
                    Home::In(reached) => run = reached,
                    Home::LookAgain => continue,
                }
            }
            if lane.exchange(state, state.claimed()) {
                return Ok(Claim::in_arena(lane, state, run));
            }
        }
    }

    /// Prepares a burst that begins with `state`'s number. A burst that is prepared and not begun does
    /// no harm.
    #[cold]
    #[inline(never)]
    fn begin(&mut self, state: State) -> Result<Home, Refusal> {
        let (lane, number) = (self.lane, state.seq());
        let guard = pin();
        let run = lane.run();
        if run.base() > number && !broken("run-overwritten") {
            return Ok(Home::LookAgain);
        }
        if !state.has_arenas() {
            return Ok(self.begin_anew(number, run, &guard));
        }
        let Some(directory) = lane.root.load(&guard) else {
            return Ok(Home::LookAgain);
        };
        if run.base() == number {
            set_live(directory, run);
            return Ok(Home::In(run));
        }
        if !broken("restart-before-ready") {
            // Prepared before and not begun, perhaps.
            set_live(directory, run);
        }
        let is_clean = directory.get(run.arena()).map(Arena::voids) == Some(0);
        if is_clean || broken("restart-over-a-void") {
            let next = Run::new(number, run.arena(), true);
            let moved = lane.exchange_run(run, next);
            return Ok(if moved {
                Home::In(next)
            } else {
                Home::LookAgain
            });
        }
        let Some(taken) = self.acquire(directory, number, run, false) else {
            return Err(Refusal::Full);
        };
        let next = Run::new(number, taken.index, true);
        Ok(self.install(directory, run, next, taken))
    }

    /// Prepares a burst of a lane whose arenas were taken away, or that never had any.
    ///
    /// A directory is made for the number of one claim. Another thread that claims the same number may
    /// have installed it, which serves both. A directory of an older number is a dead one: the sweeper
    /// that took it away is stopped before the exchange, or the burst that it was made for never began.
    /// A directory of a newer number says that this publisher's look at the state is old.
    fn begin_anew(&mut self, number: u64, run: Run, guard: &Guard) -> Home {
        let lane = self.lane;
        let current = lane.root.load(guard);
        let born = current.map_or(0, Directory::born);
        if born > number && !broken("replace-the-newer") {
            return Home::LookAgain;
        }
        let is_dead = born < number && (current.is_none() || !broken("begin-in-what-was-taken"));
        if is_dead || born > number {
            let fresh = Directory::new(number, lane.arena_len() as usize);
            if !lane.root.replace(current, Some(Box::new(fresh)), guard) {
                return Home::LookAgain;
            }
        }
        let next = Run::new(number, 0, true);
        if run == next || lane.exchange_run(run, next) {
            Home::In(next)
        } else {
            Home::LookAgain
        }
    }

    /// Makes the arena ready in which a burst's next number is the first one.
    #[cold]
    #[inline(never)]
    fn reach(&mut self, state: State, run: Run) -> Result<Home, Refusal> {
        let lane = self.lane;
        let number = state.seq();
        if number < run.base() {
            return Ok(Home::LookAgain);
        }
        let guard = pin();
        let Some(directory) = lane.root.load(&guard) else {
            return Ok(Home::LookAgain);
        };
        if number == run.base() {
            set_live(directory, run);
            return Ok(Home::In(run));
        }
        if run.is_first() {
            // Before the run forgets that it was the first: a reader of the hot slot needs to know
            // where the burst began.
            directory.raise_began(run.base());
        }
        set_live(directory, run);
        let Some(arena) = directory.get(run.arena()) else {
            return Ok(Home::LookAgain);
        };
        if !broken("base-unrecorded") {
            // Before the run forgets what the arena holds.
            arena.change(|word| {
                let is_older = word.status() == Status::Live && word.base() < run.base();
                is_older.then(|| word.with(run.base(), Status::Live))
            });
        }
        if lane.run() != run {
            return Ok(Home::LookAgain);
        }
        let Some(taken) = self.acquire(directory, number, run, true) else {
            let is_stuck = lane.run() == run && lane.load().seq() == number;
            return if is_stuck {
                Err(Refusal::Full)
            } else {
                Ok(Home::LookAgain)
            };
        };
        let next = Run::new(run.base() + lane.arena_len(), taken.index, false);
        self.install(directory, run, next, taken);
        Ok(Home::LookAgain)
    }

    /// Exchanges the run for one in an arena that was taken for it, or gives the arena back.
    fn install(&self, directory: &Directory<E>, run: Run, next: Run, taken: Taken) -> Home {
        if self.lane.exchange_run(run, next) {
            set_live(directory, next);
            return Home::In(next);
        }
        let now = self.lane.run();
        let Some(before) = taken.before else {
            return Home::LookAgain;
        };
        if now.base() == next.base()
            && now.arena() == taken.index
            && !broken("give-back-what-was-helped")
        {
            // Another thread has installed it.
            set_live(directory, now);
            return Home::LookAgain;
        }
        directory.at(taken.index).change(|word| {
            let is_mine = word.base() == next.base() && word.status() == Status::Taken;
            is_mine.then(|| word.with(before.base(), before.status()))
        });
        Home::LookAgain
    }

    /// Takes an arena for a run that begins with `number`: one whose events all connections have
    /// passed; else the one with the oldest events, if they are a whole lane old and no reader stands
    /// in it; else a new one.
    fn acquire(
        &mut self,
        directory: &Directory<E>,
        number: u64,
        run: Run,
        in_burst: bool,
    ) -> Option<Taken> {
        loop {
            let count = match self.find(directory, number, run, in_burst) {
                Search::Taken(taken) => return Some(taken),
                Search::Overtaken => continue,
                Search::Nothing { count } => count,
            };
            let arena = directory.make(count)?;
            let word = arena.load();
            if word == ArenaWord::UNUSED
                && let Some(taken) = Taken::take(arena, count, word, number)
            {
                return Some(taken);
            }
            // Another publisher was faster and has taken it.
        }
    }

    /// Takes one of the arenas that there are.
    fn find(&mut self, directory: &Directory<E>, number: u64, run: Run, in_burst: bool) -> Search {
        let began = directory.began();
        let (mut oldest, mut unused): (Option<(usize, ArenaWord)>, _) = (None, None);
        let mut count = 0;
        for (i, arena) in directory.arenas() {
            count = i + 1;
            if i == run.arena() {
                continue;
            }
            let word = arena.load();
            let is_taken = word.status() == Status::Taken;
            if is_taken && word.base() == number && word.base() > run.base() {
                // Taken for this number by a publisher that may be stopped: into the run with it.
                return Search::Taken(Taken {
                    index: i,
                    before: None,
                });
            }
            // An arena of a base beyond the run's may be in the run by now.
            if is_taken || (word.base() > run.base() && !broken("acquire-any-base")) {
                continue;
            }
            if word.is_unused() {
                let is_clean = arena.voids() == 0 || broken("reuse-over-a-void");
                unused = unused.or(is_clean.then_some((i, word)));
                continue;
            }
            let is_over = !in_burst || word.base() < began || word.status() == Status::Gone;
            let is_free = if is_over {
                arena.voids() == 0 || broken("reuse-over-a-void")
            } else {
                arena.is_passed(word.base())
            };
            if is_free {
                return Search::of(Taken::take(arena, i, word, number));
            } else if !is_over
                && (word.pins() == 0 || broken("evict-pinned"))
                && oldest.is_none_or(|(_, o)| word.base() < o.base())
            {
                oldest = Some((i, word));
            }
        }
        let is_far = |word: ArenaWord| {
            let end = word.base() + self.lane.arena_len() + self.lane.capacity();
            end <= number || broken("evict-within-capacity")
        };
        if let Some((i, word)) = oldest.filter(|(_, word)| is_far(*word)) {
            return Search::of(self.evict(directory, i, word, number));
        }
        if let Some((i, word)) = unused {
            return Search::of(Taken::take(directory.at(i), i, word, number));
        }
        Search::Nothing { count }
    }

    /// Empties an arena whose events are a whole lane old, and takes it for `number`. `None` if a reader
    /// has come, or if a publisher may still be inside.
    fn evict(
        &mut self,
        directory: &Directory<E>,
        index: usize,
        word: ArenaWord,
        number: u64,
    ) -> Option<Taken> {
        let arena = directory.at(index);
        // Before the arena is taken: a reader that finds it taken finds the notes.
        if !broken("take-then-note") {
            note(directory, arena, word.base());
        }
        // A reader that pins it after `word` was loaded makes this exchange fail.
        if !arena.exchange(word, word.with(word.base(), Status::Taken)) {
            return None;
        }
        if broken("take-then-note") {
            note(directory, arena, word.base());
        }
        for (n, slot) in (word.base()..).zip(arena.slots()) {
            let seen = slot.load();
            if seen.is_event(n) && seen.remaining() > 0 {
                self.litter.push(slot.empty(seen));
            }
        }
        if arena.voids() != 0 && !broken("reuse-over-a-void") {
            // A publisher may still be inside. The arena is no reader's any more.
            arena.change(|w| Some(w.with(word.base(), Status::Gone)));
            return None;
        }
        arena.change(|w| Some(w.with(number, Status::Taken)));
        Some(Taken {
            index,
            before: Some(word.with(word.base(), Status::Gone)),
        })
    }
}

/// What a search for an arena came to.
enum Search {
    Taken(Taken),
    /// Another thread has changed the arena that was found. Look again.
    Overtaken,
    /// None of the arenas, of which there are so many, can be had.
    Nothing {
        count: usize,
    },
}

impl Search {
    fn of(taken: Option<Taken>) -> Self {
        taken.map_or(Self::Overtaken, Self::Taken)
    }
}

/// An arena that a publisher has taken for a run.
#[derive(Clone, Copy)]
struct Taken {
    index: usize,
    /// Its word before, unless another publisher has taken it for the same number.
    before: Option<ArenaWord>,
}

impl Taken {
    fn take<E>(arena: Arena<'_, E>, index: usize, word: ArenaWord, number: u64) -> Option<Self> {
        let taken = arena.exchange(word, word.with(number, Status::Taken));
        taken.then_some(Self {
            index,
            before: Some(word),
        })
    }
}

/// Makes the run's arena live. Any thread does that once the arena is in the run, so that no reader
/// waits for the publisher that put it there.
fn set_live<E>(directory: &Directory<E>, run: Run) {
    if let Some(arena) = directory.get(run.arena()) {
        arena.change(|word| {
            let is_ready = word.base() == run.base() && word.status() == Status::Taken;
            is_ready.then(|| word.with(word.base(), Status::Live))
        });
    }
}

/// Makes unresolved numbers of an arena void and notes the others as evicted.
fn note<E>(directory: &Directory<E>, arena: Arena<'_, E>, base: u64) {
    for (n, slot) in (base..).zip(arena.slots()) {
        let seen = slot.load();
        if seen.number() < n {
            void(slot.into(), seen, n, Some(arena));
        }
    }
    for (n, slot) in (base..).zip(arena.slots()) {
        let seen = slot.load();
        if seen.is_event(n) {
            if !broken("gap-counts-voids") {
                directory.note_evicted(n);
            }
            if seen.is_critical() && !broken("forget-critical") {
                directory.note_lost(n);
            }
        }
    }
}

/// Passes over a number whose publisher has not come: whatever it does later, it finds its number
/// void, and takes another one.
pub(super) fn void<E>(slot: SlotRef<E>, seen: SlotWord, number: u64, arena: Option<Arena<'_, E>>) {
    if let Some(arena) = arena {
        // Before the exchange: once the slot is void its publisher may subtract.
        arena.begin_void();
    }
    let to = if broken("void-frees") {
        SlotWord::free(number)
    } else {
        SlotWord::void(number)
    };
    if !slot.exchange(seen, to)
        && let Some(arena) = arena
    {
        arena.end_void();
    }
}

impl<'a, E> Claim<'a, E> {
    #[inline]
    fn in_hot_slot(lane: &'a Lane<E>, state: State, seen: SlotWord) -> Self {
        Self {
            state,
            slot: (&lane.hot).into(),
            seen,
            arena: None,
        }
    }

    #[inline]
    fn in_arena(lane: &'a Lane<E>, state: State, run: Run) -> Self {
        // The number is this publisher's and lives in the run's arena, so the directory stays.
        let arena = lane.root.counted().at(run.arena());
        let slot = arena.slot((state.seq() - run.base()) as usize);
        Self {
            state,
            slot: slot.into(),
            seen: slot.load(),
            arena: Some(arena),
        }
    }

    /// Writes the event, or hands it back if a reader has passed over the number.
    #[inline]
    pub(super) fn fill(&self, offer: Offer<E>, terms: Terms) -> Result<(), Offer<E>> {
        let number = self.state.seq();
        if self.seen.number() >= number {
            return Err(offer);
        }
        let is_addressed = offer.audience.is_some();
        let word = self.full(terms, is_addressed);
        self.slot.write(offer.event, offer.audience);
        if broken("fill-by-store") || self.slot.exchange(self.seen, word) {
            return Ok(());
        }
        let (event, audience) = self.slot.take(is_addressed);
        Err(Offer { event, audience })
    }

    #[inline]
    fn full(&self, terms: Terms, is_addressed: bool) -> SlotWord {
        let state = self.state;
        let kind = match terms.critical {
            false => Kind::Ordinary,
            true if state.connections() == 0 && !is_addressed => Kind::Unseen,
            true => Kind::Critical,
        };
        let mut word = SlotWord::full(state.seq(), state.live(), kind);
        if is_addressed {
            word = word.addressed();
        }
        if state.is_archived() {
            word = word.kept();
        }
        word
    }

    /// The publisher's word that it has left a void slot.
    fn acknowledge(&self) {
        if broken("void-frees") {
            return;
        }
        if cfg!(any(debug_assertions, laneway_loom)) && !broken("quiet-ignores-leavers") {
            let is_mine = self.slot.load() == SlotWord::void(self.state.seq());
            assert!(is_mine, "a void is its publisher's");
        }
        self.slot.free(self.state.seq());
        if let Some(arena) = self.arena {
            arena.end_void();
        }
    }
}

/// Halves of calls, for the models.
#[cfg(all(test, laneway_loom))]
pub(super) mod halves {
    use super::{
        ArenaWord, Claim, Lane, Litter, Offer, Ordering, Publisher, Refusal, Run, SlotWord, State,
        Status, Terms, note, pin,
    };

    /// Where a thread stops for good.
    #[derive(Clone, Copy, Debug)]
    pub(crate) enum Stop {
        /// It has taken an arena.
        Taken,
        /// The arena is in the run, and not said to be live.
        Installed,
        /// It has taken an arena to evict it.
        Evicting,
        /// The hot slot expects the next number, and the lane is not hot.
        LinedUp,
        /// It stands in an arena.
        Pinned,
        /// It is about to make a slot void.
        Voiding,
        /// A connection is marked as leaving, and still counted.
        Leaving,
        /// It is counted out, and its end is not told.
        Departed,
    }

    impl<E: 'static> Lane<E> {
        fn publisher(&self, terms: Terms) -> Publisher<'_, E> {
            Publisher {
                lane: self,
                terms,
                litter: Litter::default(),
            }
        }

        pub(in crate::lane) fn claim_only(&self, terms: Terms) -> Result<Claim<'_, E>, Refusal> {
            self.publisher(terms).claim()
        }

        /// Does the first steps of something rare, and nothing more. No other thread runs.
        pub(crate) fn stop(&self, stop: Stop) {
            let (state, run) = (self.load(), self.run());
            let guard = pin();
            let in_burst = state.is_burst();
            let take = || {
                let directory = self.root.load(&guard).expect("a directory");
                let mut publisher = self.publisher(Terms::OVERWRITE);
                let taken = publisher.acquire(directory, state.seq(), run, in_burst);
                (directory, taken.expect("an arena").index)
            };
            match stop {
                Stop::Taken => drop(take()),
                Stop::Installed => {
                    let (directory, index) = take();
                    if in_burst {
                        if run.is_first() {
                            directory.raise_began(run.base());
                        }
                        directory.at(run.arena()).change(|word| {
                            let older = word.base() < run.base();
                            older.then(|| word.with(run.base(), Status::Live))
                        });
                    }
                    let next = Run::new(state.seq(), index, !in_burst);
                    assert!(self.exchange_run(run, next));
                }
                Stop::Evicting => {
                    let directory = self.root.load(&guard).expect("a directory");
                    let far = |word: ArenaWord| {
                        let end = word.base() + self.arena_len() + self.capacity();
                        !word.is_unused() && end <= state.seq() && word.pins() == 0
                    };
                    let arenas = directory.arenas().map(|(_, arena)| arena);
                    let arena = arenas
                        .into_iter()
                        .find(|a| far(a.load()))
                        .expect("an old one");
                    let word = arena.load();
                    note(directory, arena, word.base());
                    assert!(arena.exchange(word, word.with(word.base(), Status::Taken)));
                }
                Stop::LinedUp => {
                    let word = self.hot.load();
                    let next = SlotWord::free(state.seq() - 1);
                    if word.is_free() && word.number() < next.number() {
                        assert!(self.hot.exchange(word, next));
                    }
                }
                Stop::Pinned => {
                    let directory = self.root.load(&guard).expect("a directory");
                    let mut pin = super::super::arena::Pin::none();
                    assert!(pin.enter(directory.at(run.arena()), run.base()));
                    std::mem::forget(pin);
                }
                Stop::Voiding => {
                    let directory = self.root.load(&guard).expect("a directory");
                    directory.at(run.arena()).begin_void();
                }
                Stop::Leaving => self.begin_leaving(),
                Stop::Departed => {
                    self.begin_leaving();
                    self.state.fetch_sub(State::ONE_LIVE, Ordering::AcqRel);
                }
            }
        }

        /// Puts an event into a number's slot as its publisher, and is never heard of again.
        pub(in crate::lane) fn fill_half(claim: &Claim<'_, E>, offer: Offer<E>) {
            if claim.seen.number() < claim.state.seq() {
                claim.slot.write(offer.event, offer.audience);
            }
        }

        /// Slots that hold an event.
        pub(crate) fn full(&self) -> usize {
            let guard = pin();
            let mut full = usize::from(self.hot.load().is_full());
            if let Some(directory) = self.root.load(&guard) {
                for (_, arena) in directory.arenas() {
                    full += arena.slots().filter(|slot| slot.load().is_full()).count();
                }
            }
            full
        }

        /// Arenas that were used.
        pub(crate) fn used_arenas(&self) -> usize {
            let guard = pin();
            self.root
                .load(&guard)
                .map_or(0, |directory| directory.arenas().count())
        }
    }
}
