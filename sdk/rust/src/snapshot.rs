//! Snapshots: what was written in a sandbox, kept under a name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{MicrosandboxError, Result};
use crate::fs::{CopyProgress, Progress};
use crate::home::Home;
use crate::image::Image;

/// How a snapshot is made.
#[derive(Clone, Default)]
pub struct SnapshotOptions {
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) replace: bool,
    pub(crate) integrity: bool,
    pub(crate) progress: Option<Progress>,
}

impl SnapshotOptions {
    /// A label.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((key.into(), value.into()));
        self
    }

    /// One of the same name goes.
    pub fn replace(mut self) -> Self {
        self.replace = true;
        self
    }

    /// Its content has a digest, too: all of it is read.
    pub fn integrity(mut self) -> Self {
        self.integrity = true;
        self
    }

    /// Called now and then while bytes are read, in a thread of its own.
    pub fn on_progress(mut self, f: impl Fn(&CopyProgress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(f));
        self
    }
}

/// A snapshot that is to be made.
#[derive(Clone)]
#[must_use = "a builder does nothing until create()"]
pub struct SnapshotBuilder {
    name: String,
    sandbox: Option<String>,
    options: SnapshotOptions,
}

impl SnapshotBuilder {
    /// Of this sandbox, which does not run.
    pub fn from_sandbox(mut self, sandbox: impl Into<String>) -> Self {
        self.sandbox = Some(sandbox.into());
        self
    }

    /// A label.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options = self.options.label(key, value);
        self
    }

    /// One of the same name goes.
    pub fn force(mut self) -> Self {
        self.options = self.options.replace();
        self
    }

    /// Its content has a digest, too: all of it is read.
    pub fn record_integrity(mut self) -> Self {
        self.options = self.options.integrity();
        self
    }

    /// Make it.
    pub async fn create(self) -> Result<Snapshot> {
        let Some(sandbox) = self.sandbox else {
            return Err(MicrosandboxError::invalid("a snapshot of what: from_sandbox()"));
        };
        Home::shared().await?.create_snapshot(sandbox, self.name, self.options).await
    }
}

/// A snapshot on record. New sandboxes start from it by
/// [`from_snapshot`](crate::SandboxBuilder::from_snapshot), any number of them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub digest: String,
    /// What it was written over.
    pub image: String,
    /// The id of that.
    pub image_id: String,
    /// Whose it was.
    pub sandbox: String,
    /// The digest of the one below, or "".
    pub parent: String,
    /// The digest of its content, or "".
    pub content: String,
    /// The size of the disk.
    pub size_bytes: u64,
    /// On the host, of its own.
    pub used_bytes: u64,
    /// When it was made, in ms since 1970.
    pub created_ms: i64,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// Its folder.
    pub path: PathBuf,
}

impl Snapshot {
    /// A new one.
    pub fn builder(name: impl Into<String>) -> SnapshotBuilder {
        let (sandbox, options) = (None, SnapshotOptions::default());
        SnapshotBuilder { name: name.into(), sandbox, options }
    }

    /// Of a sandbox that does not run. No data is copied.
    pub async fn create(sandbox: impl Into<String>, name: impl Into<String>) -> Result<Self> {
        Self::create_with(sandbox, name, |s| s).await
    }

    /// As [`create`](Self::create), with options.
    pub async fn create_with(
        sandbox: impl Into<String>,
        name: impl Into<String>,
        f: impl FnOnce(SnapshotOptions) -> SnapshotOptions,
    ) -> Result<Self> {
        let options = f(SnapshotOptions::default());
        Home::shared().await?.create_snapshot(sandbox, name, options).await
    }

    /// One, by its name or the beginning of its digest (12 digits at least).
    pub async fn get(name: impl Into<String>) -> Result<Self> {
        Home::shared().await?.get_snapshot(name).await
    }

    /// All, by name.
    pub async fn list() -> Result<Vec<Self>> {
        Home::shared().await?.list_snapshots().await
    }

    /// What one was written over.
    pub async fn image(name: impl Into<String>) -> Result<Image> {
        Home::shared().await?.snapshot_image(name).await
    }

    /// Read it all and compare: a digest error when it is damaged.
    pub async fn verify(name: impl Into<String>) -> Result<()> {
        Home::shared().await?.verify_snapshot(name).await
    }

    /// The name goes; data that a sandbox or another snapshot needs stays.
    pub async fn remove(name: impl Into<String>) -> Result<()> {
        Home::shared().await?.remove_snapshot(name).await
    }

    /// One portable file of it, with the image if asked for.
    pub async fn save(
        name: impl Into<String>,
        path: impl AsRef<Path>,
        with_image: bool,
    ) -> Result<()> {
        Home::shared().await?.save_snapshot(name, path, with_image, false).await
    }

    /// Read such a file: the name it has now. As it was called when none is given.
    pub async fn load(path: impl AsRef<Path>, name: Option<&str>) -> Result<String> {
        Home::shared().await?.load_snapshot(path, name).await
    }
}
