//! Volumes: data that outlives sandboxes.

use std::path::PathBuf;

use crate::error::Result;
use crate::home::Home;
use crate::pool;
use crate::size::Mebibytes;

/// What a volume is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VolumeKind {
    /// A folder; several sandboxes at once.
    #[default]
    Dir,
    /// A disk; one sandbox at a time.
    Disk,
}

/// A volume on record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// The folder, or the disk's file.
    pub path: PathBuf,
    /// What it is.
    pub kind: VolumeKind,
    /// The quota, or the disk's size; 0: no quota.
    pub size_bytes: u64,
    /// On the host.
    pub used_bytes: u64,
    /// When it was made, in ms since 1970.
    pub created_ms: i64,
    /// Sandboxes on record that mount it.
    pub users: Vec<String>,
    /// A machine has it mounted now.
    pub in_use: bool,
}

/// What a prune did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VolumePrune {
    /// Volumes that went.
    pub names: Vec<String>,
    /// On the host.
    pub freed_bytes: u64,
}

/// A volume that is to be made.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until create()"]
pub struct VolumeBuilder {
    name: String,
    kind: VolumeKind,
    size_bytes: u64,
    home: Option<Home>,
}

impl VolumeBuilder {
    pub(crate) fn new(name: String) -> Self {
        Self { name, kind: VolumeKind::Dir, size_bytes: 0, home: None }
    }

    /// Another home than that of the process.
    pub fn home(mut self, home: &Home) -> Self {
        self.home = Some(home.clone());
        self
    }

    /// What it is; a folder when not given.
    pub fn kind(mut self, kind: VolumeKind) -> Self {
        self.kind = kind;
        self
    }

    /// The quota of a folder, or the size of a disk (which must be given), in MiB.
    pub fn size(self, size: impl Into<Mebibytes>) -> Self {
        self.size_bytes(size.into().as_bytes())
    }

    /// As [`size`](Self::size), of a folder.
    pub fn quota(self, size: impl Into<Mebibytes>) -> Self {
        self.directory().size(size)
    }

    /// A folder.
    pub fn directory(self) -> Self {
        self.kind(VolumeKind::Dir)
    }

    /// A disk.
    pub fn disk(self) -> Self {
        self.kind(VolumeKind::Disk)
    }

    /// As [`size`](Self::size), in bytes.
    pub fn size_bytes(mut self, bytes: u64) -> Self {
        self.size_bytes = bytes;
        self
    }

    /// Make it.
    pub async fn create(self) -> Result<Volume> {
        let home = match self.home {
            Some(h) => h,
            None => Home::shared().await?,
        };
        let (raw, name) = (home.raw().clone(), self.name.clone());
        pool::run(move || raw.create_volume(&name, self.kind, self.size_bytes)).await?;
        home.get_volume(self.name).await
    }
}

impl Volume {
    /// A new one.
    pub fn builder(name: impl Into<String>) -> VolumeBuilder {
        VolumeBuilder::new(name.into())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is.
    pub fn kind(&self) -> VolumeKind {
        self.kind
    }

    /// A new folder without a quota.
    pub async fn create(name: impl Into<String>) -> Result<Self> {
        Self::builder(name).create().await
    }

    /// One on record.
    pub async fn get(name: impl Into<String>) -> Result<Self> {
        Home::shared().await?.get_volume(name).await
    }

    /// All, by name.
    pub async fn list() -> Result<Vec<Self>> {
        Home::shared().await?.list_volumes().await
    }

    /// One and all in it; an error when a sandbox on record mounts it.
    pub async fn remove(name: impl Into<String>) -> Result<()> {
        Home::shared().await?.remove_volume(name, false).await
    }

    /// All that no sandbox on record mounts.
    pub async fn prune() -> Result<VolumePrune> {
        Home::shared().await?.prune_volumes().await
    }
}
