//! A running sandbox's files, whole ones and trees.

use std::ffi::{c_int, c_void};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;

use bytes::Bytes;
use microsandbox_sys as sys;

use super::data::Given;
use super::sandbox::RawSandbox;
use super::strings::{text, Arena};
use super::{api, call};
use crate::error::Result;
use crate::fs::{CopyOptions, CopyProgress, FileInfo, FsEntryKind, Progress};

/// Bytes of the library, which are not copied again.
struct Whole(Given<c_void>, usize);

// SAFETY: memory that nobody else has.
unsafe impl Send for Whole {}

impl AsRef<[u8]> for Whole {
    fn as_ref(&self) -> &[u8] {
        if self.0.ptr().is_null() {
            return &[];
        }
        // SAFETY: the library said how long it is; it lives as long as &self.
        unsafe { std::slice::from_raw_parts(self.0.ptr().cast(), self.1) }
    }
}

/// # Safety
/// What the library filled, which lives during the call.
unsafe fn info(i: &sys::msb_file_info) -> FileInfo {
    // SAFETY: by the caller's word.
    unsafe {
        FileInfo {
            path: text(i.path),
            target: text(i.target),
            mode: i.mode,
            uid: i.uid,
            gid: i.gid,
            nlink: i.nlink,
            rdev: i.rdev,
            kind: FsEntryKind::of(i.mode),
            size: i.size_bytes,
            mtime_s: i.mtime_s,
            mtime_ns: i.mtime_ns,
        }
    }
}

impl RawSandbox {
    pub(crate) fn file_read(&self, path: &str, max: usize) -> Result<Bytes> {
        let mut a = Arena::default();
        let path = a.text("the path", path)?;
        let (mut data, mut len) = (std::ptr::null_mut(), 0);
        // SAFETY: the path lives in the arena; the data is ours.
        unsafe {
            call(|api, e| (api.msb_file_read)(self.ptr(), path, max, &mut data, &mut len, e))?;
            let given = Given::new(data, |api| api.msb_free);
            Ok(Bytes::from_owner(Whole(given, len)))
        }
    }

    pub(crate) fn file_write(&self, path: &str, data: &[u8], mode: u32, flags: u32) -> Result<()> {
        let mut a = Arena::default();
        let path = a.text("the path", path)?;
        let (p, len) = (data.as_ptr().cast(), data.len());
        // SAFETY: the path lives in the arena, the data is only read during the call.
        call(|api, e| unsafe { (api.msb_file_write)(self.ptr(), path, p, len, mode, flags, e) })?;
        Ok(())
    }

    pub(crate) fn file_stat(&self, path: &str, flags: u32) -> Result<FileInfo> {
        let mut a = Arena::default();
        let path = a.text("the path", path)?;
        let mut i = sys::msb_file_info::default();
        // SAFETY: the path lives in the arena; strings of the answer live until the next
        // call of this thread.
        unsafe {
            call(|api, e| (api.msb_file_stat)(self.ptr(), path, flags, &mut i, e))?;
            Ok(info(&i))
        }
    }

    pub(crate) fn file_list(&self, path: &str) -> Result<Vec<FileInfo>> {
        let mut a = Arena::default();
        let path = a.text("the path", path)?;
        let mut l = std::ptr::null_mut();
        // SAFETY: the path lives in the arena; entries live as long as the list, which is ours.
        unsafe {
            call(|api, e| (api.msb_file_list)(self.ptr(), path, &mut l, e))?;
            let given = Given::new(l, |api| api.msb_file_list_free);
            let api = api()?;
            let n = (api.msb_file_list_count)(given.ptr());
            let all = (0..n).filter_map(|i| (api.msb_file_list_get)(given.ptr(), i).as_ref());
            Ok(all.map(|i| info(i)).collect())
        }
    }

    pub(crate) fn file_mkdir(&self, path: &str, mode: u32, flags: u32) -> Result<()> {
        let mut a = Arena::default();
        let path = a.text("the path", path)?;
        // SAFETY: the path lives in the arena; so in the next ones.
        call(|api, e| unsafe { (api.msb_file_mkdir)(self.ptr(), path, mode, flags, e) })?;
        Ok(())
    }

    pub(crate) fn file_remove(&self, path: &str, flags: u32) -> Result<()> {
        let mut a = Arena::default();
        let path = a.text("the path", path)?;
        // SAFETY: as in file_mkdir().
        call(|api, e| unsafe { (api.msb_file_remove)(self.ptr(), path, flags, e) })?;
        Ok(())
    }

    pub(crate) fn file_rename(&self, from: &str, to: &str, flags: u32) -> Result<()> {
        let mut a = Arena::default();
        let (from, to) = (a.text("the path", from)?, a.text("the path", to)?);
        // SAFETY: as in file_mkdir().
        call(|api, e| unsafe { (api.msb_file_rename)(self.ptr(), from, to, flags, e) })?;
        Ok(())
    }

    pub(crate) fn file_chmod(&self, path: &str, mode: u32) -> Result<()> {
        let mut a = Arena::default();
        let path = a.text("the path", path)?;
        // SAFETY: as in file_mkdir().
        call(|api, e| unsafe { (api.msb_file_chmod)(self.ptr(), path, mode, e) })?;
        Ok(())
    }

