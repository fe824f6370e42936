//! A value that is allocated when it is first touched, and an array that is allocated in parts.
//! Unsafe code, 2 of 3.
//!
//! The parts hold 1/8, 1/8, 1/4 and 1/2 of the elements, so that a lane that has carried few events
//! holds little memory. Below 8 elements there is one part, and one is all they need.
//!
//! # Invariants
//!
//! 1. A base is null, or points to a boxed slice of the part's length, initialized before the base
//!    was published. It is published once and freed with the array.
//! 2. A `Lazy` is null, or points to a boxed value, under the same rules.
//! 3. A place is inside its part.
#![allow(unsafe_code)] // Arrays that appear under shared references, without a lock.

use std::ptr;

use crate::sync::{AtomicPtr, Ordering};

/// A value that appears when it is first asked for.
pub(crate) struct Lazy<T>(AtomicPtr<T>);

// SAFETY: an owned value like a `Box<T>`; allocation may happen on any thread, hence `Send`.
unsafe impl<T: Send> Send for Lazy<T> {}
// SAFETY: shares `&T` and creates a `T` that another thread drops.
unsafe impl<T: Send + Sync> Sync for Lazy<T> {}

impl<T> Lazy<T> {
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// The value, if it was ever asked for.
    #[inline]
    pub(crate) fn peek(&self) -> Option<&T> {
        // Acquire: the value is initialized.
        let at = self.0.load(Ordering::Acquire);
        // SAFETY: invariant 2: null, or initialized and never borrowed mutably before the drop.
        unsafe { at.as_ref() }
    }

    /// The value, made now if need be; of several that are made at once one stays.
    #[inline]
    pub(crate) fn get_or(&self, make: impl FnOnce() -> T) -> &T {
        match self.peek() {
            Some(value) => value,
            None => self.allocate(make()),
        }
    }

    #[cold]
    #[inline(never)]
    fn allocate(&self, value: T) -> &T {
        let fresh = Box::into_raw(Box::new(value));
        let null = ptr::null_mut();
        let (ok, err) = (Ordering::AcqRel, Ordering::Acquire);
        let at = match self.0.compare_exchange(null, fresh, ok, err) {
            Ok(_) => fresh,
            Err(first) => {
                // SAFETY: from a box, and nobody has seen it.
                drop(unsafe { Box::from_raw(fresh) });
                first
            }
        };
        // SAFETY: invariant 2.
        unsafe { &*at }
    }
}

impl<T> Drop for Lazy<T> {
    fn drop(&mut self) {
        // Acquire: whoever dropped last may not be who allocated.
        let at = self.0.load(Ordering::Acquire);
        if !at.is_null() {
            // SAFETY: invariant 2, and nobody else can reach it any more.
            drop(unsafe { Box::from_raw(at) });
        }
    }
}

/// The element that a fresh array has at `index`.
pub(crate) trait Initial {
    fn initial(index: usize) -> Self;
}

/// Where an element is.
#[derive(Clone, Copy)]
struct Place {
    part: usize,
    offset: usize,
}

/// An array in `PARTS` parts: 4, or 1 for a short one.
pub(crate) struct Segments<T, const PARTS: usize> {
    bases: [AtomicPtr<T>; PARTS],
    len: u32,
    /// The length of the first part: an eighth, or all of a short array.
    first: u32,
}

// SAFETY: an owned array like a `Box<[T]>`; allocation may happen on any thread, hence `Send`.
unsafe impl<T: Send, const PARTS: usize> Send for Segments<T, PARTS> {}
// SAFETY: shares `&T` and creates `T`s that other threads drop.
unsafe impl<T: Send + Sync, const PARTS: usize> Sync for Segments<T, PARTS> {}

