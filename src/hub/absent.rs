//! Users without a connection, whose lanes are kept.

use super::Hub;
use crate::id::UserId;

impl<E: Send + Sync + 'static> Hub<E> {
    /// Ends the lane that [`Retention`](crate::Retention) keeps for a user without a connection, before the grace
    /// is over. Returns whether there was one.
    ///
    /// ```
    /// # use laneway::{Hub, Resumed, Retention, UserId};
    /// let hub: Hub<u8> = Hub::builder().retention(Some(Retention::events(16))).build()?;
    /// let ann = hub.scope(UserId::new("ann")?);
    /// let phone = ann.connect()?;
    /// let position = phone.position();
    /// assert!(!hub.end_absent(ann.user())); // ann is online
    /// drop(phone);
    /// assert!(hub.end_absent(ann.user()));
    /// assert_eq!(ann.resume(&position)?.1, Resumed::Reset);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// At [`max_absent_users`](crate::Retention#structfield.max_absent_users) the user who leaves last loses the
    /// lane. A host without a limit of its users ends the lanes of those who left first, and stays below that limit. So
    /// many users who come and go do not take the lane of a user who reloads a page.
    ///
    /// The user's kept events are dropped, and memberships of rooms end with the lane unless they are
    /// [kept](crate::Memberships::Kept). A connection that joins meanwhile keeps its lane, and the call returns
    /// `false`, or gets a new one.
    ///
    /// # Panics
    ///
    /// If the `Drop` of a kept event panics.
    ///
    /// # Progress
    ///
    /// Lock-free, linear in the kept events and the user's rooms.
    pub fn end_absent(&self, user: &UserId) -> bool {
        self.core.end_absent(user)
    }
}
