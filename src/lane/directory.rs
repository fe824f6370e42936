//! A lane's arenas, and the root by which the lane finds them. Unsafe code, 4 of 4.
//!
//! The invariants are those of `arena`.
#![allow(unsafe_code)] // Pointers that a lane's words guard.

use std::ptr::{self, NonNull};

use super::arena::{Arena, Header};
use super::words::Run;
use crate::sync::{AtomicPtr, AtomicU64, Guard, Ordering};

/// Arenas in the first part of a directory. Every further part is as long as all parts before it.
const FIRST_PART: usize = 4;
/// Parts of a directory.
const PARTS: usize = 9;
/// The most arenas of one lane. A lane of 65 536 events fills 256. A connection that stands still
/// can keep one from use, and there are up to 255. A publisher that stands still can keep one as
/// well. 1 024 leave room for 510 of these, and for three more.
pub(super) const MAX_ARENAS: usize = FIRST_PART << (PARTS - 1);

/// A lane's arenas, and what the lane has noted about its bursts.
pub(super) struct Directory<E> {
    /// The number of the claim that the directory was made for.
    born: u64,
    /// The slots of each arena.
    len: usize,
    /// The base of the current burst's first arena, once the run has left that arena.
    began: AtomicU64,
    /// The highest critical number that was evicted.
    lost: AtomicU64,
    /// The highest number that was evicted.
    evicted: AtomicU64,
    /// The run that the last sweep saw while the lane was hot. The sweeper frees the directory if
    /// the next sweep sees the same run.
    pub(super) swept: AtomicU64,
    first: [AtomicPtr<Header<E>>; FIRST_PART],
    /// Boxed slices of pointers to arenas, allocated when they are needed. A part never moves, so a
    /// thread may keep a reference into it while another thread adds arenas.
    parts: [AtomicPtr<AtomicPtr<Header<E>>>; PARTS - 1],
}

fn null<T>() -> AtomicPtr<T> {
    AtomicPtr::new(ptr::null_mut())
}

impl<E> Directory<E> {
    /// Creates a directory with one arena of `len` slots, for a burst that begins with `born`.
    pub(super) fn new(born: u64, len: usize) -> Self {
        let directory = Self {
            born,
            len,
            began: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            swept: AtomicU64::new(0),
            first: std::array::from_fn(|_| null()),
            parts: std::array::from_fn(|_| null()),
        };
        directory.make(0);
        directory
    }

    pub(super) fn born(&self) -> u64 {
        self.born
    }
    pub(super) fn began(&self) -> u64 {
        // Acquire: pairs with `raise_began`.
        self.began.load(Ordering::Acquire)
    }
    pub(super) fn lost(&self) -> u64 {
        // Acquire: pairs with `note_lost`. The publisher notes before it takes the arena, so a
        // reader that finds the arena taken finds the note.
        self.lost.load(Ordering::Acquire)
    }
    pub(super) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Acquire)
    }
    pub(super) fn raise_began(&self, base: u64) {
        self.began.fetch_max(base, Ordering::AcqRel);
    }
    pub(super) fn note_lost(&self, number: u64) {
        self.lost.fetch_max(number, Ordering::AcqRel);
    }
    pub(super) fn note_evicted(&self, number: u64) {
        self.evicted.fetch_max(number, Ordering::AcqRel);
    }
    /// Returns the number with which the burst's arenas begin. Lower numbers lie in the hot slot.
    pub(super) fn start(&self, run: Run) -> u64 {
        if run.is_first() {
            run.base()
        } else {
            self.began()
        }
    }

    /// Returns the pointer to arena `i`, if its part was made.
    #[inline]
    fn entry(&self, i: usize) -> Option<&AtomicPtr<Header<E>>> {
        if i < FIRST_PART {
            return Some(&self.first[i]);
        }
        self.entry_of_part(i)
    }

    /// As `entry`, for an index beyond the first part.
    #[cold]
    fn entry_of_part(&self, i: usize) -> Option<&AtomicPtr<Header<E>>> {
        if i >= MAX_ARENAS {
            return None;
        }
        let (part, offset) = Self::place(i);
        // Acquire: pairs with the exchange in `make_part`, so the part is initialized.
        let part = NonNull::new(self.parts[part].load(Ordering::Acquire))?;
        // SAFETY: `place` is inside the part.
        let entry = unsafe { part.add(offset) };
        // SAFETY: initialized before it was published, and freed with the directory.
        Some(unsafe { entry.as_ref() })
    }

    fn place(i: usize) -> (usize, usize) {
        let part = (i / FIRST_PART).ilog2() as usize;
        (part, i - (FIRST_PART << part))
    }

    /// Returns arena `i`, if it was made.
    #[inline]
    pub(super) fn get(&self, i: usize) -> Option<Arena<'_, E>> {
        // Acquire: pairs with the exchange in `make`, so the arena is initialized. It lives as long
        // as the directory.
        let at = NonNull::new(self.entry(i)?.load(Ordering::Acquire))?;
        Some(Arena::of(at))
    }

    /// Returns arena `i`, which a run of this directory names.
    #[inline]
    pub(super) fn at(&self, i: usize) -> Arena<'_, E> {
        self.get(i).expect("a run names arenas that exist")
    }

    /// Returns all arenas with their indices. Arenas are made in the order of indices.
    pub(super) fn arenas(&self) -> impl Iterator<Item = (usize, Arena<'_, E>)> {
        (0..MAX_ARENAS).map_while(|i| Some((i, self.get(i)?)))
    }

    /// Returns arena `i`, and makes it first if it is missing. Returns `None` beyond the last
    /// index.
    pub(super) fn make(&self, i: usize) -> Option<Arena<'_, E>> {
        if i >= MAX_ARENAS {
            return None;
        }
        if self.entry(i).is_none() {
            self.make_part(Self::place(i).0);
        }
        let entry = self.entry(i)?;
        // Allocated before the exchange: a publisher that is stopped here holds up no other.
        let fresh = Arena::allocate(self.len);
        let (ok, err) = (Ordering::AcqRel, Ordering::Acquire);
        let null = ptr::null_mut();
        if entry
            .compare_exchange(null, fresh.pointer().as_ptr(), ok, err)
            .is_err()
        {
            // Another thread has published its arena first, and no other thread has seen this one.
            fresh.free();
        }
        self.get(i)
    }

    /// Allocates a part, unless another thread has.
    fn make_part(&self, part: usize) {
        let len = FIRST_PART << part;
        let fresh: Box<[AtomicPtr<Header<E>>]> = (0..len).map(|_| null()).collect();
        let fresh = Box::into_raw(fresh).cast::<AtomicPtr<Header<E>>>();
        let (ok, err) = (Ordering::AcqRel, Ordering::Acquire);
        let at = &self.parts[part];
        if at
            .compare_exchange(ptr::null_mut(), fresh, ok, err)
            .is_err()
        {
            Self::free_part(fresh, len);
        }
    }

    /// Frees a part that no other thread can reach.
    fn free_part(part: *mut AtomicPtr<Header<E>>, len: usize) {
        // SAFETY: from a boxed slice of that length in `make_part`, and its last user frees it.
        drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(part, len)) });
    }

    /// Returns whether no reader has pinned an arena and no publisher may be inside a void slot.
    /// Whether events are unread the caller knows from the state.
    pub(super) fn is_unoccupied(&self) -> bool {
        self.arenas()
            .all(|(_, arena)| arena.load().pins() == 0 && arena.voids() == 0)
    }
}

