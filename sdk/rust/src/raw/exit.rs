//! The end of the process: handles that are being freed have a moment to be.

use std::sync::{Condvar, Mutex, Once};
use std::time::{Duration, Instant};

static PENDING: Mutex<usize> = Mutex::new(0);
static CHANGED: Condvar = Condvar::new();
static HOOK: Once = Once::new();

/// How long the process's end waits. The kernel ends what is left then.
const PATIENCE: Duration = Duration::from_secs(5);

/// One more thing that should be done before the process ends; until [`Pending`] is dropped.
pub(crate) struct Pending(());

pub(crate) fn pending() -> Pending {
    HOOK.call_once(|| {
        // SAFETY: the function is there as long as the process, and does not unwind.
        unsafe { libc::atexit(wait) };
    });
    *PENDING.lock().unwrap_or_else(|e| e.into_inner()) += 1;
    Pending(())
}

impl Drop for Pending {
    fn drop(&mut self) {
        *PENDING.lock().unwrap_or_else(|e| e.into_inner()) -= 1;
        CHANGED.notify_all();
    }
}

extern "C" fn wait() {
    // Behind a fork() the threads that would do it are not there.
    if super::api().is_err() {
        return;
    }
    let end = Instant::now() + PATIENCE;
    let Ok(mut n) = PENDING.lock() else { return };
    while *n > 0 {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        match CHANGED.wait_timeout(n, left) {
            Ok((m, _)) => n = m,
            Err(_) => return,
        }
    }
}