impl<T: Initial, const PARTS: usize> Segments<T, PARTS> {
    /// `len` is a power of two.
    pub(crate) fn new(len: usize) -> Self {
        debug_assert!(len.is_power_of_two() && (PARTS == 4 || len < 8));
        Self {
            bases: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            len: len as u32,
            first: if len < 8 { len as u32 } else { len as u32 / 8 },
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// The element at `index`, which is less than the length.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> &T {
        let place = self.place(index);
        // Acquire: the elements are initialized.
        let mut base = self.bases[place.part].load(Ordering::Acquire);
        if base.is_null() {
            base = self.allocate(place.part);
        }
        // SAFETY: the base of that part.
        unsafe { self.element(base, place) }
    }

    /// The element at `index`, which is less than the length, unless its part was never touched.
    #[inline]
    pub(crate) fn peek(&self, index: usize) -> Option<&T> {
        let place = self.place(index);
        // Acquire: the elements are initialized.
        let base = self.bases[place.part].load(Ordering::Acquire);
        // SAFETY: as above.
        (!base.is_null()).then(|| unsafe { self.element(base, place) })
    }

    /// The element at a place in the part with this base.
    ///
    /// # Safety
    ///
    /// The base is that of the place's part, and not null.
    #[inline]
    unsafe fn element(&self, base: *mut T, place: Place) -> &T {
        debug_assert!(place.offset < self.part_len(place.part));
        // SAFETY: invariants 1 and 3.
        let at = unsafe { base.add(place.offset) };
        // SAFETY: invariant 1: initialized, and never borrowed mutably before the array is dropped.
        unsafe { &*at }
    }

    #[cold]
    fn allocate(&self, part: usize) -> *mut T {
        let (start, len) = (self.part_start(part), self.part_len(part));
        let fresh: Box<[T]> = (start..start + len).map(T::initial).collect();
        let fresh = Box::into_raw(fresh).cast::<T>();
        match self.bases[part].compare_exchange(
            ptr::null_mut(),
            fresh,
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => fresh,
            Err(first) => {
                free(fresh, len);
                first
            }
        }
    }
}

impl<T, const PARTS: usize> Segments<T, PARTS> {
    /// Where `index`, which is less than the length, is.
    #[inline]
    fn place(&self, index: usize) -> Place {
        debug_assert!(index < self.len as usize);
        if PARTS == 1 || index < self.first as usize {
            return Place {
                part: 0,
                offset: index,
            };
        }
        let first = self.first as usize;
        let part = 1 + usize::from(index >= 2 * first) + usize::from(index >= 4 * first);
        Place {
            part,
            offset: index - self.part_start(part),
        }
    }

    /// The index of a part's first element: part 0 is as long as part 1, every other twice its
    /// predecessor.
    #[inline]
    fn part_start(&self, part: usize) -> usize {
        match part {
            0 => 0,
            part => (self.first as usize) << (part - 1),
        }
    }

    fn part_len(&self, part: usize) -> usize {
        self.part_start(part).max(self.first as usize)
    }
}

/// Frees an array of `len` that nobody else can reach.
fn free<T>(base: *mut T, len: usize) {
    let slice = ptr::slice_from_raw_parts_mut(base, len);
    // SAFETY: invariant 1: from a boxed slice of `len`, and the caller is its last user.
    drop(unsafe { Box::from_raw(slice) });
}

impl<T, const PARTS: usize> Drop for Segments<T, PARTS> {
    fn drop(&mut self) {
        for part in 0..PARTS {
            // Acquire: as in `get`; whoever dropped last may not be who allocated.
            let base = self.bases[part].load(Ordering::Acquire);
            if !base.is_null() {
                free(base, self.part_len(part));
            }
        }
    }
}

#[cfg(all(test, not(any(laneway_loom, laneway_shuttle))))]
mod tests {
    use std::cell::Cell;

    use super::*;

    impl Initial for usize {
        fn initial(index: usize) -> Self {
            index
        }
    }

    #[test]
    fn every_index_has_an_element_of_its_own() {
        for bits in 1..=16 {
            let segments = Segments::<usize, 4>::new(1 << bits);
            for index in (0..1 << bits).rev() {
                assert_eq!(*segments.get(index), index);
            }
            for (part, base) in segments.bases.iter().enumerate() {
                let used = bits >= 3 || part == 0;
                assert_eq!(base.load(Ordering::Acquire).is_null(), !used);
            }
        }
    }

    thread_local! {
        static ALIVE: Cell<usize> = const { Cell::new(0) };
    }

    struct Counted;

    impl Initial for Counted {
        fn initial(_: usize) -> Self {
            ALIVE.set(ALIVE.get() + 1);
            Self
        }
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            ALIVE.set(ALIVE.get() - 1);
        }
    }

    #[test]
    fn parts_go_with_their_array() {
        for (touched, alive) in [(0, 2), (2, 2), (4, 4), (15, 8)] {
            let segments = Segments::<Counted, 4>::new(16);
            segments.get(touched);
            assert_eq!(ALIVE.get(), alive);
            // A part that comes too late, as of two threads that allocate at once.
            let part = segments.place(touched).part;
            segments.allocate(part);
            assert_eq!(ALIVE.get(), alive);
            drop(segments);
            assert_eq!(ALIVE.get(), 0);
        }
    }
}
