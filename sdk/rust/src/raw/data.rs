//! Handles of C behind types that free them.

use std::ptr::NonNull;

use microsandbox_sys::Functions;

use super::api;
use crate::error::{MicrosandboxError, Result};

/// How a handle is freed.
pub(crate) type Free<T> = fn(&Functions) -> unsafe extern "C" fn(*mut T);

/// A handle that lives on its own. Freeing it may take a while, so a thread of the pool does it.
pub(crate) struct Owned<T: 'static> {
    ptr: NonNull<T>,
    free: Free<T>,
}

// SAFETY: handles belong to no thread; one at a time uses them, unless their type says more.
unsafe impl<T> Send for Owned<T> {}

impl<T> Owned<T> {
    /// # Safety
    /// The handle is the caller's to free, by what `free` names, and by nobody else.
    pub(crate) unsafe fn new(ptr: *mut T, free: Free<T>) -> Result<Self> {
        match NonNull::new(ptr) {
            Some(ptr) => Ok(Self { ptr, free }),
            None => Err(MicrosandboxError::internal("the library gave no handle")),
        }
    }

    pub(crate) fn ptr(&self) -> *mut T {
        self.ptr.as_ptr()
    }

    /// Free it here and now.
    pub(crate) fn free_now(self) {
        let (ptr, free) = (self.ptr, self.free);
        std::mem::forget(self);
        if let Ok(api) = api() {
            // SAFETY: it was ours, and is gone with this.
            unsafe { free(api)(ptr.as_ptr()) };
        }
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        let again = Self { ptr: self.ptr, free: self.free };
        let again = std::mem::ManuallyDrop::new(again);
        crate::pool::free(move || {
            let again = again;
            std::mem::ManuallyDrop::into_inner(again).free_now();
        });
    }
}

/// What a call gave and is copied at once.
pub(crate) struct Given<T: 'static> {
    ptr: *mut T,
    free: Free<T>,
}

impl<T> Given<T> {
    /// # Safety
    /// As of [`Owned::new`]; NULL is fine.
    pub(crate) unsafe fn new(ptr: *mut T, free: Free<T>) -> Self {
        Self { ptr, free }
    }

    pub(crate) fn ptr(&self) -> *mut T {
        self.ptr
    }
}

impl<T> Drop for Given<T> {
    fn drop(&mut self) {
        if let Ok(api) = api() {
            // SAFETY: it is ours, and NULL is fine.
            unsafe { (self.free)(api)(self.ptr) };
        }
    }
}

/// A list of strings that C made.
///
/// # Safety
/// `list` came from the library and is freed by msb_strings_free(), or is NULL.
pub(crate) unsafe fn take_strings(list: *mut *mut std::ffi::c_char) -> Vec<String> {
    // SAFETY: by the caller's word.
    let given = unsafe { Given::new(list, |api| api.msb_strings_free) };
    // SAFETY: a list that ends with NULL, which lives as long as `given`.
    unsafe { super::strings::list(given.ptr() as *const *const std::ffi::c_char) }
}

/// A string that C made.
///
/// # Safety
/// `text` came from the library and is freed by msb_free(), or is NULL.
pub(crate) unsafe fn take_text(text: *mut std::ffi::c_char) -> String {
    // SAFETY: by the caller's word.
    let given = unsafe { Given::new(text.cast::<std::ffi::c_void>(), |api| api.msb_free) };
    // SAFETY: a string, which lives as long as `given`.
    unsafe { super::strings::text(given.ptr().cast()) }
}