    pub(crate) fn file_chown(&self, path: &str, uid: u32, gid: u32, flags: u32) -> Result<()> {
        let mut a = Arena::default();
        let path = a.text("the path", path)?;
        // SAFETY: as in file_mkdir().
        call(|api, e| unsafe { (api.msb_file_chown)(self.ptr(), path, uid, gid, flags, e) })?;
        Ok(())
    }

    pub(crate) fn file_symlink(&self, target: &str, path: &str) -> Result<()> {
        let mut a = Arena::default();
        let (target, path) = (a.text("the link's text", target)?, a.text("the path", path)?);
        // SAFETY: as in file_mkdir().
        call(|api, e| unsafe { (api.msb_file_symlink)(self.ptr(), target, path, e) })?;
        Ok(())
    }

    pub(crate) fn file_copy(&self, from: &str, to: &str) -> Result<()> {
        let mut a = Arena::default();
        let (from, to) = (a.text("the path", from)?, a.text("the path", to)?);
        // SAFETY: as in file_mkdir().
        call(|api, e| unsafe { (api.msb_file_copy)(self.ptr(), from, to, e) })?;
        Ok(())
    }

    pub(crate) fn copy_in(&self, from: &Path, to: &str, o: &CopyOptions) -> Result<()> {
        let mut a = Arena::default();
        let opts = copy_opts(&mut a, o);
        let (from, to) = (a.path("the path", from)?, a.text("the path", to)?);
        // SAFETY: strings and the function to tell live in the arena; so in the next ones.
        call(|api, e| unsafe { (api.msb_copy_in)(self.ptr(), from, to, &opts, e) })?;
        Ok(())
    }

    pub(crate) fn copy_out(&self, from: &str, to: &Path, o: &CopyOptions) -> Result<()> {
        let mut a = Arena::default();
        let opts = copy_opts(&mut a, o);
        let (from, to) = (a.text("the path", from)?, a.path("the path", to)?);
        // SAFETY: as in copy_in().
        call(|api, e| unsafe { (api.msb_copy_out)(self.ptr(), from, to, &opts, e) })?;
        Ok(())
    }

    pub(crate) fn copy_in_tar(&self, fd: c_int, to: &str, o: &CopyOptions) -> Result<()> {
        let mut a = Arena::default();
        let opts = copy_opts(&mut a, o);
        let to = a.text("the path", to)?;
        // SAFETY: as in copy_in().
        call(|api, e| unsafe { (api.msb_copy_in_tar)(self.ptr(), fd, to, &opts, e) })?;
        Ok(())
    }

    pub(crate) fn copy_out_tar(&self, from: &str, fd: c_int, o: &CopyOptions) -> Result<()> {
        let mut a = Arena::default();
        let opts = copy_opts(&mut a, o);
        let from = a.text("the path", from)?;
        // SAFETY: as in copy_in().
        call(|api, e| unsafe { (api.msb_copy_out_tar)(self.ptr(), from, fd, &opts, e) })?;
        Ok(())
    }

    pub(crate) fn copy_across(
        &self,
        from: &str,
        target: &RawSandbox,
        to: &str,
        o: &CopyOptions,
    ) -> Result<()> {
        let mut a = Arena::default();
        let opts = copy_opts(&mut a, o);
        let (from, to) = (a.text("the path", from)?, a.text("the path", to)?);
        // SAFETY: as in copy_in(); both handles live during the call.
        call(|api, e| unsafe {
            (api.msb_copy_across)(self.ptr(), from, target.ptr(), to, &opts, e)
        })?;
        Ok(())
    }
}

fn copy_opts(a: &mut Arena, o: &CopyOptions) -> sys::msb_copy_opts {
    let flag = |on: bool, bit: u32| if on { bit } else { 0 };
    let mut c = sys::msb_copy_opts {
        flags: flag(o.owner, sys::MSB_COPY_OWNER)
            | flag(o.follow, sys::MSB_COPY_FOLLOW)
            | flag(o.content, sys::MSB_COPY_CONTENT),
        ..Default::default()
    };
    (c.event, c.event_arg) = copy_event(a, &o.progress);
    c
}

/// Who is told, and what with: lives in the arena.
pub(super) fn copy_event(
    a: &mut Arena,
    tell: &Option<Progress>,
) -> (sys::msb_copy_event_fn, *mut c_void) {
    match tell {
        Some(tell) => (Some(on_copy), a.keep(tell.clone()).cast_mut().cast()),
        None => (None, std::ptr::null_mut()),
    }
}

/// # Safety
/// `arg` is a [`Progress`] that lives as long as the call that this was given to.
unsafe extern "C" fn on_copy(arg: *mut c_void, ev: *const sys::msb_copy_event) -> c_int {
    // SAFETY: by the caller's word; the event lives during this call.
    let (tell, ev) = unsafe { (&*arg.cast::<Progress>(), &*ev) };
    // SAFETY: as above.
    let path = unsafe { text(ev.path) };
    let progress = CopyProgress { path, files: ev.files, bytes: ev.bytes };
    // A program's function may panic, but not through C: then the copy ends.
    let r = catch_unwind(AssertUnwindSafe(|| tell(&progress)));
    c_int::from(r.is_err())
}
