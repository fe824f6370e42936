//! Receiving merged events: a device that is behind gets few large pieces.

use std::task::{Context, Poll};

use super::{Connection, Rare};
use crate::error::{Closed, TryRecvError};
use crate::merge::{Merge, Merged};
use crate::received::{Delivered, Received};
use crate::retention::Origin;

impl<E: Merge + Clone + Send + Sync + 'static> Connection<E> {
    /// As [`try_recv`](Self::try_recv). Merges the unread events that follow into the one that it returns,
    /// while they [can be merged](Merge::can_merge) and all together have at most the size `limit`.
    ///
    /// ```
    /// # use laneway::Merge;
    /// # #[derive(Clone, Debug, PartialEq)]
    /// # struct Text(&'static str, String);
    /// # impl Merge for Text {
    /// #     fn can_merge(&self, next: &Self) -> bool { self.0 == next.0 }
    /// #     fn merge(&mut self, next: Self) { self.1 += &next.1 }
    /// #     fn size(&self) -> usize { self.1.len() }
    /// # }
    /// # let hub = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// # let mut device = ann.connect()?;
    /// use laneway::Received;
    ///
    /// for (answer, piece) in [("a", "One "), ("a", "order"), ("b", "Two"), ("b", " orders.")] {
    ///     ann.publish(Text(answer, piece.into()))?;
    /// }
    /// let mut pieces = Vec::new();
    /// while let Ok(Received::Event(next)) = device.try_recv_merged(9) {
    ///     pieces.push(next.event.event.1);
    /// }
    /// assert_eq!(pieces, ["One order", "Two", " orders."]); // of one answer, and up to nine bytes
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// An event is looked at in its place before it is taken. One that does not fit stays unread, for any
    /// receiving call. So no event waits in the connection, and none is lost with a future that is dropped. An
    /// event that is larger than `limit` comes alone.
    ///
    /// Merging ends early at a gap, at a number that is no event, and at an event from before the
    /// connection's time: those that were [resumed](crate::UserScope::resume) or
    /// [recovered](Self::recover) come one by one. Each merged number counts as delivered.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Self::try_recv).
    ///
    /// # Panics
    ///
    /// As [`try_recv`](Self::try_recv), or if a method of [`Merge`] does. The events that were taken by
    /// then count as read.
    ///
    /// # Progress
    ///
    /// Lock-free; takes at most `lane_capacity` events more than a receive while no publisher adds some. The
    /// limit bounds it if each event has a size.
    pub fn try_recv_merged(&mut self, limit: usize) -> Result<Received<Merged<E>>, TryRecvError> {
        let first = self.try_recv()?;
        Ok(self.merge_into(first, limit))
    }

    /// Puts the thread to sleep as [`recv`](Self::recv) does, and merges as
    /// [`try_recv_merged`](Self::try_recv_merged) does. Never waits for more to merge.
    ///
    /// ```
    /// # use laneway::Merge;
    /// # #[derive(Clone)]
    /// # struct Text(String);
    /// # impl Merge for Text {
    /// #     fn can_merge(&self, _: &Self) -> bool { true }
    /// #     fn merge(&mut self, next: Self) { self.0 += &next.0 }
    /// #     fn size(&self) -> usize { self.0.len() }
    /// # }
    /// # let hub = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// # let mut device = ann.connect()?;
    /// # ann.publish_batch(["a", "b"].map(|text| Text(text.into())))?;
    /// use laneway::Received;
    ///
    /// let Received::Event(next) = device.recv_merged(64)? else { panic!("no gap") };
    /// assert_eq!(next.event.event.0, "ab");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv). Panics and progress are those of the two.
    pub fn recv_merged(&mut self, limit: usize) -> Result<Received<Merged<E>>, Closed> {
        let first = self.recv()?;
        Ok(self.merge_into(first, limit))
    }

    /// Polls as [`poll_recv`](Self::poll_recv) does, and merges as
    /// [`try_recv_merged`](Self::try_recv_merged) does.
    ///
    /// ```
    /// # use std::task::{Context, Waker};
    /// # use laneway::Merge;
    /// # #[derive(Clone)]
    /// # struct Text(String);
    /// # impl Merge for Text {
    /// #     fn can_merge(&self, _: &Self) -> bool { true }
    /// #     fn merge(&mut self, next: Self) { self.0 += &next.0 }
    /// #     fn size(&self) -> usize { self.0.len() }
    /// # }
    /// # let hub = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// # let mut device = ann.connect()?;
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert!(device.poll_recv_merged(&mut cx, 64).is_pending());
    /// ann.publish(Text("a".into()))?; // wakes the task
    /// assert!(device.poll_recv_merged(&mut cx, 64).is_ready());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv). Panics, bounds and progress are those of the two.
    pub fn poll_recv_merged(
        &mut self,
        cx: &mut Context<'_>,
        limit: usize,
    ) -> Poll<Result<Received<Merged<E>>, Closed>> {
        let polled = self.poll_recv(cx);
        polled.map_ok(|first| self.merge_into(first, limit))
    }

    /// Awaits as [`next`](Self::next) does, and merges as [`try_recv_merged`](Self::try_recv_merged) does.
    ///
    /// ```
    /// # use laneway::Merge;
    /// # #[derive(Clone)]
    /// # struct Text(String);
    /// # impl Merge for Text {
    /// #     fn can_merge(&self, _: &Self) -> bool { true }
    /// #     fn merge(&mut self, next: Self) { self.0 += &next.0 }
    /// #     fn size(&self) -> usize { self.0.len() }
    /// # }
    /// # let hub = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// # let mut device = ann.connect()?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// # use laneway::Received;
    /// ann.publish_batch(["a", "b"].map(|text| Text(text.into())))?;
    /// drop(device.next_merged(64)); // in a `select!` that another branch wins, say
    /// let Received::Event(next) = device.next_merged(64).await? else { panic!("no gap") };
    /// assert_eq!(next.event.event.0, "ab");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A dropped future loses no event: the future reads only in the poll that returns.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv). Panics, bounds and progress are those of the two.
    pub async fn next_merged(&mut self, limit: usize) -> Result<Received<Merged<E>>, Closed> {
        let first = self.next().await?;
        // No await from here on: what was taken is returned.
        Ok(self.merge_into(first, limit))
    }

    fn merge_into(&mut self, first: Received<E>, limit: usize) -> Received<Merged<E>> {
        let first = match first {
            Received::Event(first) => first,
            Received::Gap { missed } => return Received::Gap { missed },
        };
        let mut merged = Merged::of(first.event, first.number);
        // A replayed event has come out of the connection, and so may the next one.
        if first.origin == Origin::Live {
            while let Some((number, next)) = self.take_if_merged(&merged.event, limit) {
                merged.event.merge(next);
                merged.last = number;
                merged.pieces += 1;
            }
        }
        Received::Event(Delivered {
            number: first.number,
            event: merged,
            origin: first.origin,
        })
    }

    /// Takes the next event if it can be merged into `into`. Leaves it unread otherwise.
    fn take_if_merged(&mut self, into: &E, limit: usize) -> Option<(u64, E)> {
        let (lane, reader, rare) = (&self.user.lane, &mut self.reader, &mut self.rare);
        let member = lane.member(&self.seat);
        let tell = |verdict| Rare::count(rare, verdict);
        let seen = lane.peek(member, reader, || self.core.time.now(), tell)?;
        let next = seen.event();
        let fits = into.size().checked_add(next.size());
        if fits.is_none_or(|size| size > limit) || !into.can_merge(next) {
            return None;
        }
        Some(lane.take(member, reader, seen, |number, event| (number, event)))
    }
}
