//! Large files, in pieces.

use bytes::Bytes;
use microsandbox_sys as sys;
use sys::msb_file;

use super::data::Owned;
use super::sandbox::RawSandbox;
use super::strings::Arena;
use super::{api, call, failed};
use crate::error::Result;

pub(crate) struct RawFile(Owned<msb_file>);

impl RawFile {
    fn open(sandbox: &RawSandbox, path: &str, opts: sys::msb_file_opts) -> Result<Self> {
        let mut a = Arena::default();
        let path = a.text("the path", path)?;
        let mut ptr = std::ptr::null_mut();
        // SAFETY: the path lives in the arena; the handle is ours.
        unsafe {
            call(|api, e| (api.msb_file_open)(sandbox.ptr(), path, &opts, &mut ptr, e))?;
            Ok(Self(Owned::new(ptr, |api| api.msb_file_close)?))
        }
    }

    /// `length` 0: to the end.
    pub(crate) fn read(s: &RawSandbox, path: &str, offset: u64, length: u64) -> Result<Self> {
        let mode = sys::MSB_FILE_READ;
        Self::open(s, path, sys::msb_file_opts { mode, offset, length, ..Default::default() })
    }

    pub(crate) fn write(s: &RawSandbox, path: &str, permissions: u32, flags: u32) -> Result<Self> {
        let mode = sys::MSB_FILE_WRITE;
        Self::open(s, path, sys::msb_file_opts { mode, permissions, flags, ..Default::default() })
    }

    /// At most so much; nothing at the end.
    pub(crate) fn get(&mut self, max: usize) -> Result<Bytes> {
        let mut data = vec![0u8; max];
        let mut error = sys::msb_error::default();
        // SAFETY: the handle lives as long as &mut self; the buffer is of that size.
        let n = unsafe {
            (api()?.msb_file_get)(self.0.ptr(), data.as_mut_ptr().cast(), max, &mut error)
        };
        let n = usize::try_from(n).map_err(|_| failed(n as i32, &error))?;
        data.truncate(n);
        Ok(data.into())
    }

    pub(crate) fn put(&mut self, data: &[u8]) -> Result<()> {
        let (p, len) = (data.as_ptr().cast(), data.len());
        // SAFETY: the handle lives as long as &mut self; the data is only read.
        call(|api, e| unsafe { (api.msb_file_put)(self.0.ptr(), p, len, e) })?;
        Ok(())
    }

    pub(crate) fn finish(&mut self) -> Result<()> {
        // SAFETY: the handle lives as long as &mut self.
        call(|api, e| unsafe { (api.msb_file_finish)(self.0.ptr(), e) })?;
        Ok(())
    }
}
