//! Pages that are documentation only.

pub mod guide {
    #![doc = include_str!("docs/guide.md")]
}

pub mod observability {
    #![doc = include_str!("docs/observability.md")]
}

pub mod architecture {
    #![doc = include_str!("docs/overview.md")]

    /// How an event goes through a lane.
    pub mod lane {
        #![doc = include_str!("docs/lane.md")]
    }

    /// How a user's lane is found, and what surrounds it.
    pub mod table {
        #![doc = include_str!("docs/table.md")]
    }

    /// Attempts that were dropped, with figures.
    pub mod decisions {
        #![doc = include_str!("docs/decisions.md")]
    }
}
