//! All that is unsafe: the library's functions as safe ones that block. Nothing else of the
//! crate touches a pointer.
//!
//! Rules that hold in all of these modules, and that their SAFETY comments lean on:
//!
//! - Strings and lists for C live in an [`Arena`](strings::Arena) until the call has returned.
//! - What C returns by pointer is copied before the handle it belongs to can go.
//! - A handle is behind a type whose `Drop` frees it, once, in a thread of the pool.
//! - Homes and sandboxes may be used by many threads; all other handles are either owned (`&mut`)
//!   or behind a lock.

pub(crate) mod cancel;
pub(crate) mod data;
pub(crate) mod exec;
pub(crate) mod exit;
pub(crate) mod file;
pub(crate) mod files;
pub(crate) mod home;
pub(crate) mod image;
pub(crate) mod logs;
pub(crate) mod options;
pub(crate) mod poller;
pub(crate) mod record;
pub(crate) mod sandbox;
pub(crate) mod snapshot;
pub(crate) mod strings;
pub(crate) mod volume;

use std::ffi::c_int;
use std::sync::Mutex;
use std::sync::OnceLock;

use microsandbox_sys::{msb_error, Functions, Library};

use crate::error::{ErrorInfo, MicrosandboxError, Result};

struct Loaded {
    library: Library,
    pid: u32,
}

static LOADED: OnceLock<Loaded> = OnceLock::new();
static LOADING: Mutex<()> = Mutex::new(());

fn loaded() -> Result<&'static Loaded> {
    if let Some(l) = LOADED.get() {
        return Ok(l);
    }
    let _one = LOADING.lock().unwrap_or_else(|e| e.into_inner());
    if let Some(l) = LOADED.get() {
        return Ok(l);
    }
    let library = Library::open().map_err(|e| {
        MicrosandboxError::install(
            e.to_string(),
            "install microsandbox, or set MICROSANDBOX_LIBRARY to the path of \
             libmicrosandbox.so.0",
        )
    })?;
    let pid = std::process::id();
    Ok(LOADED.get_or_init(|| Loaded { library, pid }))
}

/// The library's functions, for a call. Not behind a fork(): its threads and handles are the
/// parent's.
pub(crate) fn api() -> Result<&'static Functions> {
    let l = loaded()?;
    if l.pid != std::process::id() {
        let info = ErrorInfo::new(
            microsandbox_sys::MSB_ERR_UNSUPPORTED,
            format!(
                "this process is a fork of process {}, which has the sandboxes: they cannot be \
                 used here",
                l.pid
            ),
        );
        return Err(MicrosandboxError::from_info(ErrorInfo {
            hint: "start another program instead of forking, or fork before the first call".into(),
            ..info
        }));
    }
    Ok(&l.library.functions)
}

/// Where the library was found.
pub(crate) fn library_path() -> Result<std::path::PathBuf> {
    Ok(loaded()?.library.path.clone())
}

/// A call that can fail: its number, or the error that it told.
pub(crate) fn call(f: impl FnOnce(&Functions, *mut msb_error) -> c_int) -> Result<c_int> {
    let api = api()?;
    let mut error = msb_error::default();
    let r = f(api, &mut error);
    check(r, &error)
}

pub(crate) fn check(r: c_int, error: &msb_error) -> Result<c_int> {
    if r < 0 {
        Err(failed(r, error))
    } else {
        Ok(r)
    }
}

/// What an error struct of C says; `r` is what the call returned.
pub(crate) fn failed(r: c_int, error: &msb_error) -> MicrosandboxError {
    let code = if error.code > 0 { error.code } else { r.wrapping_neg() };
    let mut info = ErrorInfo::new(code, strings::text_of_array(&error.message));
    info.errno = error.sys_errno;
    info.hint = strings::text_of_array(&error.hint);
    if code == microsandbox_sys::MSB_ERR_EXEC {
        info.stage = info.message.split_once(": ").map(|(stage, _)| stage.to_owned());
    }
    MicrosandboxError::from_info(info)
}
