//! The system's allocator with a count of the bytes in use, in a process that asks for the count.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};

/// The suite's allocator. Every other workload pays one relaxed load for it, each peer the same.
pub(crate) struct Counting;

static ON: AtomicBool = AtomicBool::new(false);
static IN_USE: AtomicIsize = AtomicIsize::new(0);

/// Starts to count: before the first allocation that is of interest.
pub(crate) fn start() {
    ON.store(true, Ordering::Relaxed);
}

/// The bytes asked for and not yet given back since [`start`].
pub(crate) fn in_use() -> f64 {
    IN_USE.load(Ordering::Relaxed) as f64
}

/// Has the allocator return its free pages. Left to itself glibc returns them only from the end of
/// the heap, so that one small chunk there decides whether hundreds of megabytes show as resident.
pub(crate) fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            safe fn malloc_trim(pad: usize) -> i32;
        }
        malloc_trim(0);
    }
}

fn count(more: usize, less: usize) {
    if ON.load(Ordering::Relaxed) {
        IN_USE.fetch_add(more as isize - less as isize, Ordering::Relaxed);
    }
}

// SAFETY: each method hands its arguments to the system's allocator as they are, and returns its
// result as it is; the count is apart from the memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promise about the layout is the one that the system asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller has `at` from this allocator, which has it from the system's.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: as in `dealloc`; the caller's promise about the size is the system's condition.
        unsafe { System.realloc(at, layout, size) }
    }
}