impl<E> Drop for Directory<E> {
    fn drop(&mut self) {
        // The directory's last user is that of its arenas.
        self.arenas().for_each(|(_, arena)| arena.free());
        for (part, at) in self.parts.iter().enumerate() {
            let base = at.load(Ordering::Acquire);
            if !base.is_null() {
                Self::free_part(base, FIRST_PART << part);
            }
        }
    }
}

/// The pointer by which a lane finds its directory, if it has one.
pub(super) struct Root<E>(AtomicPtr<Directory<E>>);

// SAFETY: a root owns a directory with its arenas and slots, like a box of them.
unsafe impl<E: Send> Send for Root<E> {}
// SAFETY: it shares `&E` between threads, and drops events on others than wrote them.
unsafe impl<E: Send + Sync> Sync for Root<E> {}

impl<E> Root<E> {
    pub(super) fn new() -> Self {
        Self(null())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Acquire).is_null()
    }

    pub(super) fn load<'g>(&self, _guard: &'g Guard) -> Option<&'g Directory<E>> {
        // Acquire: pairs with the exchange in `replace`, so the directory is initialized.
        let at = NonNull::new(self.0.load(Ordering::Acquire))?;
        // SAFETY: invariants 2 and 3: freed after the guard at the earliest.
        Some(unsafe { at.as_ref() })
    }

    /// Returns the directory, for a thread that owns a number in it, counts for one, or holds a
    /// pin.
    #[inline]
    pub(super) fn without_guard(&self) -> &Directory<E> {
        // Acquire: pairs with the exchange in `replace`, so the directory is initialized.
        let at = NonNull::new(self.0.load(Ordering::Acquire)).expect("a burst has a directory");
        // SAFETY: invariant 3.
        unsafe { at.as_ref() }
    }

    /// Exchanges `current`, which was loaded under the guard, for `fresh`. Returns `false` if
    /// another thread has changed the root. Then `fresh` is freed.
    pub(super) fn replace<'g>(
        &self,
        current: Option<&'g Directory<E>>,
        fresh: Option<Box<Directory<E>>>,
        guard: &'g Guard,
    ) -> bool {
        let from = current.map_or(ptr::null_mut(), |d| ptr::from_ref(d).cast_mut());
        let to = fresh.map_or(ptr::null_mut(), Box::into_raw);
        let (ok, err) = (Ordering::AcqRel, Ordering::Acquire);
        if let Ok(old) = self.0.compare_exchange(from, to, ok, err) {
            if let Some(old) = NonNull::new(old) {
                let retired = Retired(old);
                // SAFETY: invariant 2: it is out of its only root, and freed once.
                unsafe { guard.defer_unchecked(move || retired.free()) };
            }
            return true;
        }
        if let Some(fresh) = NonNull::new(to) {
            // No other thread has seen it.
            Retired(fresh).free();
        }
        false
    }
}

struct Retired<E>(NonNull<Directory<E>>);

impl<E> Retired<E> {
    fn free(self) {
        // SAFETY: from `Box::into_raw` in `replace`, and freed once, by its last user.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

impl<E> Drop for Root<E> {
    fn drop(&mut self) {
        if let Some(at) = NonNull::new(self.0.load(Ordering::Acquire)) {
            Retired(at).free();
        }
    }
}
