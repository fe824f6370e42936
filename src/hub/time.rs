//! The calls by which the host tells the time.

use std::time::Duration;

use super::Hub;

impl<E: Send + Sync + 'static> Hub<E> {
    /// Closes idle and overrun connections, ends what is too old, and frees memory. Returns how many
    /// connections it closed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let idle = Duration::from_secs(40);
    /// let hub = laneway::Hub::builder().idle_timeout(Some(idle)).build::<u8>()?;
    /// let _device = hub.scope(laneway::UserId::new("ann")?).connect()?;
    /// hub.sweep(Duration::ZERO);
    /// let day = Duration::from_secs(86_400);
    /// assert_eq!(hub.sweep(day), 0); // the process was stopped for a day: ten seconds pass
    /// let closed = (1..=4).map(|n| hub.sweep(day + n * idle / 4)).sum::<usize>();
    /// assert_eq!(closed, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A host calls this at least four times in the shortest of its waits: the
    /// [idle timeout](crate::Builder::idle_timeout), the [grace](crate::Retention#structfield.grace) and the
    /// [age](crate::Retention#structfield.age) of retention. Without these, once a minute frees the memory.
    /// The [guide](crate::guide#the-sweep) has the loop for a thread and for tokio.
    ///
    /// | a sweep | if |
    /// |---|---|
    /// | closes connections that were idle for longer than `idle_timeout` | the hub has one |
    /// | closes connections that have lost a critical event and have not noticed | always |
    /// | [tells the time](Self::tick) for events with a deadline | always |
    /// | ends [questions](crate::UserScope::ask) whose deadline has come, or for which no device is left | some wait |
    /// | tells [weaker scopes](crate::Limits::until) the time | always |
    /// | notifies of connections that are behind | the hub has an [`unread_watermark`](crate::Builder::unread_watermark) |
    /// | drops events that are too old, and ends lanes whose users were away for longer than the grace | the hub has [`Retention`](crate::Retention) |
    /// | frees the memory of a burst, at the second call that finds it read and no newer one | the hub has no retention |
    ///
    /// # Time
    ///
    /// `now` is the time since any fixed moment of the host's choice. A wait starts at the first sweep that
    /// sees its connection, its absent user or its event.
    ///
    /// One sweep lets at most a quarter of each wait pass, however late it comes. So a pause of the whole
    /// process closes no connection. With too few sweeps the waits last longer.
    ///
    /// A sweep at an earlier time than the one before lets no time pass, and later sweeps count from there.
    /// A clock that jumps ahead and back costs at most a quarter of a wait.
    ///
    /// # Progress
    ///
    /// Lock-free, linear in the users, their connections and the questions that wait.
    pub fn sweep(&self, now: Duration) -> usize {
        self.core.sweep(now)
    }

    /// Tells the time, for events that have a [deadline](crate::Addressed::until).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let mut phone = ann.connect()?;
    /// ann.until(Duration::from_secs(5)).publish(7)?;
    /// hub.tick(Duration::from_secs(5));
    /// assert!(phone.try_recv().is_err()); // too late
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A [sweep](Self::sweep) tells the time as well. A host whose deadlines are finer than its sweeps calls this
    /// in between: before a receive, or on a timer. `now` is a time on the clock of the sweeps.
    ///
    /// The newest time counts, and an earlier one changes nothing. So a clock that jumps ahead expires
    /// deadlines up to there for good, also those of events that come after it has jumped back.
    ///
    /// Wait-free.
    pub fn tick(&self, now: Duration) {
        self.core.time.tell(now);
    }
}
