//! What a sandbox needs of its host.

use std::fmt;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckStatus {
    /// Fine.
    Ok,
    /// Good to know.
    Info,
    /// It works, but not as well as it could.
    Warn,
    /// No sandbox can run.
    Fail,
}

impl fmt::Display for CheckStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Fail => "fail",
        })
    }
}

/// One finding.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// How bad it is.
    pub status: CheckStatus,
    /// What was found.
    pub message: String,
    /// The one thing to do, or "".
    pub fix: String,
}
