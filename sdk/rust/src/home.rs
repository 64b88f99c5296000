//! The folder where images and sandboxes are kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::error::Result;
use crate::image::{
    ArchiveFormat, CommitOptions, Image, Prune, PullOptions, PullProgress, PullTask,
};
use crate::logs::{LogEntry, LogOptions, LogStream};
use crate::pool;
use crate::raw::home::RawHome;
use crate::raw::logs::RawLogs;
use crate::raw::sandbox::{self as raw_sandbox, StartConfig};
use crate::sandbox::{
    Change, PublishedPort, Sandbox, SandboxBuilder, SandboxHandle, SandboxInfo, StartOptions,
};
use crate::snapshot::{Snapshot, SnapshotOptions};
use crate::volume::{Volume, VolumeBuilder, VolumePrune};

/// An open home. Clones are the same home.
///
/// Most programs need none: [`Sandbox::builder`] and its likes use the home of the process,
/// `MSB_HOME` or `~/.microsandbox`. All that these do can be done with another home by the
/// methods of this type.
#[derive(Clone)]
pub struct Home {
    raw: Arc<RawHome>,
}

static SHARED: OnceCell<Home> = OnceCell::const_new();

impl std::fmt::Debug for Home {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Home").field(&self.path()).finish()
    }
}

impl Home {
    /// The home of the process, opened when it is needed first.
    pub async fn shared() -> Result<Self> {
        crate::raw::api()?;
        let open = || async {
            let raw = pool::run(|| RawHome::open(None)).await?;
            Ok(Self { raw: Arc::new(raw) })
        };
        SHARED.get_or_try_init(open).await.cloned()
    }

