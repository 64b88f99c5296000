//! Commands.

use std::ffi::c_int;

use microsandbox_sys as sys;
use sys::{msb_exec, msb_sandbox};

use super::data::{Given, Owned};
use super::options;
use super::sandbox::RawSandbox;
use super::strings::{bytes, text, Arena};
use super::{api, call, failed};
use crate::error::{MicrosandboxError, Result};
use crate::exec::{ExecEvent, ExecFailed, ExecOptions, ExecOutput, ExitStatus, Stdin};

/// `stdin`: somebody will write.
fn opts(a: &mut Arena, o: &ExecOptions, stdin: bool) -> Result<sys::msb_exec_opts> {
    let flag = |on: bool, bit: u32| if on { bit } else { 0 };
    Ok(sys::msb_exec_opts {
        flags: flag(o.tty, sys::MSB_EXEC_TTY)
            | flag(stdin, sys::MSB_EXEC_STDIN)
            | flag(o.image_command, sys::MSB_EXEC_IMAGE_COMMAND)
            | flag(o.shell, sys::MSB_EXEC_SHELL)
            | flag(o.no_log, sys::MSB_EXEC_NO_LOG)
            | flag(o.main, sys::MSB_EXEC_MAIN),
        rows: o.rows,
        cols: o.cols,
        argv: a.list("an argument", &o.argv)?,
        env: a.pairs("env", &o.env)?,
        rlimits: a.list("rlimits", &o.rlimits)?,
        entrypoint: a.opt("the entrypoint", &o.entrypoint)?,
        cwd: a.opt("the working folder", &o.cwd)?,
        user: a.opt("the user", &o.user)?,
        ..Default::default()
    })
}

pub(crate) fn exit_status(code: i32, signal: i32) -> ExitStatus {
    if signal > 0 {
        ExitStatus::new(128 + signal, Some(signal))
    } else {
        ExitStatus::new(code, None)
    }
}

/// # Safety
/// What msb_exec_run() gave, or NULL; it is freed here.
unsafe fn take_output(o: *mut sys::msb_output) -> Option<ExecOutput> {
    // SAFETY: by the caller's word; bytes live as long as the output.
    unsafe {
        let given = Given::new(o, |api| api.msb_output_free);
        let o = given.ptr().as_ref()?;
        Some(ExecOutput {
            status: exit_status(o.code, o.signal),
            stdout: bytes(o.out, o.out_len),
            stderr: bytes(o.err, o.err_len),
            stdout_truncated: o.truncated & 1 != 0,
            stderr_truncated: o.truncated & 2 != 0,
        })
    }
}

pub(crate) fn run(sandbox: &RawSandbox, o: &ExecOptions) -> Result<ExecOutput> {
    let mut a = Arena::default();
    let opts = opts(&mut a, o, false)?;
    let ms = options::wait_millis("the time limit", o.timeout)?;
    let (input, len) = match &o.stdin {
        Stdin::Bytes(b) if b.is_empty() => (c"".as_ptr().cast(), 0),
        Stdin::Bytes(b) => (b.as_ptr().cast(), b.len()),
        Stdin::Null => (std::ptr::null(), 0),
        Stdin::Pipe => {
            return Err(MicrosandboxError::invalid(
                "a pipe for input needs a command that streams: exec_stream",
            ))
        }
    };
    let mut out = std::ptr::null_mut();
    let mut error = sys::msb_error::default();
    // SAFETY: strings live in the arena, input in the options; the output is ours, also when
    // the time was up.
    let (r, output) = unsafe {
        let api = api()?;
        let r = (api.msb_exec_run)(
            sandbox.ptr(),
            &opts,
            input,
            len,
            o.max_output,
            ms,
            &mut out,
            &mut error,
        );
        (r, take_output(out))
    };
    match (r, output) {
        (0.., Some(output)) => Ok(output),
        (0.., None) => Err(MicrosandboxError::internal("the library gave no output")),
        (_, output) => {
            let mut e = failed(r, &error);
            e.info_mut().output = output;
            Err(e)
        }
    }
}

/// What the library tells of a command.
pub(crate) enum Told {
    Event(ExecEvent),
    Exited(ExitStatus),
    /// More input is taken again.
    Writable,
}

/// A command that runs. Nothing of it blocks, but for [`detach`](Self::detach).
pub(crate) struct RawExec(Owned<msb_exec>);

impl RawExec {
    /// # Safety
    /// The handle is the caller's to free.
    unsafe fn new(ptr: *mut msb_exec) -> Result<Self> {
        // SAFETY: by the caller's word.
        Ok(Self(unsafe { Owned::new(ptr, |api| api.msb_exec_free)? }))
    }

