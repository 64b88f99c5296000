//! Commands in sandboxes.

mod args;
mod event;
mod handle;
mod stdin;

use std::string::FromUtf8Error;
use std::time::Duration;

use bytes::Bytes;

pub use args::IntoArgs;
pub use event::{ExecEvent, ExecFailed};
pub use handle::{ExecControl, ExecHandle};
pub use stdin::ExecSink;

use crate::data::IntoData;

/// Where a command's standard input comes from.
#[derive(Debug, Clone, Default)]
pub(crate) enum Stdin {
    #[default]
    Null,
    Pipe,
    Bytes(Bytes),
}

/// How a command is run.
#[derive(Debug, Clone, Default)]
pub struct ExecOptions {
    pub(crate) argv: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) rlimits: Vec<String>,
    pub(crate) entrypoint: Option<String>,
    pub(crate) cwd: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) stdin: Stdin,
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_output: usize,
    pub(crate) tty: bool,
    pub(crate) rows: u16,
    pub(crate) cols: u16,
    pub(crate) shell: bool,
    pub(crate) image_command: bool,
    pub(crate) no_log: bool,
    pub(crate) main: bool,
}

impl ExecOptions {
    pub(crate) fn command(command: String) -> Self {
        Self { argv: vec![command], ..Self::default() }
    }

    pub(crate) fn script(script: String) -> Self {
        Self { argv: vec![script], shell: true, ..Self::default() }
    }

    pub(crate) fn of_image() -> Self {
        Self { image_command: true, ..Self::default() }
    }

    pub(crate) fn has_pipe(&self) -> bool {
        matches!(self.stdin, Stdin::Pipe)
    }

    pub(crate) fn input(&self) -> Option<Bytes> {
        match &self.stdin {
            Stdin::Bytes(b) => Some(b.clone()),
            _ => None,
        }
    }

    fn with(mut self, f: impl FnOnce(&mut Self)) -> Self {
        f(&mut self);
        self
    }

    /// Take all of `other` that was put together beforehand: its arguments go behind those that
    /// are here, the rest replaces what is here.
    pub fn options(mut self, other: ExecOptions) -> Self {
        self.argv.extend(other.argv);
        Self { argv: self.argv, shell: self.shell, image_command: self.image_command, ..other }
    }

    /// One more argument.
    pub fn arg(self, arg: impl Into<String>) -> Self {
        self.with(|e| e.argv.push(arg.into()))
    }

    /// More arguments.
    pub fn args(self, args: impl IntoArgs) -> Self {
        self.with(|e| e.argv.extend(args.into_args()))
    }

    /// Where it begins.
    pub fn cwd(self, path: impl Into<String>) -> Self {
        self.with(|e| e.cwd = Some(path.into()))
    }

    /// Who it runs as: NAME, UID, NAME:GROUP or UID:GID.
    pub fn user(self, user: impl Into<String>) -> Self {
        self.with(|e| e.user = Some(user.into()))
    }

