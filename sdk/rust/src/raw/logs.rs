//! Logs.

use std::ffi::c_int;

use microsandbox_sys as sys;
use sys::msb_logs;

use super::data::Owned;
use super::home::RawHome;
use super::strings::{bytes, Arena};
use super::{api, call};
use crate::error::{MicrosandboxError, Result};
use crate::logs::{LogEntry, LogOptions, LogSource};

pub(crate) struct RawLogs(Owned<msb_logs>);

fn source(s: i32) -> LogSource {
    match s as u32 {
        sys::MSB_LOG_STDOUT => LogSource::Stdout,
        sys::MSB_LOG_STDERR => LogSource::Stderr,
        sys::MSB_LOG_OUTPUT => LogSource::Output,
        sys::MSB_LOG_CONSOLE => LogSource::Console,
        _ => LogSource::System,
    }
}

fn bit(s: LogSource) -> u32 {
    match s {
        LogSource::Stdout => sys::MSB_LOG_STDOUT,
        LogSource::Stderr => sys::MSB_LOG_STDERR,
        LogSource::Output => sys::MSB_LOG_OUTPUT,
        LogSource::Console => sys::MSB_LOG_CONSOLE,
        LogSource::System => sys::MSB_LOG_SYSTEM,
    }
}

fn unix_ms(t: Option<std::time::SystemTime>) -> Result<i64> {
    let Some(t) = t else { return Ok(0) };
    let ms = t.duration_since(std::time::UNIX_EPOCH).map(|d| d.as_millis()).unwrap_or(0);
    // 0 would be no bound at all.
    i64::try_from(ms.max(1)).map_err(|_| MicrosandboxError::invalid("a time is too late"))
}

impl RawLogs {
    pub(crate) fn open(home: &RawHome, name: &str, o: &LogOptions, follow: bool) -> Result<Self> {
        let mut a = Arena::default();
        let opts = sys::msb_log_opts {
            sources: o.sources.iter().fold(0, |all, s| all | bit(*s)),
            follow: follow.into(),
            tail: o.tail.unwrap_or(0) as u64,
            since_ms: unix_ms(o.since)?,
            until_ms: unix_ms(o.until)?,
            session: o.session.unwrap_or(0),
            ..Default::default()
        };
        let name = a.text("the name", name)?;
        let mut ptr = std::ptr::null_mut();
        // SAFETY: the name lives in the arena; the handle is ours.
        unsafe {
            call(|api, e| (api.msb_logs_open)(home.ptr(), name, &opts, &mut ptr, e))?;
            Ok(Self(Owned::new(ptr, |api| api.msb_logs_free)?))
        }
    }

    fn one(&mut self, timeout_ms: c_int) -> Result<Option<LogEntry>> {
        let mut e = sys::msb_log_entry::default();
        // SAFETY: the handle lives as long as &mut self; data is copied before the next call.
        unsafe {
            let ptr = self.0.ptr();
            let n = call(|api, err| (api.msb_logs_next)(ptr, timeout_ms, &mut e, err))?;
            Ok((n > 0).then(|| LogEntry {
                unix_ms: e.unix_ms,
                session: (e.session != 0).then_some(e.session),
                source: source(e.source),
                data: bytes(e.data, e.len),
            }))
        }
    }

    /// What there is, at most so many; waits for the first if `wait`. None is the end.
    pub(crate) fn some(&mut self, max: usize, wait: bool) -> Result<Vec<LogEntry>> {
        let mut all = Vec::new();
        while all.len() < max {
            let timeout = if wait && all.is_empty() { -1 } else { 0 };
            match self.one(timeout)? {
                Some(e) => all.push(e),
                None => break,
            }
        }
        Ok(all)
    }

    pub(crate) fn ended(&self) -> Result<bool> {
        // SAFETY: the handle lives as long as &self.
        Ok(unsafe { (api()?.msb_logs_ended)(self.0.ptr()) } != 0)
    }
}
