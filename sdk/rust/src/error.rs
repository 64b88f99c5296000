//! What can go wrong.

use std::fmt;

use crate::exec::ExecOutput;

/// The result of all that can fail here.
pub type Result<T, E = MicrosandboxError> = std::result::Result<T, E>;

/// What an error says, whatever its kind.
#[derive(Debug, Clone)]
pub struct ErrorInfo {
    pub(crate) code: i32,
    pub(crate) errno: i32,
    pub(crate) message: String,
    pub(crate) hint: String,
    pub(crate) stage: Option<String>,
    pub(crate) console: String,
    pub(crate) output: Option<ExecOutput>,
}

impl ErrorInfo {
    pub(crate) fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            errno: 0,
            message: message.into(),
            hint: String::new(),
            stage: None,
            console: String::new(),
            output: None,
        }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $constant:ident, $name:literal, $check:ident;)*) => {
        /// One variant for each code of the library. All carry the same [`ErrorInfo`].
        #[derive(Debug, Clone)]
        #[non_exhaustive]
        pub enum MicrosandboxError {
            $($(#[$doc])* $variant(Box<ErrorInfo>),)*
        }

        impl MicrosandboxError {
            pub(crate) fn from_info(info: ErrorInfo) -> Self {
                let info = Box::new(info);
                match info.code {
                    $(microsandbox_sys::$constant => Self::$variant(info),)*
                    _ => Self::Internal(info),
                }
            }

            /// All that it says.
            pub fn info(&self) -> &ErrorInfo {
                match self {
                    $(Self::$variant(info) => info,)*
                }
            }

            pub(crate) fn info_mut(&mut self) -> &mut ErrorInfo {
                match self {
                    $(Self::$variant(info) => info,)*
                }
            }

            /// The name of the variant.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => stringify!($variant),)*
                }
            }

            /// The name of the code, as `msb_code_name()` has it.
            pub fn code_name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)*
                }
            }

            $(
                #[doc = concat!("Whether it is [`", stringify!($variant), "`](Self::",
                                stringify!($variant), ").")]
                pub fn $check(&self) -> bool {
                    matches!(self, Self::$variant(_))
                }
            )*
        }
    };
}

kinds! {
    /// A fault of the library itself.
    Internal = MSB_ERR_INTERNAL, "internal", is_internal;
    /// An argument is wrong.
    InvalidConfig = MSB_ERR_INVALID, "invalid", is_invalid_config;
    /// An image, a file, a sandbox, a volume or a snapshot is not there.
    NotFound = MSB_ERR_NOT_FOUND, "not_found", is_not_found;
    /// The name is taken.
    AlreadyExists = MSB_ERR_EXISTS, "exists", is_already_exists;
    /// In use, or still running.
    Busy = MSB_ERR_BUSY, "busy", is_busy;
    /// The host has no memory left.
    NoMemory = MSB_ERR_NO_MEMORY, "no_memory", is_no_memory;
    /// The disk or a quota is full.
    NoSpace = MSB_ERR_NO_SPACE, "no_space", is_no_space;
    /// Files and sockets of the host.
    Io = MSB_ERR_IO, "io", is_io;
    /// The host, or the guest's file system, said no.
    PermissionDenied = MSB_ERR_PERMISSION, "permission", is_permission_denied;
    /// Not on this host, or not yet.
    Unsupported = MSB_ERR_UNSUPPORTED, "unsupported", is_unsupported;
    /// It took longer than it may. Of a command, [`output`](Self::output) has what it wrote.
    Timeout = MSB_ERR_TIMEOUT, "timeout", is_timeout;
    /// It was cancelled.
    Cancelled = MSB_ERR_CANCELLED, "cancelled", is_cancelled;
    /// A registry wants other credentials.
    Auth = MSB_ERR_AUTH, "auth", is_auth;
    /// A registry cannot be reached.
    Network = MSB_ERR_NETWORK, "network", is_network;
    /// Content is not what it claims to be.
    Digest = MSB_ERR_DIGEST, "digest", is_digest;
    /// The library or a part of its installation is missing.
    Install = MSB_ERR_INSTALL, "install", is_install;
    /// The machine did not get ready; [`console`](Self::console) has its last lines.
    Boot = MSB_ERR_BOOT, "boot", is_boot;
    /// The machine has ended.
    Gone = MSB_ERR_GONE, "gone", is_gone;
    /// The other side broke the protocol.
    Protocol = MSB_ERR_PROTOCOL, "protocol", is_protocol;
    /// The command never ran: [`stage`](Self::stage) and [`errno`](Self::errno) say why.
    ExecFailed = MSB_ERR_EXEC, "exec", is_exec_failed;
}

impl MicrosandboxError {
    /// The library's number of it.
    pub fn code(&self) -> i32 {
        self.info().code
    }

    /// The system's error number (of the guest, for its files and commands), or 0.
    pub fn errno(&self) -> i32 {
        self.info().errno
    }

    /// What failed.
    pub fn message(&self) -> &str {
        &self.info().message
    }

    /// The next step, or "".
    pub fn hint(&self) -> &str {
        &self.info().hint
    }

    /// Of a command that never ran: user, cwd, rlimit, pty, exec or fork.
    pub fn stage(&self) -> Option<&str> {
        self.info().stage.as_deref()
    }

    /// The last lines of the console of a machine that did not get ready, or "".
    pub fn console(&self) -> &str {
        &self.info().console
    }

    /// What a command wrote before its time was up.
    pub fn output(&self) -> Option<&ExecOutput> {
        self.info().output.as_ref()
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::from_info(ErrorInfo::new(microsandbox_sys::MSB_ERR_INVALID, message))
    }

    pub(crate) fn install(message: impl Into<String>, hint: &str) -> Self {
        let mut info = ErrorInfo::new(microsandbox_sys::MSB_ERR_INSTALL, message);
        info.hint = hint.into();
        Self::from_info(info)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::from_info(ErrorInfo::new(microsandbox_sys::MSB_ERR_INTERNAL, message))
    }

    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Self::from_info(ErrorInfo::new(microsandbox_sys::MSB_ERR_PROTOCOL, message))
    }

    pub(crate) fn system(code: i32, what: &str, e: &std::io::Error) -> Self {
        let mut info = ErrorInfo::new(code, format!("{what}: {e}"));
        info.errno = e.raw_os_error().unwrap_or(0);
        Self::from_info(info)
    }
}

impl fmt::Display for MicrosandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = self.info();
        f.write_str(&info.message)?;
        if !info.hint.is_empty() {
            write!(f, " ({})", info.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for MicrosandboxError {}

impl From<MicrosandboxError> for std::io::Error {
    fn from(e: MicrosandboxError) -> Self {
        use std::io::ErrorKind;
        let kind = match &e {
            MicrosandboxError::NotFound(_) => ErrorKind::NotFound,
            MicrosandboxError::AlreadyExists(_) => ErrorKind::AlreadyExists,
            MicrosandboxError::PermissionDenied(_) => ErrorKind::PermissionDenied,
            MicrosandboxError::InvalidConfig(_) => ErrorKind::InvalidInput,
            MicrosandboxError::Timeout(_) => ErrorKind::TimedOut,
            MicrosandboxError::Unsupported(_) => ErrorKind::Unsupported,
            MicrosandboxError::Gone(_) => ErrorKind::BrokenPipe,
            MicrosandboxError::NoMemory(_) => ErrorKind::OutOfMemory,
            _ => ErrorKind::Other,
        };
        Self::new(kind, e)
    }
}
