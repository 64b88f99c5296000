//! Run commands in their own small virtual machines.
//!
//! ```no_run
//! use microsandbox::Sandbox;
//!
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! let sb = Sandbox::builder("box").image("alpine").memory(512).create().await?;
//! let out = sb.exec("echo", ["hello"]).await?;
//! println!("{}", out.stdout()?);
//! sb.stop().await?;
//! Sandbox::remove("box").await?;
//! # Ok(())
//! # }
//! ```
//!
//! The work is done by libmicrosandbox, which is loaded when it is needed first: from
//! `MICROSANDBOX_LIBRARY`, from `runtime/` beside the program, or from where the system has its
//! libraries. One that is missing is an [`Install`](MicrosandboxError::Install) error.
//!
//! - Futures are for any runtime; [`Sandbox::metrics_stream`] and time limits of
//!   [`Sandbox::exec_stream_with`] need tokio's timer. Calls that block do so in threads of their
//!   own.
//! - A future that is dropped is cancelled: its command is killed, its pull ends, the sandbox it
//!   was to create is not there.
//! - Handles may be dropped in any order, and that never blocks.
//! - Behind a `fork()` all calls are errors, and what belongs to the parent is left alone.
//! - All that is unsafe is in one module, `raw`.

#![deny(unsafe_code)]

mod config;
mod data;
mod doctor;
mod error;
mod exec;
mod fs;
mod home;
mod image;
mod logs;
mod metrics;
mod pool;
#[allow(unsafe_code)]
mod raw;
pub mod sandbox;
pub mod size;
mod snapshot;
mod volume;

pub use bytes::Bytes;

pub use config::{
    Action, Cache, DestinationGroup, DnsBuilder, MountBuilder, Network, NetworkPolicy,
    NetworkPolicyBuilder, NetworkProfile, PatchBuilder, Port, Rate, RuleBuilder,
    RuleDestinationBuilder, SecretBuilder, Tls, Violation,
};
pub use data::IntoData;
pub use doctor::{Check, CheckStatus};
pub use error::{ErrorInfo, MicrosandboxError, Result, Result as MicrosandboxResult};
pub use exec::{
    ExecControl, ExecEvent, ExecFailed, ExecHandle, ExecOptions, ExecOutput, ExecSink, ExitStatus,
    IntoArgs, RlimitResource,
};
pub use fs::{
    CopyOptions, CopyProgress, FileInfo, FileReader, FileWriter, FsEntryKind, SandboxFs,
    WriteOptions,
};
pub use home::Home;
pub use image::{
    ArchiveFormat, CommitOptions, Image, Prune, PullEvent, PullEventKind, PullOptions, PullPolicy,
    PullProgress, PullTask,
};
pub use logs::{LogEntry, LogOptions, LogSource, LogStream};
pub use metrics::{Metrics, MetricsStream};
pub use sandbox::{
    Accel, Change, Effect, Engine, ModifyBuilder, MountInfo, NetworkInfo, PublishedPort, Sandbox,
    SandboxBuilder, SandboxHandle, SandboxInfo, SandboxListBuilder, SandboxPage, SecretInfo,
    StartOptions, State, Times, Upper,
};
pub use snapshot::{Snapshot, SnapshotBuilder, SnapshotOptions};
pub use volume::{Volume, VolumeBuilder, VolumeKind, VolumePrune};

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The counters of all sandboxes that run, by name.
pub async fn all_sandbox_metrics() -> Result<HashMap<String, Metrics>> {
    let mut all = HashMap::new();
    for handle in Sandbox::list().await? {
        if handle.status_snapshot() != State::Ready {
            continue;
        }
        let metrics = match handle.connect().await {
            Ok(sb) => sb.metrics().await,
            Err(e) => Err(e),
        };
        match metrics {
            Ok(m) => drop(all.insert(handle.name().to_owned(), m)),
            // It ended in the meantime.
            Err(e) if e.is_gone() || e.is_not_found() => {}
            Err(e) => return Err(e),
        }
    }
    Ok(all)
}

/// The library's version.
pub fn version() -> Result<String> {
    raw::home::version()
}

/// The file that the library was loaded from.
pub fn library_path() -> Result<PathBuf> {
    raw::library_path()
}

/// Look at everything a sandbox needs. A finding is not an error.
pub async fn doctor() -> Result<Vec<Check>> {
    pool::run(|| raw::home::doctor(None)).await
}

/// As [`doctor`], of another home than that of the process.
pub async fn doctor_of(home: impl AsRef<Path>) -> Result<Vec<Check>> {
    let home = home.as_ref().to_owned();
    pool::run(move || raw::home::doctor(Some(&home))).await
}

/// Bring the record of sandboxes back when it is damaged: what was done. With `dry_run` nothing
/// is done, and this is what would be.
pub async fn repair(dry_run: bool) -> Result<Vec<String>> {
    pool::run(move || raw::home::repair(None, dry_run)).await
}

/// As [`repair`], of another home than that of the process.
pub async fn repair_of(home: impl AsRef<Path>, dry_run: bool) -> Result<Vec<String>> {
    let home = home.as_ref().to_owned();
    pool::run(move || raw::home::repair(Some(&home), dry_run)).await
}

/// Which rule decides when a sandbox connects to `host` and `port` (0: any), and why: JSON.
pub async fn net_explain(
    sandbox: impl Into<String>,
    host: impl Into<String>,
    port: u16,
    protocol: Option<&str>,
) -> Result<String> {
    Home::shared().await?.net_explain(sandbox, host, port, protocol).await
}

/// The rules of a sandbox in the order in which they are asked: JSON.
pub async fn net_rules(sandbox: impl Into<String>) -> Result<String> {
    Home::shared().await?.net_rules(sandbox).await
}

/// The published ports of a sandbox that runs.
pub async fn ports(sandbox: impl Into<String>) -> Result<Vec<PublishedPort>> {
    Home::shared().await?.ports(sandbox).await
}