    /// Open a folder, and create what is missing in it.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let raw = pool::run(move || RawHome::open(Some(&path))).await?;
        Ok(Self { raw: Arc::new(raw) })
    }

    /// Its absolute path.
    pub fn path(&self) -> PathBuf {
        self.raw.path().unwrap_or_default().into()
    }

    pub(crate) fn raw(&self) -> &Arc<RawHome> {
        &self.raw
    }

    async fn run<T: Send + 'static>(
        &self,
        f: impl FnOnce(&RawHome) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let raw = self.raw.clone();
        pool::run(move || f(&raw)).await
    }

    // ---- sandboxes -----------------------------------------------------------------------

    /// As [`Sandbox::builder`], in this home.
    pub fn sandbox(&self, name: impl Into<String>) -> SandboxBuilder {
        SandboxBuilder::new(Some(name.into())).home(self)
    }

    /// As [`Sandbox::builder_unnamed`], in this home.
    pub fn unnamed_sandbox(&self) -> SandboxBuilder {
        SandboxBuilder::new(None).home(self)
    }

    /// As [`Sandbox::open`].
    pub async fn open_sandbox(&self, name: impl Into<String>) -> Result<Sandbox> {
        let name = name.into();
        let raw = self.run(move |h| h.open_sandbox(&name)).await?;
        Sandbox::new(raw, self.clone())
    }

    /// As [`Sandbox::get`].
    pub async fn get_sandbox(&self, name: impl Into<String>) -> Result<SandboxHandle> {
        let info = self.inspect_sandbox(name).await?;
        Ok(SandboxHandle::new(self.clone(), info))
    }

    /// As [`Sandbox::inspect`].
    pub async fn inspect_sandbox(&self, name: impl Into<String>) -> Result<SandboxInfo> {
        let name = name.into();
        self.run(move |h| h.inspect(&name)).await
    }

    /// All on record that have each of the labels (`KEY` or `KEY=VALUE`), by name.
    pub async fn list_sandboxes<S: Into<String>>(
        &self,
        labels: impl IntoIterator<Item = S>,
    ) -> Result<Vec<SandboxHandle>> {
        let labels: Vec<String> = labels.into_iter().map(Into::into).collect();
        let all = self.run(move |h| h.list(&labels)).await?;
        Ok(all.into_iter().map(|i| SandboxHandle::new(self.clone(), i)).collect())
    }

    /// As [`Sandbox::start_with`].
    pub async fn start_sandbox(
        &self,
        name: impl Into<String>,
        options: StartOptions,
    ) -> Result<Sandbox> {
        let (name, config, home) = (name.into(), StartConfig::from(options), self.raw.clone());
        let fresh = pool::run(move || raw_sandbox::start(&home, &name, &config)).await?;
        Sandbox::new(fresh.keep()?, self.clone())
    }

    /// As [`Sandbox::restart`].
    pub async fn restart_sandbox(
        &self,
        name: impl Into<String>,
        timeout: Duration,
        options: StartOptions,
    ) -> Result<Sandbox> {
        let (name, config, home) = (name.into(), StartConfig::from(options), self.raw.clone());
        let fresh = pool::run(move || raw_sandbox::restart(&home, &name, timeout, &config)).await?;
        Sandbox::new(fresh.keep()?, self.clone())
    }

    /// As [`Sandbox::remove`]; `force` kills it when it runs.
    pub async fn remove_sandbox(&self, name: impl Into<String>, force: bool) -> Result<()> {
        let name = name.into();
        self.run(move |h| h.remove(&name, force)).await
    }

    /// As [`Sandbox::pending`].
    pub async fn pending_changes(&self, name: impl Into<String>) -> Result<Vec<Change>> {
        let name = name.into();
        self.run(move |h| h.pending(&name)).await
    }

    /// What a sandbox's commands wrote.
    pub async fn logs(
        &self,
        name: impl Into<String>,
        options: LogOptions,
    ) -> Result<Vec<LogEntry>> {
        let name = name.into();
        self.run(move |h| {
            let mut logs = RawLogs::open(h, &name, &options, false)?;
            logs.some(usize::MAX, false)
        })
        .await
    }

    /// What a sandbox's commands wrote, and what they will write.
    pub async fn log_stream(
        &self,
        name: impl Into<String>,
        options: LogOptions,
    ) -> Result<LogStream> {
        let name = name.into();
        let raw = self.run(move |h| RawLogs::open(h, &name, &options, true)).await?;
        Ok(LogStream::new(raw))
    }

    // ---- network -------------------------------------------------------------------------

    /// The published ports of one that runs.
    pub async fn ports(&self, name: impl Into<String>) -> Result<Vec<PublishedPort>> {
        let name = name.into();
        let json = self.run(move |h| h.ports(&name)).await?;
        PublishedPort::parse(&json)
    }

    /// Which rule decides when a sandbox connects to `host` and `port` (0: any), and why: JSON.
    /// `protocol` is tcp when not given, else udp or icmp.
    pub async fn net_explain(
        &self,
        name: impl Into<String>,
        host: impl Into<String>,
        port: u16,
        protocol: Option<&str>,
    ) -> Result<String> {
        let (name, host, protocol) = (name.into(), host.into(), protocol.map(str::to_owned));
        self.run(move |h| h.net_explain(&name, &host, port, &protocol)).await
    }

    /// The rules of a sandbox in the order in which they are asked: JSON.
    pub async fn net_rules(&self, name: impl Into<String>) -> Result<String> {
        let name = name.into();
        self.run(move |h| h.net_rules(&name)).await
    }

    // ---- images --------------------------------------------------------------------------

    /// As [`Image::pull_with`].
    pub async fn pull(&self, reference: impl Into<String>, options: PullOptions) -> Result<Image> {
        let reference = reference.into();
        self.run(move |h| h.pull(&reference, &options, &None)?.info()).await
    }

    /// As [`Image::pull_with_progress`].
    pub fn pull_with_progress(
        &self,
        reference: impl Into<String>,
        options: PullOptions,
    ) -> Result<(PullProgress, PullTask<Image>)> {
        let (tell, progress) = PullProgress::new();
        let (home, reference) = (self.raw.clone(), reference.into());
        let call =
            pool::start(move || home.pull(&reference, &options, &Some(tell.sender()))?.info())?;
        Ok((progress, PullTask::new(call)))
    }

    /// As [`Image::get`].
    pub async fn get_image(&self, reference: impl Into<String>) -> Result<Image> {
        let reference = reference.into();
        self.run(move |h| h.image(&reference)?.info()).await
    }

    /// As [`Image::list`].
    pub async fn list_images(&self) -> Result<Vec<Image>> {
        self.run(RawHome::images).await
    }

    /// As [`Image::load`].
    pub async fn load_images(
        &self,
        path: impl Into<PathBuf>,
        tag: Option<&str>,
    ) -> Result<Vec<String>> {
        let (path, tag) = (path.into(), tag.map(str::to_owned));
        self.run(move |h| h.load_images(&path, &tag, &PullOptions::default(), &None)).await
    }

    /// As [`Image::save`].
    pub async fn save_images<S: Into<String>>(
        &self,
        references: impl IntoIterator<Item = S>,
        path: impl Into<PathBuf>,
        format: ArchiveFormat,
    ) -> Result<()> {
        let references: Vec<String> = references.into_iter().map(Into::into).collect();
        let path = path.into();
        self.run(move |h| h.save_images(&references, &path, format)).await
    }

    /// As [`Image::remove`].
    pub async fn remove_image(&self, reference: impl Into<String>) -> Result<()> {
        let reference = reference.into();
        self.run(move |h| h.remove_image(&reference)).await
    }

    /// As [`Image::prune`].
    pub async fn prune_images(&self, all: bool) -> Result<Prune> {
        self.run(move |h| h.prune_images(all)).await
    }

    /// As [`Image::users`].
    pub async fn image_users(&self, reference: impl Into<String>) -> Result<Vec<String>> {
        let reference = reference.into();
        self.run(move |h| h.image_users(&reference)).await
    }

    /// As [`Image::commit`].
    pub async fn commit(
        &self,
        sandbox: impl Into<String>,
        reference: impl Into<String>,
        options: CommitOptions,
    ) -> Result<String> {
        let (sandbox, reference) = (sandbox.into(), reference.into());
        self.run(move |h| h.commit(&sandbox, &reference, &options)).await
    }

    // ---- volumes -------------------------------------------------------------------------

    /// As [`Volume::builder`], in this home.
    pub fn volume(&self, name: impl Into<String>) -> VolumeBuilder {
        VolumeBuilder::new(name.into()).home(self)
    }

    /// As [`Volume::list`].
    pub async fn list_volumes(&self) -> Result<Vec<Volume>> {
        self.run(|h| h.volumes(&None)).await
    }

    /// As [`Volume::get`].
    pub async fn get_volume(&self, name: impl Into<String>) -> Result<Volume> {
        let name = Some(name.into());
        let all = self.run(move |h| h.volumes(&name)).await?;
        all.into_iter().next().ok_or_else(|| crate::MicrosandboxError::internal("no volume"))
    }

    /// As [`Volume::remove`].
    pub async fn remove_volume(&self, name: impl Into<String>, force: bool) -> Result<()> {
        let name = name.into();
        self.run(move |h| h.remove_volume(&name, force)).await
    }

    /// As [`Volume::prune`].
    pub async fn prune_volumes(&self) -> Result<VolumePrune> {
        self.run(RawHome::prune_volumes).await
    }

    // ---- snapshots -----------------------------------------------------------------------

    /// As [`Snapshot::create_with`].
    pub async fn create_snapshot(
        &self,
        sandbox: impl Into<String>,
        name: impl Into<String>,
        options: SnapshotOptions,
    ) -> Result<Snapshot> {
        let (sandbox, name) = (sandbox.into(), name.into());
        let made = name.clone();
        self.run(move |h| h.create_snapshot(&sandbox, &made, &options)).await?;
        self.get_snapshot(name).await
    }

    /// As [`Snapshot::list`].
    pub async fn list_snapshots(&self) -> Result<Vec<Snapshot>> {
        self.run(|h| h.snapshots(&None)).await
    }

    /// As [`Snapshot::get`].
    pub async fn get_snapshot(&self, name: impl Into<String>) -> Result<Snapshot> {
        let name = Some(name.into());
        let all = self.run(move |h| h.snapshots(&name)).await?;
        all.into_iter().next().ok_or_else(|| crate::MicrosandboxError::internal("no snapshot"))
    }

    /// As [`Snapshot::image`].
    pub async fn snapshot_image(&self, name: impl Into<String>) -> Result<Image> {
        let name = name.into();
        self.run(move |h| h.snapshot_image(&name)).await
    }

    /// As [`Snapshot::verify`].
    pub async fn verify_snapshot(&self, name: impl Into<String>) -> Result<()> {
        let name = name.into();
        self.run(move |h| h.verify_snapshot(&name)).await
    }

    /// As [`Snapshot::remove`].
    pub async fn remove_snapshot(&self, name: impl Into<String>) -> Result<()> {
        let name = name.into();
        self.run(move |h| h.remove_snapshot(&name)).await
    }

    /// As [`Snapshot::save`]; `plain`: a tar without compression.
    pub async fn save_snapshot(
        &self,
        name: impl Into<String>,
        path: impl AsRef<Path>,
        with_image: bool,
        plain: bool,
    ) -> Result<()> {
        let (name, path) = (name.into(), path.as_ref().to_owned());
        self.run(move |h| h.save_snapshot(&name, &path, with_image, plain)).await
    }

    /// As [`Snapshot::load`].
    pub async fn load_snapshot(
        &self,
        path: impl AsRef<Path>,
        name: Option<&str>,
    ) -> Result<String> {
        let (path, name) = (path.as_ref().to_owned(), name.map(str::to_owned));
        self.run(move |h| h.load_snapshot(&path, &name)).await
    }
}
