//! Pointers that threads exchange, freed through the epoch. Unsafe code, 1 of 4.
//!
//! # Invariants
//!
//! 1. A word is null, or a pointer from `Arc::into_raw` with tag 0, or a pointer from `Box::into_raw` with tag 1. The
//!    link owns that strong count or that box, and no other link owns it.
//! 2. A value that is exchanged out of a link is freed by a deferred call. That call runs after
//!    every guard that was live at the exchange is gone. So a value that was loaded under a guard
//!    is alive while the guard is.
//! 3. Leaves and nodes are aligned to 2 at least, so the tag bit of a pointer is free.
//! 4. The word of a handover is null, a number below 8, or a pointer from `Box::into_raw` that the
//!    handover owns. Only an exchange from null puts a pointer in, and only a swap takes it out.
#![allow(unsafe_code)] // Ownership passes through an atomic word, which the compiler cannot follow.

use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr;
use std::sync::Arc;

use crate::sync::{AtomicPtr, Fault, Guard, Ordering, broken};

/// The tag of a pointer to a node.
const NODE: usize = 1;

/// An atomic word that owns nothing, a strong count of an `Arc<L>`, or a `Box<N>`.
pub(crate) struct Link<L, N> {
    word: AtomicPtr<()>,
    owns: PhantomData<(Arc<L>, Box<N>)>,
}

// SAFETY: by invariant 1 a link owns an `Arc<L>` and a `Box<N>`, and hands out `&L`, `&N` and `Arc<L>` to other
// threads: sound under the same bounds as an `Arc` of both.
unsafe impl<L: Send + Sync, N: Send + Sync> Send for Link<L, N> {}
// SAFETY: as above.
unsafe impl<L: Send + Sync, N: Send + Sync> Sync for Link<L, N> {}

/// The content that a thread puts into a link.
pub(crate) enum Owned<L, N> {
    Empty,
    Leaf(Arc<L>),
    Node(Box<N>),
}

/// The content of a link, for as long as the guard lives.
pub(crate) enum View<'g, L, N> {
    Empty,
    Leaf(LeafRef<'g, L>),
    Node(NodeRef<'g, N>),
}

impl<L, N> Clone for View<'_, L, N> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<L, N> Copy for View<'_, L, N> {}

/// A leaf under a guard.
pub(crate) struct LeafRef<'g, L> {
    leaf: *const L,
    guard: PhantomData<&'g L>,
}

impl<L> Clone for LeafRef<'_, L> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<L> Copy for LeafRef<'_, L> {}

impl<L> Deref for LeafRef<'_, L> {
    type Target = L;
    fn deref(&self) -> &L {
        self.get()
    }
}

impl<'g, L> LeafRef<'g, L> {
    /// Returns the leaf, for as long as the guard lives.
    pub(crate) fn get(&self) -> &'g L {
        // SAFETY: invariant 2: loaded under the guard whose lifetime this carries.
        unsafe { &*self.leaf }
    }

    /// Returns a strong count of its own, which outlives the guard.
    pub(crate) fn arc(&self) -> Arc<L> {
        // SAFETY: invariants 1 and 2: from `Arc::into_raw`, and the link's count is still there.
        unsafe { Arc::increment_strong_count(self.leaf) };
        // SAFETY: the count that was just added is this one's.
        unsafe { Arc::from_raw(self.leaf) }
    }

    /// Returns whether this is the same allocation as `other`.
    pub(crate) fn is(&self, other: &Arc<L>) -> bool {
        ptr::eq(self.leaf, Arc::as_ptr(other))
    }
}

/// A node under a guard.
pub(crate) struct NodeRef<'g, N> {
    node: *const N,
    guard: PhantomData<&'g N>,
}

impl<N> Clone for NodeRef<'_, N> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<N> Copy for NodeRef<'_, N> {}

impl<'g, N> NodeRef<'g, N> {
    /// Returns the node, for as long as the guard lives.
    pub(crate) fn get(&self) -> &'g N {
        // SAFETY: invariant 2: loaded under the guard whose lifetime this carries.
        unsafe { &*self.node }
    }
}

impl<N> Deref for NodeRef<'_, N> {
    type Target = N;
    fn deref(&self) -> &N {
        self.get()
    }
}

impl<L, N> Owned<L, N> {
    /// Returns the word that owns this content.
    fn into_word(self) -> *mut () {
        const { assert!(align_of::<L>() >= 1 && align_of::<N>() >= 2) };
        match self {
            Self::Empty => ptr::null_mut(),
            // An `Arc`'s value stands behind two counters. The address of a value of alignment 1 is
            // still even, because the size and the alignment of the counters are.
            Self::Leaf(leaf) => Arc::into_raw(leaf).cast::<()>().cast_mut(),
            Self::Node(node) => Box::into_raw(node).cast::<()>().map_addr(|a| a + NODE),
        }
    }
}

