//! Events that can be merged: several pieces of one stream as one larger piece.

/// An event that can take up the next one of its stream.
///
/// ```
/// use laneway::Merge;
///
/// /// A piece of an answer.
/// #[derive(Clone, Debug, PartialEq)]
/// struct Tokens { answer: u64, text: String }
///
/// impl Merge for Tokens {
///     fn can_merge(&self, next: &Self) -> bool {
///         self.answer == next.answer
///     }
///     fn merge(&mut self, next: Self) {
///         self.text.push_str(&next.text);
///     }
///     fn size(&self) -> usize {
///         self.text.len()
///     }
/// }
/// let mut first = Tokens { answer: 1, text: "lane".into() };
/// let next = Tokens { answer: 1, text: "way".into() };
/// assert!(first.can_merge(&next));
/// first.merge(next);
/// assert_eq!((first.text.as_str(), first.size()), ("laneway", 7));
/// ```
///
/// [`Connection::try_recv_merged`](crate::Connection::try_recv_merged) merges.
pub trait Merge: Sized {
    /// Returns whether `next`, which comes right after this event, belongs to the same stream.
    ///
    /// It is called while `next` is still unread, and should be cheap. After `false` the event `next` stays
    /// unread.
    fn can_merge(&self, next: &Self) -> bool;

    /// Takes `next` up. Called after [`can_merge`](Self::can_merge) has returned `true`.
    fn merge(&mut self, next: Self);

    /// Returns the size of the event, in any unit that adds up. The limit of a receive is in this unit.
    fn size(&self) -> usize;
}

/// Consecutive events of a connection, merged into one.
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
/// use laneway::Received;
///
/// ann.publish_batch(["to", "ken", "s"].map(|text| Text(text.into())))?;
/// let Ok(Received::Event(next)) = device.try_recv_merged(64) else { panic!("no gap") };
/// let (first, merged) = (next.number, next.event);
/// assert_eq!((first, merged.last, merged.pieces), (0, 2, 3));
/// assert_eq!(merged.event.0, "tokens");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Merged<E> {
    /// The event: the first one, which has taken up the others.
    pub event: E,
    /// The number of the last event. That of the first is in [`Delivered::number`](crate::Delivered::number).
    pub last: u64,
    /// How many events these are. A number in between may be missing: it was for other devices, superseded,
    /// expired, or no event.
    pub pieces: u64,
}

impl<E> Merged<E> {
    /// One event, not merged.
    pub(crate) fn of(event: E, number: u64) -> Self {
        Self {
            event,
            last: number,
            pieces: 1,
        }
    }
}
