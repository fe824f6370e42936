//! Several events in one call: in place, or into a list.

use super::Connection;
use crate::error::{Closed, TryRecvError};
use crate::lane::Step;
use crate::received::{Received, Visited};

impl<E: Send + Sync + 'static> Connection<E> {
    /// Reads up to `max` events in place, in order, without a clone. Returns how many it read, and the gap
    /// at which it stopped.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann").unwrap());
    /// let mut device = ann.connect().unwrap();
    /// ann.publish_batch([3, 4]).unwrap();
    /// let mut sum = 0;
    /// let visited = device.visit(64, |_number, event| sum += event)?;
    /// assert_eq!((visited.events, visited.missed, sum), (2, 0, 7));
    /// # Ok::<(), laneway::Closed>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Closed`] if the connection is closed and nothing was read.
    ///
    /// # Panics
    ///
    /// If `f` does; its event counts as read. Else as [`try_recv`](Self::try_recv), but for `Clone`.
    ///
    /// # Progress
    ///
    /// Lock-free. No other call waits for `f`.
    pub fn visit(&mut self, max: usize, mut f: impl FnMut(u64, &E)) -> Result<Visited, Closed> {
        let mut visited = Visited {
            events: 0,
            missed: 0,
        };
        if self.reader.pending != 0 {
            visited.events = self.visit_pending(max, &mut f);
        }
        let (user, reader, rare) = (&self.user, &mut self.reader, &mut self.rare);
        let member = user.lane.member(&self.seat);
        while visited.events < max {
            let seen = match user.lane.see(member, reader) {
                Some(seen) => Ok(seen),
                None if user.lane.is_idle(member, reader) => break,
                None => Self::search(&self.core, user, member, reader, rare),
            };
            match seen {
                Ok(seen) => {
                    let (number, entered) = user.lane.enter(member, reader, seen);
                    f(number, entered.get());
                }
                Err(Step::Gap(missed)) => {
                    visited.missed = missed;
                    break;
                }
                Err(Step::Closed(reason)) if visited.events == 0 => return Err(Closed { reason }),
                Err(_) => break,
            }
            visited.events += 1;
        }
        Ok(visited)
    }

    #[cold]
    fn visit_pending(&mut self, max: usize, f: &mut impl FnMut(u64, &E)) -> usize {
        let mut events = 0;
        while events < max
            && let Some(delivered) = self.next_pending()
        {
            events += 1;
            f(delivered.number, &delivered.event);
        }
        events
    }
}

impl<E: Clone + Send + Sync + 'static> Connection<E> {
    /// Appends up to `max` events and gaps to `into`. Returns how many.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let mut device = ann.connect()?;
    /// ann.publish_batch([3, 4, 5])?;
    /// let mut batch = Vec::new();
    /// assert_eq!(device.drain(2, &mut batch)?, 2);
    /// assert_eq!((batch.len(), device.unread()), (2, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Closed`] if the connection is closed and nothing was received.
    ///
    /// # Panics
    ///
    /// As [`try_recv`](Self::try_recv). The events received before are in `into`. Progress is as there.
    pub fn drain(&mut self, max: usize, into: &mut Vec<Received<E>>) -> Result<usize, Closed> {
        for count in 0..max {
            match self.try_recv() {
                Ok(received) => into.push(received),
                Err(TryRecvError::Closed(closed)) if count == 0 => return Err(closed),
                Err(_) => return Ok(count),
            }
        }
        Ok(max)
    }
}