    /// A variable.
    pub fn env(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|e| e.env.push((key.into(), value.into())))
    }

    /// Several variables.
    pub fn envs<K: Into<String>, V: Into<String>>(
        self,
        vars: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.with(|e| e.env.extend(vars.into_iter().map(|(k, v)| (k.into(), v.into()))))
    }

    /// A limit: nofile, nproc, cpu, ...
    pub fn rlimit(self, resource: impl AsRef<str>, limit: u64) -> Self {
        self.with(|e| e.rlimits.push(format!("{}={limit}", resource.as_ref())))
    }

    /// A limit that it can raise to `hard`.
    pub fn rlimit_range(self, resource: impl AsRef<str>, soft: u64, hard: u64) -> Self {
        self.with(|e| e.rlimits.push(format!("{}={soft}:{hard}", resource.as_ref())))
    }

    /// It is killed when it takes longer.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|e| e.timeout = Some(timeout))
    }

    /// What it reads.
    pub fn stdin_bytes(self, data: impl IntoData) -> Self {
        self.with(|e| e.stdin = Stdin::Bytes(data.into_data()))
    }

    /// It reads what [`ExecHandle::take_stdin`] is given.
    pub fn stdin_pipe(self) -> Self {
        self.with(|e| e.stdin = Stdin::Pipe)
    }

    /// It reads nothing: the default.
    pub fn stdin_null(self) -> Self {
        self.with(|e| e.stdin = Stdin::Null)
    }

    /// It has a terminal; all it writes is standard output.
    pub fn tty(self, tty: bool) -> Self {
        self.with(|e| e.tty = tty)
    }

    /// The size of its terminal.
    pub fn size(self, rows: u16, cols: u16) -> Self {
        self.with(|e| (e.rows, e.cols) = (rows, cols))
    }

    /// How much of each stream is collected (64 MiB); more is dropped, and the output says so.
    pub fn max_output(self, bytes: usize) -> Self {
        self.with(|e| e.max_output = bytes)
    }

    /// Of the image's command: in place of its entrypoint.
    pub fn entrypoint(self, program: impl Into<String>) -> Self {
        self.with(|e| e.entrypoint = Some(program.into()))
    }

    /// What it writes does not go to the sandbox's logs.
    pub fn no_log(self) -> Self {
        self.with(|e| e.no_log = true)
    }

    /// The machine ends with it, once it is [detached](ExecHandle::detach).
    pub fn main(self) -> Self {
        self.with(|e| e.main = true)
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExitStatus {
    /// Its exit code; 128+n when signal n killed it.
    pub code: i32,
    /// Whether that is 0.
    pub success: bool,
    /// The signal that killed it, by the guest's number.
    pub signal: Option<i32>,
}

impl ExitStatus {
    pub(crate) fn new(code: i32, signal: Option<i32>) -> Self {
        Self { code, success: code == 0, signal }
    }
}

/// What a command wrote, and how it ended.
#[derive(Debug, Clone)]
pub struct ExecOutput {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Bytes,
    pub(crate) stderr: Bytes,
    pub(crate) stdout_truncated: bool,
    pub(crate) stderr_truncated: bool,
}

impl ExecOutput {
    /// How it ended.
    pub fn status(&self) -> ExitStatus {
        self.status
    }

    /// Its exit code; 128+n when signal n killed it.
    pub fn code(&self) -> i32 {
        self.status.code
    }

    /// Whether the code is 0.
    pub fn success(&self) -> bool {
        self.status.success
    }

    /// What it wrote to standard output, which must be UTF-8.
    pub fn stdout(&self) -> Result<String, FromUtf8Error> {
        String::from_utf8(self.stdout.to_vec())
    }

    /// What it wrote to standard error, which must be UTF-8.
    pub fn stderr(&self) -> Result<String, FromUtf8Error> {
        String::from_utf8(self.stderr.to_vec())
    }

    /// What it wrote to standard output.
    pub fn stdout_bytes(&self) -> &Bytes {
        &self.stdout
    }

    /// What it wrote to standard error.
    pub fn stderr_bytes(&self) -> &Bytes {
        &self.stderr
    }

    /// Whether something of it went past the limit and was dropped.
    pub fn truncated(&self) -> bool {
        self.stdout_truncated || self.stderr_truncated
    }
}

/// Limits of a process: what `rlimit` takes, which takes their names, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum RlimitResource {
    Cpu,
    Fsize,
    Data,
    Stack,
    Core,
    Rss,
    Nproc,
    Nofile,
    Memlock,
    As,
    Locks,
    Sigpending,
    Msgqueue,
    Nice,
    Rtprio,
    Rttime,
}

impl AsRef<str> for RlimitResource {
    fn as_ref(&self) -> &str {
        match self {
            Self::Cpu => "cpu",
            Self::Fsize => "fsize",
            Self::Data => "data",
            Self::Stack => "stack",
            Self::Core => "core",
            Self::Rss => "rss",
            Self::Nproc => "nproc",
            Self::Nofile => "nofile",
            Self::Memlock => "memlock",
            Self::As => "as",
            Self::Locks => "locks",
            Self::Sigpending => "sigpending",
            Self::Msgqueue => "msgqueue",
            Self::Nice => "nice",
            Self::Rtprio => "rtprio",
            Self::Rttime => "rttime",
        }
    }
}
