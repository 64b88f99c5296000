//! Finding and loading the library.

use std::ffi::{CStr, CString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::Functions;

/// Its name where the system has it.
const SONAME: &str = "libmicrosandbox.so.0";

/// Why the library cannot be used.
#[derive(Debug, Clone)]
pub struct LoadError {
    message: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for LoadError {}

/// The library, which stays loaded until the process ends: its threads may run.
pub struct Library {
    /// Where it was found.
    pub path: PathBuf,
    /// What it has.
    pub functions: Functions,
}

impl Library {
    /// Load it from `MICROSANDBOX_LIBRARY` when that is set, else from `runtime/` beside the
    /// program, else from where the system has its libraries.
    pub fn open() -> Result<Self, LoadError> {
        if let Some(path) = std::env::var_os("MICROSANDBOX_LIBRARY").filter(|p| !p.is_empty()) {
            return Self::open_at(Path::new(&path));
        }
        if let Some(path) = beside_program().filter(|p| p.exists()) {
            return Self::open_at(&path);
        }
        Self::open_at(Path::new(SONAME))
    }

    /// Load it from a file; a name without a slash is looked for by the system.
    pub fn open_at(path: &Path) -> Result<Self, LoadError> {
        let name = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| LoadError { message: "the library's path holds a NUL".into() })?;
        // SAFETY: a string that ends with NUL. What runs while the library is loaded is its
        // own: the caller chose the file.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if handle.is_null() {
            return Err(last_error(&format!("{} cannot be loaded", path.display())));
        }
        let find = |symbol: &'static CStr| {
            // SAFETY: a handle of dlopen(), which is never closed when it worked.
            let found = unsafe { libc::dlsym(handle, symbol.as_ptr()) };
            if found.is_null() {
                let what = format!("{} is older than this crate", path.display());
                return Err(last_error(&what));
            }
            Ok(found)
        };
        // SAFETY: the symbols of a library of this name are those of the header; it only adds.
        match unsafe { Functions::load(find) } {
            Ok(functions) => Ok(Self { path: path.to_owned(), functions }),
            Err(e) => {
                // SAFETY: nothing of it is used.
                unsafe { libc::dlclose(handle) };
                Err(e)
            }
        }
    }
}

/// Where a program carries the library that it was shipped with.
fn beside_program() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    Some(program.parent()?.join("runtime").join(SONAME))
}

/// What dlerror() says of the last failure of this thread.
fn last_error(what: &str) -> LoadError {
    // SAFETY: the string lives until the next call of these functions in this thread.
    let said = unsafe {
        let p = libc::dlerror();
        if p.is_null() {
            String::new()
        } else {
            CStr::from_ptr(p).to_string_lossy().into_owned()
        }
    };
    LoadError { message: format!("{what}: {said}") }
}
