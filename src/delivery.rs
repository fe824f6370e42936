//! What a publish did.

/// What a publish did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Delivery {
    /// The event's number in the user's lane; later events have larger ones.
    pub number: u64,
    /// Connections that the event is for.
    ///
    /// For an event to all of the user's connections: exactly those that were live when it was accepted.
    /// At least one, unless the event is `kept`.
    ///
    /// For an audience: the listed connections that match, counted just before the event is accepted. While
    /// a connection joins this is a lower bound, which may be 0: the newcomer gets the event too if it
    /// matches. A connection that is closed between the count and the acceptance is in the count.
    pub connections: usize,
    /// The hub has [`Retention`](crate::Retention): the event stays in the lane, for connections
    /// that come back, until its place or its weight is needed, or it is too old.
    pub kept: bool,
}

/// What [`UserScope::publish_batch`](crate::UserScope::publish_batch) did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct BatchDelivery {
    /// Events accepted.
    pub events: usize,
    /// The last one's delivery.
    pub last: Option<Delivery>,
}

/// What [`UserScope::publish_to_set`](crate::UserScope::publish_to_set) did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct SetDelivery {
    /// Users whose lane took the event.
    pub users: usize,
    /// Their connections that were live then.
    pub connections: usize,
    /// Users whose lane refused it; the hub counts why.
    pub refused: usize,
}