impl<L, N> View<'_, L, N> {
    /// Returns the view of a word.
    fn from_word(word: *mut ()) -> Self {
        if word.is_null() {
            Self::Empty
        } else if word.addr() & NODE == 0 {
            Self::Leaf(LeafRef {
                leaf: word.cast(),
                guard: PhantomData,
            })
        } else {
            let node = word.map_addr(|a| a & !NODE).cast();
            Self::Node(NodeRef {
                node,
                guard: PhantomData,
            })
        }
    }

    /// Returns the word that this view was made from.
    fn word(&self) -> *mut () {
        match self {
            Self::Empty => ptr::null_mut(),
            Self::Leaf(leaf) => leaf.leaf.cast::<()>().cast_mut(),
            Self::Node(node) => node.node.cast::<()>().cast_mut().map_addr(|a| a + NODE),
        }
    }
}

impl<L, N> Link<L, N> {
    /// Creates an empty link.
    pub(crate) fn empty() -> Self {
        Self {
            word: AtomicPtr::new(ptr::null_mut()),
            owns: PhantomData,
        }
    }

    /// Creates a link with this content.
    pub(crate) fn new(content: Owned<L, N>) -> Self {
        Self {
            word: AtomicPtr::new(content.into_word()),
            owns: PhantomData,
        }
    }

    /// Returns whether the link owns nothing. Acquire: pairs with the exchange that emptied it.
    pub(crate) fn is_empty(&self) -> bool {
        self.word.load(Ordering::Acquire).is_null()
    }

    /// Loads the link. Acquire: pairs with the exchanges below, so the content is initialized.
    pub(crate) fn load<'g>(&'g self, _guard: &'g Guard) -> View<'g, L, N> {
        View::from_word(self.word.load(Ordering::Acquire))
    }

    /// Exchanges the content that `current` shows for `new`. Returns `new` as the error if the link
    /// has changed.
    ///
    /// `current` was loaded under the guard. So its memory is not freed, and no newer content can
    /// have the same address.
    pub(crate) fn compare_exchange(
        &self,
        current: View<'_, L, N>,
        new: Owned<L, N>,
        guard: &Guard,
    ) -> Result<(), Owned<L, N>> {
        let word = new.into_word();
        match self
            .word
            .compare_exchange(current.word(), word, Ordering::AcqRel, Ordering::Relaxed)
        {
            // This thread has taken the old word out of its only link, so it alone retires it.
            Ok(old) => {
                Self::retire(old, guard);
                Ok(())
            }
            // The word was never published, so this thread still owns what it stands for.
            Err(_) => Err(Self::take(word)),
        }
    }

    /// Puts `new` in, whatever the link holds.
    pub(crate) fn replace(&self, new: Owned<L, N>, guard: &Guard) {
        Self::retire(self.word.swap(new.into_word(), Ordering::AcqRel), guard);
    }

    /// Frees a word that was exchanged out, when no guard can lead to it any more.
    fn retire(old: *mut (), guard: &Guard) {
        if old.is_null() {
            return;
        }
        // Another thread may have loaded the word under its guard, and use it.
        if broken(Fault::FreeAtOnce) {
            drop(Self::take(old));
            return;
        }
        // SAFETY: invariant 2: `old` is out of its only link, and `L` and `N` are `Send` wherever a
        // link is shared, so any thread may drop it.
        unsafe { guard.defer_unchecked(move || drop(Self::take(old))) };
    }

    /// Turns a word that no link holds back into its content. Called once for each word.
    fn take(word: *mut ()) -> Owned<L, N> {
        match View::<L, N>::from_word(word) {
            View::Empty => Owned::Empty,
            View::Leaf(leaf) => {
                // SAFETY: invariant 1, and this word's count is given up here, once.
                Owned::Leaf(unsafe { Arc::from_raw(leaf.leaf) })
            }
            View::Node(node) => {
                // SAFETY: invariant 1, and this word's box is given up here, once.
                Owned::Node(unsafe { Box::from_raw(node.node.cast_mut()) })
            }
        }
    }
}

/// A leaf that is put in once and stays, so no guard is needed to look at it. There is never a
/// node.
pub(crate) struct OnceLink<L>(Link<L, u16>);

impl<L> OnceLink<L> {
    /// Creates a link with this leaf, or an empty one.
    pub(crate) fn new(leaf: Option<Arc<L>>) -> Self {
        Self(Link::new(leaf.map_or(Owned::Empty, Owned::Leaf)))
    }

