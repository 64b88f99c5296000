//! Text on its way to C and back.

use std::ffi::{c_char, CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{MicrosandboxError, Result};

/// Keeps what pointers of a call point to. Whatever is put in stays where it is until the arena
/// goes: each thing has its own allocation.
#[derive(Default)]
pub(crate) struct Arena {
    strings: Vec<CString>,
    lists: Vec<Box<[*const c_char]>>,
    things: Vec<Box<dyn std::any::Any>>,
}

impl Arena {
    /// A string; `what` names it in the error about a NUL.
    pub(crate) fn text(&mut self, what: &str, text: &str) -> Result<*const c_char> {
        self.bytes(what, text.as_bytes())
    }

    pub(crate) fn path(&mut self, what: &str, path: &Path) -> Result<*const c_char> {
        self.bytes(what, path.as_os_str().as_bytes())
    }

    fn bytes(&mut self, what: &str, bytes: &[u8]) -> Result<*const c_char> {
        let s = CString::new(bytes)
            .map_err(|_| MicrosandboxError::invalid(format!("{what} holds a NUL")))?;
        let p = s.as_ptr();
        self.strings.push(s);
        Ok(p)
    }

    /// NULL for what is not given.
    pub(crate) fn opt(&mut self, what: &str, text: &Option<String>) -> Result<*const c_char> {
        text.as_deref().map_or(Ok(std::ptr::null()), |t| self.text(what, t))
    }

    pub(crate) fn opt_path(
        &mut self,
        what: &str,
        path: Option<impl AsRef<Path>>,
    ) -> Result<*const c_char> {
        path.map_or(Ok(std::ptr::null()), |p| self.path(what, p.as_ref()))
    }

    /// A list that ends with NULL; NULL when it is empty.
    pub(crate) fn list<S: AsRef<OsStr>>(
        &mut self,
        what: &str,
        items: impl IntoIterator<Item = S>,
    ) -> Result<*const *const c_char> {
        let mut list = Vec::new();
        for i in items {
            list.push(self.bytes(what, i.as_ref().as_bytes())?);
        }
        if list.is_empty() {
            return Ok(std::ptr::null());
        }
        list.push(std::ptr::null());
        let list = list.into_boxed_slice();
        let p = list.as_ptr();
        self.lists.push(list);
        Ok(p)
    }

    /// KEY=VALUE of each pair.
    pub(crate) fn pairs(
        &mut self,
        what: &str,
        pairs: &[(String, String)],
    ) -> Result<*const *const c_char> {
        for (k, _) in pairs {
            if k.is_empty() || k.contains('=') {
                return Err(MicrosandboxError::invalid(format!("{what}: {k:?} cannot be a name")));
            }
        }
        self.list(what, pairs.iter().map(|(k, v)| format!("{k}={v}")))
    }

    /// A struct, or a list of them.
    pub(crate) fn keep<T: 'static>(&mut self, thing: T) -> *const T {
        let thing = Box::new(thing);
        let p: *const T = &*thing;
        self.things.push(thing);
        p
    }

    /// A list of pointers to structs that ends with NULL; NULL when it is empty.
    pub(crate) fn structs<T: 'static>(&mut self, items: Vec<T>) -> *const *const T {
        if items.is_empty() {
            return std::ptr::null();
        }
        let mut list: Vec<*const T> = items.into_iter().map(|i| self.keep(i)).collect();
        list.push(std::ptr::null());
        let list = list.into_boxed_slice();
        let p = list.as_ptr();
        self.things.push(Box::new(list));
        p
    }
}

/// The text behind a pointer of C; "" for NULL. What is no UTF-8 is replaced.
///
/// # Safety
/// `p` is NULL, or points to a string that ends with NUL and lives during the call.
pub(crate) unsafe fn text(p: *const c_char) -> String {
    if p.is_null() {
        return String::new();
    }
    // SAFETY: by the caller's word.
    unsafe { CStr::from_ptr(p) }.to_string_lossy().into_owned()
}

/// # Safety
/// `p` is NULL, or a list that ends with NULL of such strings as [`text`] takes.
pub(crate) unsafe fn list(mut p: *const *const c_char) -> Vec<String> {
    let mut all = Vec::new();
    // SAFETY: by the caller's word; the end is looked at before it is gone past.
    unsafe {
        while !p.is_null() && !(*p).is_null() {
            all.push(text(*p));
            p = p.add(1);
        }
    }
    all
}

/// KEY=VALUE of each, apart.
///
/// # Safety
/// As of [`list`].
pub(crate) unsafe fn pairs(p: *const *const c_char) -> Vec<(String, String)> {
    // SAFETY: by the caller's word.
    let all = unsafe { list(p) };
    all.into_iter()
        .map(|s| match s.split_once('=') {
            Some((k, v)) => (k.to_owned(), v.to_owned()),
            None => (s, String::new()),
        })
        .collect()
}

/// # Safety
/// `p` is readable for `len` bytes, or `len` is 0.
pub(crate) unsafe fn bytes(p: *const std::ffi::c_void, len: usize) -> bytes::Bytes {
    if p.is_null() || len == 0 {
        return bytes::Bytes::new();
    }
    // SAFETY: by the caller's word.
    bytes::Bytes::copy_from_slice(unsafe { std::slice::from_raw_parts(p.cast(), len) })
}

/// Text in an array of C, up to its NUL.
pub(crate) fn text_of_array(array: &[c_char]) -> String {
    let bytes: Vec<u8> = array.iter().take_while(|c| **c != 0).map(|c| *c as u8).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