    pub(crate) fn start(sandbox: &RawSandbox, o: &ExecOptions) -> Result<Self> {
        let mut a = Arena::default();
        let opts = opts(&mut a, o, !matches!(o.stdin, Stdin::Null))?;
        let mut ptr = std::ptr::null_mut();
        // SAFETY: strings live in the arena; the handle is ours.
        unsafe {
            call(|api, e| (api.msb_exec_start)(sandbox.ptr(), &opts, &mut ptr, e))?;
            Self::new(ptr)
        }
    }

    pub(crate) fn attach(sandbox: &RawSandbox, session: u64) -> Result<Self> {
        let mut ptr = std::ptr::null_mut();
        // SAFETY: the handle is ours.
        unsafe {
            let sandbox: *mut msb_sandbox = sandbox.ptr();
            call(|api, e| (api.msb_exec_attach)(sandbox, session, &mut ptr, e))?;
            Self::new(ptr)
        }
    }

    /// The descriptor lives as long as the handle.
    pub(crate) fn fd(&self) -> Result<c_int> {
        // SAFETY: the handle lives as long as &self; so in the next ones.
        Ok(unsafe { (api()?.msb_exec_fd)(self.0.ptr()) })
    }

    pub(crate) fn session(&self) -> Result<u64> {
        // SAFETY: as in fd().
        Ok(unsafe { (api()?.msb_exec_session)(self.0.ptr()) })
    }

    pub(crate) fn is_tty(&self) -> Result<bool> {
        // SAFETY: as in fd().
        Ok(unsafe { (api()?.msb_exec_is_tty)(self.0.ptr()) } != 0)
    }

    pub(crate) fn unread(&self) -> Result<usize> {
        // SAFETY: as in fd().
        Ok(unsafe { (api()?.msb_exec_unread)(self.0.ptr()) })
    }

    /// What came in the meantime.
    pub(crate) fn next(&mut self) -> Result<Option<Told>> {
        let mut ev = sys::msb_exec_event::default();
        // SAFETY: as in fd(); what the event points to is copied before the next call.
        unsafe {
            let n = call(|api, e| (api.msb_exec_next)(self.0.ptr(), 0, &mut ev, e))?;
            if n == 0 {
                return Ok(None);
            }
            Ok(Some(match ev.kind {
                sys::MSB_EXEC_STARTED => Told::Event(ExecEvent::Started { pid: ev.pid }),
                sys::MSB_EXEC_STDOUT => Told::Event(ExecEvent::Stdout(bytes(ev.data, ev.len))),
                sys::MSB_EXEC_STDERR => Told::Event(ExecEvent::Stderr(bytes(ev.data, ev.len))),
                sys::MSB_EXEC_EXITED => Told::Exited(exit_status(ev.code, ev.signal)),
                sys::MSB_EXEC_FAILED => Told::Event(ExecEvent::Failed(ExecFailed::never_ran(
                    text(ev.stage),
                    ev.error_no,
                    text(ev.message),
                ))),
                _ => Told::Writable,
            }))
        }
    }

    /// How much was taken.
    pub(crate) fn write(&mut self, data: &[u8]) -> Result<usize> {
        let mut error = sys::msb_error::default();
        // SAFETY: as in fd(); the bytes are only read during the call.
        let n = unsafe {
            (api()?.msb_exec_write)(self.0.ptr(), data.as_ptr().cast(), data.len(), &mut error)
        };
        usize::try_from(n).map_err(|_| failed(n as c_int, &error))
    }

    pub(crate) fn close_stdin(&mut self) -> Result<()> {
        // SAFETY: as in fd().
        call(|api, e| unsafe { (api.msb_exec_close_stdin)(self.0.ptr(), e) })?;
        Ok(())
    }

    pub(crate) fn signal(&mut self, signal: i32) -> Result<()> {
        // SAFETY: as in fd().
        call(|api, e| unsafe { (api.msb_exec_signal)(self.0.ptr(), signal, e) })?;
        Ok(())
    }

    pub(crate) fn resize(&mut self, rows: u16, cols: u16) -> Result<()> {
        // SAFETY: as in fd().
        call(|api, e| unsafe { (api.msb_exec_resize)(self.0.ptr(), rows, cols, e) })?;
        Ok(())
    }

    pub(crate) fn detach(&mut self) -> Result<()> {
        // SAFETY: as in fd().
        call(|api, e| unsafe { (api.msb_exec_detach)(self.0.ptr(), e) })?;
        Ok(())
    }
}