    pub(crate) fn empty() -> Self {
        Self(Link::empty())
    }

    /// Returns the leaf, if it was put in. Wait-free.
    pub(crate) fn get(&self) -> Option<&L> {
        // Acquire: pairs with the exchange in `set`.
        let leaf = self.0.word.load(Ordering::Acquire).cast::<L>();
        // SAFETY: invariant 1. Only `set` exchanges this link, from null to a leaf. The leaf then
        // stays as long as the link, which is borrowed.
        unsafe { leaf.as_ref() }
    }

    /// Puts `leaf` in, unless there is one. In that case `leaf` is dropped. Returns whether it is in.
    pub(crate) fn set(&self, leaf: Arc<L>, guard: &Guard) -> bool {
        self.0
            .compare_exchange(View::Empty, Owned::Leaf(leaf), guard)
            .is_ok()
    }
}

impl<L, N> Link<L, N> {
    /// Empties a link that no other thread can reach. Returns what it held.
    pub(crate) fn take_owned(&mut self) -> Owned<L, N> {
        Self::take(self.word.swap(ptr::null_mut(), Ordering::Acquire))
    }
}

impl<L, N> Drop for Link<L, N> {
    fn drop(&mut self) {
        drop(self.take_owned());
    }
}

/// A value that one thread hands to another, or the reason why none comes. One exchange decides which.
/// No thread looks at the value in place, so no guard is needed.
pub(crate) struct Handover<T> {
    word: AtomicPtr<T>,
    owns: PhantomData<Box<T>>,
}

/// What a handover has come to.
pub(crate) enum Handed<T> {
    Open,
    Value(Box<T>),
    Over(u8),
}

impl<T: Send> Handover<T> {
    /// Reasons are below it.
    const REASONS: usize = 8;

    pub(crate) fn new() -> Self {
        const { assert!(align_of::<T>() >= Self::REASONS) };
        Self {
            word: AtomicPtr::new(ptr::null_mut()),
            owns: PhantomData,
        }
    }

    /// Hands a value over. Returns it if another value or a reason came first.
    pub(crate) fn put(&self, value: Box<T>) -> Result<(), Box<T>> {
        let word = Box::into_raw(value);
        if self.decide(word) {
            return Ok(());
        }
        // SAFETY: invariant 4: the word was not put in, so this thread still owns the box.
        Err(unsafe { Box::from_raw(word) })
    }

    /// Ends the handover. Returns `false` if a value or another reason came first.
    pub(crate) fn end(&self, reason: u8) -> bool {
        self.decide(Self::word_of(reason))
    }

    /// Takes the value out. Afterwards, and if there is none, the handover is over for `reason`.
    pub(crate) fn withdraw(&self, reason: u8) -> Option<Box<T>> {
        match Self::handed(self.word.swap(Self::word_of(reason), Ordering::AcqRel)) {
            Handed::Value(value) => Some(value),
            Handed::Open | Handed::Over(_) => None,
        }
    }

    /// Takes the value out, if there is one. From then on the handover is over for `reason`.
    pub(crate) fn take(&self, reason: u8) -> Handed<T> {
        let word = self.word.load(Ordering::Acquire);
        if word.addr() < Self::REASONS {
            return Self::handed(word);
        }
        Self::handed(self.word.swap(Self::word_of(reason), Ordering::AcqRel))
    }

    /// Exchanges the word of an open handover. Of all calls one succeeds.
    fn decide(&self, word: *mut T) -> bool {
        let open = ptr::null_mut();
        if broken(Fault::DecideInTwoSteps) {
            let first = self.word.load(Ordering::Acquire).is_null();
            if first {
                self.word.store(word, Ordering::Release);
            }
            return first;
        }
        self.word
            .compare_exchange(open, word, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    fn word_of(reason: u8) -> *mut T {
        debug_assert!((1..Self::REASONS).contains(&usize::from(reason)));
        ptr::without_provenance_mut(reason.into())
    }

    /// Returns what a word stands for. Called with a reason, or once with a word that was exchanged out.
    fn handed(word: *mut T) -> Handed<T> {
        match word.addr() {
            0 => Handed::Open,
            reason if reason < Self::REASONS => Handed::Over(reason as u8),
            // SAFETY: invariant 4: the exchange has taken the word out, and no other thread can.
            _ => Handed::Value(unsafe { Box::from_raw(word) }),
        }
    }
}

impl<T> Drop for Handover<T> {
    fn drop(&mut self) {
        let word = self.word.swap(ptr::null_mut(), Ordering::Acquire);
        if word.addr() >= align_of::<T>() {
            // SAFETY: invariant 4, and no other thread can reach the handover.
            drop(unsafe { Box::from_raw(word) });
        }
    }
}
