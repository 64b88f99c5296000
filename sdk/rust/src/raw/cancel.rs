//! Tokens that end calls which wait.

use std::sync::Mutex;

use microsandbox_sys::msb_cancel;

use super::{api, call};
use crate::error::Result;

struct Raw(*mut msb_cancel);

// SAFETY: a token may be fired from any thread, and is used by one thread at a time.
unsafe impl Send for Raw {}
// SAFETY: as above.
unsafe impl Sync for Raw {}

/// Tokens that nobody has: making one costs more than taking one.
static FREE: Mutex<Vec<Raw>> = Mutex::new(Vec::new());
const FREE_MAX: usize = 64;

/// One call's token. It goes back when the last who knows it lets it go, so that nobody can
/// fire it for the call of somebody else.
pub(crate) struct Token(Raw);

impl Token {
    pub(crate) fn new() -> Result<Self> {
        api()?;
        if let Some(raw) = FREE.lock().unwrap_or_else(|e| e.into_inner()).pop() {
            return Ok(Self(raw));
        }
        let mut raw = std::ptr::null_mut();
        // SAFETY: both pointers are to locals.
        call(|api, e| unsafe { (api.msb_cancel_new)(&mut raw, e) })?;
        Ok(Self(Raw(raw)))
    }

    /// Calls in `f` end soon after [`fire`](Self::fire).
    pub(crate) fn scope<T>(&self, f: impl FnOnce() -> T) -> Result<T> {
        let api = api()?;
        // SAFETY: the token lives as long as &self, and is out of use before this returns:
        // Out's drop also runs when `f` panics.
        unsafe { (api.msb_cancel_use)(self.0 .0) };
        let _out = Out;
        Ok(f())
    }

    pub(crate) fn fire(&self) {
        if let Ok(api) = api() {
            // SAFETY: it lives as long as &self; any thread may do it.
            unsafe { (api.msb_cancel_fire)(self.0 .0) };
        }
    }
}

struct Out;

impl Drop for Out {
    fn drop(&mut self) {
        not_any_more();
    }
}

/// From here on the calls of this thread are not cancelled: what must be cleaned up is.
pub(crate) fn not_any_more() {
    if let Ok(api) = api() {
        // SAFETY: NULL is allowed.
        unsafe { (api.msb_cancel_use)(std::ptr::null_mut()) };
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        let Ok(api) = api() else { return };
        let mut free = FREE.lock().unwrap_or_else(|e| e.into_inner());
        if free.len() < FREE_MAX {
            // SAFETY: it is ours, and no thread uses it.
            unsafe { (api.msb_cancel_reset)(self.0 .0) };
            free.push(Raw(self.0 .0));
        } else {
            // SAFETY: as above, and it is not used again.
            unsafe { (api.msb_cancel_free)(self.0 .0) };
        }
    }
}
