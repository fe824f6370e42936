//! One-line defects: each check is tried on code that has one.
//!
//! A defect stands in the line that it breaks, as `broken(Fault::…)`. That is `false` in what ships. Models,
//! schedules, histories and fuzzing switch one on by its name in `LANEWAY_TWIN`, and have to fail.

macro_rules! faults {
    ($($(#[$doc:meta])* $fault:ident = $name:literal,)*) => {
        /// A line that is broken on purpose.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Fault {
            $($(#[$doc])* $fault,)*
        }

        impl Fault {
            /// Its name in the environment.
            #[allow(dead_code)] // Where the environment is not asked.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$fault => $name,)*
                }
            }

            /// The fault of this name, or none for `none`.
            ///
            /// # Panics
            ///
            /// If there is no such fault: a check that asks for it would prove nothing.
            #[allow(dead_code)] // Where the compiler is told the fault.
            pub(crate) fn asked_for(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$fault),)*
                    "none" => None,
                    _ => panic!("there is no fault {name}"),
                }
            }
        }
    };
}

faults! {
    // ---- table ----
    /// A lookup takes the leaf of its hash for the key's.
    AnyLeaf = "any-leaf",
    /// A removed leaf is freed at once instead of through the collector.
    FreeAtOnce = "free-at-once",
    /// A removal takes out any entry with the key instead of exactly its own.
    RemoveByKey = "remove-by-key",
    /// A split loses the leaf that stood in the slot.
    SplitForgetsLeaf = "split-forgets-leaf",
    /// A walk goes on behind the last leaf that it saw, and loses its place at a split.
    WalkByLeaves = "walk-by-leaves",
    // ---- claims and fills ----
    /// A publisher stores its slot's word, over a reader's void.
    FillByStore = "fill-by-store",
    /// A publisher takes any free hot slot, not only one that expects its number.
    HotAnyFree = "hot-any-free",
    /// `try_publish` does not look whether an event is unread.
    OverwriteWhenFull = "overwrite-when-full",
    /// A publisher wakes no sleeper.
    PublishWithoutWake = "publish-without-wake",
    /// `try_publish` refuses for a connection that has left.
    FullForTheGone = "full-for-the-gone",
    /// `try_publish` does not look for connections on their way into the list.
    OverlookJoining = "overlook-joining",
    /// `try_publish` looks only at connections that are open.
    OverlookLeaving = "overlook-leaving",
    // ---- bursts ----
    /// A publisher exchanges a run of a larger number than its own.
    RunOverwritten = "run-overwritten",
    /// A burst begins anew in an arena that is not live yet.
    RestartBeforeReady = "restart-before-ready",
    /// A burst begins anew in an arena in which a publisher may still be.
    RestartOverAVoid = "restart-over-a-void",
    /// A burst begins in a directory that a sweep has taken away.
    BeginInWhatWasTaken = "begin-in-what-was-taken",
    /// A burst replaces the directory of a newer burst.
    ReplaceTheNewer = "replace-the-newer",
    /// A publisher with an old run prepares an arena of a newer burst.
    PrepareInANewer = "prepare-in-a-newer",
    /// The run moves on before the old arena records its base.
    BaseUnrecorded = "base-unrecorded",
    /// A publisher gives an arena back that another thread has installed for it.
    GiveBackWhatWasHelped = "give-back-what-was-helped",
    // ---- arenas ----
    /// A publisher takes an arena that may be in the run already.
    AcquireAnyBase = "acquire-any-base",
    /// An arena counts as passed if its slots are free, whatever their numbers.
    ReuseAnyFree = "reuse-any-free",
    /// An arena is used again while a publisher may be in a void of it.
    ReuseOverAVoid = "reuse-over-a-void",
    /// A publisher evicts an arena in which a reader stands.
    EvictPinned = "evict-pinned",
    /// A publisher evicts events that are not a lane old.
    EvictWithinCapacity = "evict-within-capacity",
    /// A publisher takes an arena before it notes what is lost with it.
    TakeThenNote = "take-then-note",
    /// An eviction does not note critical events.
    ForgetCritical = "forget-critical",
    /// Numbers that were void count as missed.
    GapCountsVoids = "gap-counts-voids",
    /// A reader keeps its pin although the arena is another's.
    PinWhatever = "pin-whatever",
    /// A reader looks into an arena without a pin.
    ReadUnpinned = "read-unpinned",
    // ---- numbers and voids ----
    /// A reader whose arena is gone jumps to the run's, over live ones.
    JumpToTheRun = "jump-to-the-run",
    /// A leaver passes over a number whose publisher has not come, without a void.
    LeaveUnresolved = "leave-unresolved",
    /// A reader frees the slot of a late publisher instead of making it void.
    VoidFrees = "void-frees",
    /// A reader waits for a publisher that may never come.
    WaitForTheFrozen = "wait-for-the-frozen",
    /// A reader counts an unresolved number as missed, and leaves it.
    JumpOverTheUnresolved = "jump-over-the-unresolved",
    /// A reader takes a void number for a missed one.
    MovedOnIsALoss = "moved-on-is-a-loss",
    /// A reader skips a critical event that is a lane old.
    SkipCritical = "skip-critical",
    /// A reader skips an event without counting itself out.
    SkipWithoutPassing = "skip-without-passing",
    /// A reader does not look at its mark before it reads.
    ReadAfterClose = "read-after-close",
    /// An event whose reader panics stays in its slot.
    PanicKeepsTheEvent = "panic-keeps-the-event",
    // ---- back to hot, and rest ----
    /// Any reader takes the lane back to hot, not only the last.
    QuietBeforeTheLast = "quiet-before-the-last",
    /// The sweep takes the lane back to hot by cursors alone.
    QuietByCursors = "quiet-by-cursors",
    /// The way back to hot does not look for leavers.
    QuietIgnoresLeavers = "quiet-ignores-leavers",
    /// The way back to hot lines up a slot in which a publisher may be.
    LineUpAVoid = "line-up-a-void",
    /// The sweep takes arenas in which a thread stands.
    TakeWhatIsInUse = "take-what-is-in-use",
    /// The last to leave looks at the other's word without a fence.
    FinishUnfenced = "finish-unfenced",
    /// A late publisher does not give back the arenas of a lane that is over.
    LeaveTheArenas = "leave-the-arenas",
    /// A publisher that is refused leaves a directory behind the end.
    LeaveTheBurst = "leave-the-burst",
    // ---- joining and leaving ----
    /// A connection joins a closed lane.
    JoinClosed = "join-closed",
    /// A connection is counted after it has looked at the limit.
    JoinInTwoSteps = "join-in-two-steps",
    /// A connection takes its first number after it is counted.
    JoinThenLook = "join-then-look",
    /// The last to leave does not close the lane.
    VacantButOpen = "vacant-but-open",
    /// A closer counts itself as leaving after it is counted out.
    LeavingLate = "leaving-late",
    /// A closer does not wake the connection.
    CloseWithoutWake = "close-without-wake",
    /// A closer passes what a living owner passes, too.
    CloserPassesForTheLiving = "closer-passes-for-the-living",
    /// A closer leaves what is unread to an owner that has gone.
    LeaveItToTheOwner = "leave-it-to-the-owner",
    /// A connection leaves without passing events that it has not read.
    LeaveUnread = "leave-unread",
    /// The last connection ends a lane that has arenas without counting itself as leaving.
    EndAtOnce = "end-at-once",
    /// The last connection ends a lane although another one is still leaving.
    OverlookTheLeaver = "overlook-the-leaver",
    /// A connection that takes a place over leaves the place counted as asleep.
    ForgetTheSleeper = "forget-the-sleeper",
    /// A connection takes a place over at a number that it has only loaded.
    TakeOverByLoad = "take-over-by-load",
    /// A connection takes the place of one that another thread has closed.
    TakeOverFromTheClosed = "take-over-from-the-closed",
    /// A place is given up before the new connection is counted.
    TakeOverInTwoSteps = "take-over-in-two-steps",
    // ---- sleepers ----
    /// A sleeper does not look whether an event has come.
    SleepWithoutLooking = "sleep-without-looking",
    /// A sleeper waits for a publisher that may never come.
    SleepBehindTheFrozen = "sleep-behind-the-frozen",
    /// A connection that waits for its end looks by loads.
    AwaitTheEndByLoads = "await-the-end-by-loads",
    /// A waker that comes second trusts the first to wake.
    TrustTheOtherWaker = "trust-the-other-waker",
    // ---- conflation ----
    /// A reader steps over the newest event of a key.
    SupersedeTheNewest = "supersede-the-newest",
    /// Of two publishers of one key the one that comes last decides which number is the newest.
    SupersedeByStore = "supersede-by-store",
    /// A publisher of a key looks for pending barriers only.
    OverlookTheBarrier = "overlook-the-barrier",
    /// A barrier is noted only after it was accepted.
    BarrierUnannounced = "barrier-unannounced",
    // ---- archive and replays ----
    /// A lane without connections closes after its archive has left.
    ExpireInTwoSteps = "expire-in-two-steps",
    /// Two releases may count the archive out of one number.
    ReleaseInTwoSteps = "release-in-two-steps",
    /// A release does not count itself as leaving.
    ReleaseUnannounced = "release-unannounced",
    /// An owed event is consumed when it is fetched, not when it is received.
    OwedUntilFetched = "owed-until-fetched",
    /// Two connections may receive one event that is owed.
    ReceiveInTwoSteps = "receive-in-two-steps",
    /// A replay does not count itself for the event that it reads.
    ReplayUncounted = "replay-uncounted",
    /// A replay leaves out what is gone, and says nothing.
    ReplayWithHoles = "replay-with-holes",
    /// A reader takes an event that is for other connections.
    ReadWhatIsForOthers = "read-what-is-for-others",
    // ---- threads ----
    /// A connection is attached from its cursor on.
    AttachFromTheCursor = "attach-from-the-cursor",
    /// A reader decides by the threads of now.
    DecideByTheLast = "decide-by-the-last",
    /// A thread that attaches does not look whether the connection was taken over.
    AttachWithoutLooking = "attach-without-looking",
    // ---- rooms ----
    /// A join fills its place although the user has left meanwhile.
    FillWithoutLooking = "fill-without-looking",
    /// A leave takes the room off the user's list and leaves the user in the place.
    LeaveThePlace = "leave-the-place",
    /// A publish reaches a user in a place that is not listed any more.
    TrustThePlace = "trust-the-place",
    /// A publish also visits users who came to their places after it began.
    VisitNewcomers = "visit-newcomers",
    /// A watcher is told of a room's end before the room has ended.
    TellBeforeTheEnd = "tell-before-the-end",
    /// A user enters a room that its last member has left.
    EnterWhatIsOver = "enter-what-is-over",
    /// A second join of one user returns before the first has filled the place.
    TrustTheFirstJoin = "trust-the-first-join",
    /// A join does not look whether the user has gone offline meanwhile.
    JoinWithoutLooking = "join-without-looking",
    /// The end of a session ends the memberships of the user's next one.
    EndTheNewer = "end-the-newer",
    /// A publish to several rooms asks the memberships whether a user was reached.
    OnceByMembership = "once-by-membership",
    // ---- the gate ----
    /// A scope notes the gate's word before it has looked at the revocations.
    NoteBeforeLooking = "note-before-looking",
    /// The gate is raised before the revocation is in the table.
    RaiseBeforeListing = "raise-before-listing",
    /// An entry that makes room goes before the floor has risen.
    RemoveBeforeTheFloor = "remove-before-the-floor",
    /// A connect does not look again whether its scope was revoked.
    ConnectAndTrust = "connect-and-trust",
    /// A publisher of a limited scope takes its unit by a load and a subtraction.
    TakeInTwoSteps = "take-in-two-steps",
    /// A publish that is refused keeps its unit.
    KeepTheUnit = "keep-the-unit",
    // ---- budgets ----
    /// A publisher looks at a lane's bytes and adds its own in a second step.
    ReserveInTwoSteps = "reserve-in-two-steps",
    /// A publish that is over a budget keeps its bytes reserved.
    KeepTheCharge = "keep-the-charge",
    /// A publish that the lane refuses keeps its bytes reserved.
    ForgetTheCharge = "forget-the-charge",
    /// Each reader of an event releases the event's bytes.
    ReleaseByEach = "release-by-each",
    /// A lane that is over counts for no share, although a closed connection still holds bytes.
    CountOutWithBytes = "count-out-with-bytes",
    // ---- questions ----
    /// Who answers first is decided by a load and a store.
    DecideInTwoSteps = "decide-in-two-steps",
    /// A question comes into an entry that leaves the table.
    AskInAGoneEntry = "ask-in-a-gone-entry",
    /// An asker does not look again before it sleeps.
    AskWithoutLooking = "ask-without-looking",
    /// A close ends no question.
    CloseWithoutTelling = "close-without-telling",
    // ---- users ----
    /// A new user's first session counts as announced.
    BornListed = "born-listed",
    /// A connection that comes into a hub that shuts down is not ended.
    ConnectWithoutLooking = "connect-without-looking",
    /// A connection that comes into a hub that begins to drain stays.
    ConnectIntoTheDrain = "connect-into-the-drain",
    /// A step of a drain tells a user whom another step may tell.
    TellUnclaimed = "tell-unclaimed",
    /// A drain cuts connections off before its deadline.
    CutBeforeTheDeadline = "cut-before-the-deadline",
    /// A task that waits for the end of a drain looks at the phase by a load.
    LookAtThePhase = "look-at-the-phase",
    /// A tracker takes a notice for what is true now.
    TrustTheNotice = "trust-the-notice",
    /// A connect counts its connection for the hub's figures after it has listed it.
    CountAfterListing = "count-after-listing",
    /// A close does not count the connection out of the hub's figures.
    CloseUncounted = "close-uncounted",
    /// Two calls that resume one device both keep a connection.
    TwoOfOne = "two-of-one",
    /// A publisher to some devices does not look whether one is joining.
    OverlookTheNewcomer = "overlook-the-newcomer",
    /// The last user who goes does not end the notices of a closed hub.
    EndWithoutLooking = "end-without-looking",
    /// A change looks for subscribers without a fence behind its write.
    SubscribeUnfenced = "subscribe-unfenced",
    /// The end of the notices is decided by a load of the count.
    LookAtTheCount = "look-at-the-count",
    /// A subscriber does not look whether the notices are over.
    SubscribeWithoutLooking = "subscribe-without-looking",
    /// A session takes its number after it is listed.
    NumberAfterListing = "number-after-listing",
    /// A connect takes a number that another thread has drawn for that of its own session.
    TrustAnyNumber = "trust-any-number",
    // ---- notices ----
    /// A task falls asleep without a second look at its notices.
    WaitWithoutLooking = "wait-without-looking",
    /// A receiver asks whether the notices are over after it has found none.
    AskForTheEndLast = "ask-for-the-end-last",
    /// A receiver does not look behind the end of the notices.
    StopAtTheEnd = "stop-at-the-end",
    /// A notice takes its room in a channel by a load and a store.
    RoomInTwoSteps = "room-in-two-steps",
    /// A notice that is lost is counted without an order to its change.
    LoseUnordered = "lose-unordered",
    /// The list of subscribers is replaced whatever another thread has put there.
    RelistByStore = "relist-by-store",
    // ---- cluster ----
    /// A driver counts the drops before it takes the mark by which publishers ask it.
    CollectThenUnmark = "collect-then-unmark",
}
