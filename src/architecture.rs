#![doc = include_str!("architecture/overview.md")]

/// How an event goes through a lane.
pub mod lane {
    #![doc = include_str!("architecture/lane.md")]
}

/// How a user's lane is found, and what surrounds it.
pub mod table {
    #![doc = include_str!("architecture/table.md")]
}

/// What was tried and dropped, with figures.
pub mod decisions {
    #![doc = include_str!("architecture/decisions.md")]
}
