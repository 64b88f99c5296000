//! What happens to a command.

use bytes::Bytes;

use super::ExitStatus;
use crate::error::{ErrorInfo, MicrosandboxError, Result};

/// What happens to a command.
#[derive(Debug, Clone)]
pub enum ExecEvent {
    /// It runs.
    Started {
        /// In the guest.
        pid: u32,
    },
    /// It wrote to standard output.
    Stdout(Bytes),
    /// It wrote to standard error.
    Stderr(Bytes),
    /// It ended. The last event; [`ExecHandle::status`](super::ExecHandle::status) knows the
    /// signal.
    Exited {
        /// Its exit code; 128+n when signal n killed it.
        code: i32,
    },
    /// It never ran, or ([`lost`](ExecFailed::lost)) what became of it will not be known. The last
    /// event.
    Failed(ExecFailed),
    /// Never told: input that nobody reads is dropped. It is here for a `match` that was written
    /// for the Rust system, whose events are these.
    StdinError(ExecFailed),
}

/// Why there is no exit code.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExecFailed {
    /// The step that failed: user, cwd, rlimit, pty, exec or fork.
    pub stage: Option<String>,
    /// Linux's number of the error.
    pub errno: Option<i32>,
    /// In words.
    pub message: String,
    /// As the error that [`wait`](super::ExecHandle::wait) gives.
    pub error: MicrosandboxError,
}

impl ExecFailed {
    pub(crate) fn never_ran(stage: String, errno: i32, message: String) -> Self {
        let mut info =
            ErrorInfo::new(microsandbox_sys::MSB_ERR_EXEC, format!("{stage}: {message}"));
        info.errno = errno;
        info.stage = Some(stage.clone());
        let error = MicrosandboxError::from_info(info);
        Self { stage: Some(stage), errno: Some(errno), message, error }
    }

    /// It ran, and what became of it will not be known: the machine ended under it
    /// (`error.is_gone()`), or its time was up (`error.is_timeout()`).
    pub fn lost(&self) -> bool {
        !self.error.is_exec_failed()
    }
}

impl From<MicrosandboxError> for ExecFailed {
    fn from(error: MicrosandboxError) -> Self {
        Self { stage: None, errno: None, message: error.message().to_owned(), error }
    }
}

pub(super) fn lost(e: MicrosandboxError) -> ExecEvent {
    ExecEvent::Failed(e.into())
}

/// How a command ended, when this is its last event.
pub(super) fn end_of(event: ExecEvent, status: Option<ExitStatus>) -> Option<Result<ExitStatus>> {
    match event {
        ExecEvent::Exited { code } => Some(Ok(status.unwrap_or(ExitStatus::new(code, None)))),
        ExecEvent::Failed(f) => Some(Err(f.error)),
        _ => None,
    }
}
