//! Images.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::sync::mpsc;

use crate::error::Result;
use crate::home::Home;
use crate::pool::Call;

/// When the registry is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// Only for what is not there.
    #[default]
    IfMissing,
    /// Whether the tag moved.
    Always,
    /// Not at all.
    Never,
}

/// How an image is pulled.
#[derive(Debug, Clone, Default)]
pub struct PullOptions {
    pub(crate) policy: PullPolicy,
    pub(crate) force: bool,
    pub(crate) insecure: bool,
    pub(crate) downloads: Option<u32>,
    pub(crate) ca_certs: Option<PathBuf>,
    pub(crate) platform: Option<String>,
    pub(crate) live: bool,
}

impl PullOptions {
    /// When the registry is asked.
    pub fn policy(mut self, policy: PullPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Fetch and convert again what is there.
    pub fn force(mut self) -> Self {
        self.force = true;
        self
    }

    /// Plain HTTP, or TLS without verification.
    pub fn insecure(mut self) -> Self {
        self.insecure = true;
        self
    }

    /// At once; 4 when not given.
    pub fn downloads(mut self, n: u32) -> Self {
        self.downloads = Some(n);
        self
    }

    /// A PEM file of authorities besides the system's.
    pub fn ca_certs(mut self, pem: impl Into<PathBuf>) -> Self {
        self.ca_certs = Some(pem.into());
        self
    }

    /// "linux/amd64"; this machine's when not given.
    pub fn platform(mut self, platform: impl Into<String>) -> Self {
        self.platform = Some(platform.into());
        self
    }

    /// Of a folder: itself below what is written, not a copy of it as it is now.
    pub fn live(mut self) -> Self {
        self.live = true;
        self
    }
}

/// What a pull does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PullEventKind {
    /// The registry is asked, or the archive read.
    Resolving,
    /// Layers are known.
    Resolved,
    /// A layer is on its way.
    Layer,
    /// A layer is here.
    LayerDone,
    /// The root file system is made.
    Merging,
    /// It is done.
    Done,
}

/// How far a pull is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PullEvent {
    /// What it does.
    pub kind: PullEventKind,
    /// Of which image.
    pub reference: String,
    /// Of which layer.
    pub digest: Option<String>,
    /// The layer's number.
    pub layer: u32,
    /// How many there are.
    pub layer_count: u32,
    /// Compressed bytes so far.
    pub done: u64,
    /// Of so many, when that is known.
    pub total: Option<u64>,
    /// It was here already.
    pub cached: bool,
}

pub(crate) type PullSender = mpsc::UnboundedSender<PullEvent>;

/// Ends the [`PullProgress`] when it goes, with the pull.
pub(crate) struct PullTeller(PullSender);

impl PullTeller {
    pub(crate) fn sender(&self) -> PullSender {
        self.0.clone()
    }
}

/// How a pull goes on, until it ends.
#[derive(Debug)]
pub struct PullProgress {
    events: mpsc::UnboundedReceiver<PullEvent>,
}

impl PullProgress {
    pub(crate) fn new() -> (PullTeller, Self) {
        let (tell, events) = mpsc::unbounded_channel();
        (PullTeller(tell), Self { events })
    }

    /// The next event; None when the pull has ended.
    pub async fn recv(&mut self) -> Option<PullEvent> {
        self.events.recv().await
    }
}

impl Stream for PullProgress {
    type Item = PullEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<PullEvent>> {
        self.events.poll_recv(cx)
    }
}

/// The result of what began with a pull. Dropped before its end, it is cancelled.
#[must_use = "dropped, it is cancelled"]
pub struct PullTask<T> {
    future: Pin<Box<dyn Future<Output = Result<T>> + Send>>,
}

impl<T: Send + 'static> PullTask<T> {
    pub(crate) fn new(call: Call<T>) -> Self {
        Self::of(call)
    }

    pub(crate) fn of(future: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        Self { future: Box::pin(future) }
    }
}

impl<T> Future for PullTask<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        self.future.as_mut().poll(cx)
    }
}

/// The form of an archive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ArchiveFormat {
    /// As docker save.
    #[default]
    Docker,
    /// An OCI layout.
    Oci,
}

/// How an image is made of a sandbox.
#[derive(Debug, Clone, Default)]
pub struct CommitOptions {
    pub(crate) author: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) changes: Vec<String>,
}

impl CommitOptions {
    /// Who made it.
    pub fn author(mut self, author: impl Into<String>) -> Self {
        self.author = Some(author.into());
        self
    }

    /// What was done.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// A change of the configuration as in a Dockerfile: `CMD ["sh"]`, `ENV A=b`.
    pub fn change(mut self, change: impl Into<String>) -> Self {
        self.changes.push(change.into());
        self
    }
}

/// What a prune did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prune {
    /// On the host.
    pub freed_bytes: u64,
    /// Names that went.
    pub removed_references: u32,
}

/// What an image is, and says about its command.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Image {
    /// Its normalised name, or a path.
    pub reference: String,
    /// The digest of its manifest; "" of a folder.
    pub id: String,
    /// "linux/amd64"
    pub platform: String,
    /// On the host.
    pub size_bytes: u64,
    /// When it was made, since 1970.
    pub created_unix: Option<i64>,
    /// When it was pulled, since 1970.
    pub pulled_unix: Option<i64>,
    /// Layers.
    pub layer_count: u32,
    /// Digests of the uncompressed layers.
    pub layers: Vec<String>,
    /// As configured.
    pub entrypoint: Vec<String>,
    /// As configured.
    pub cmd: Vec<String>,
    /// As configured.
    pub env: Vec<(String, String)>,
    /// "" when it says none.
    pub workdir: String,
    /// "" when it says none.
    pub user: String,
    /// "" when it says none.
    pub stop_signal: String,
    /// As received; "" of a folder.
    pub config_json: String,
    /// Its digest; "" of a folder.
    pub config_digest: String,
}

impl Image {
    /// Make an image usable: fetch it if it is not there.
    pub async fn pull(reference: impl Into<String>) -> Result<Self> {
        Self::pull_with(reference, |p| p).await
    }

    /// As [`pull`](Self::pull), with options.
    pub async fn pull_with(
        reference: impl Into<String>,
        f: impl FnOnce(PullOptions) -> PullOptions,
    ) -> Result<Self> {
        Home::shared().await?.pull(reference, f(PullOptions::default())).await
    }

    /// As [`pull_with`](Self::pull_with); tells how it goes on.
    pub async fn pull_with_progress(
        reference: impl Into<String>,
        f: impl FnOnce(PullOptions) -> PullOptions,
    ) -> Result<(PullProgress, PullTask<Self>)> {
        Home::shared().await?.pull_with_progress(reference, f(PullOptions::default()))
    }

    /// One that is there, by its name or a unique prefix of its id (12 digits at least).
    pub async fn get(reference: impl Into<String>) -> Result<Self> {
        Home::shared().await?.get_image(reference).await
    }

    /// All, by name.
    pub async fn list() -> Result<Vec<Self>> {
        Home::shared().await?.list_images().await
    }

    /// All images of an archive: their names. `tag` names the only one.
    pub async fn load(path: impl Into<PathBuf>, tag: Option<&str>) -> Result<Vec<String>> {
        Home::shared().await?.load_images(path, tag).await
    }

    /// Write images to an archive that docker, podman and skopeo read, too.
    pub async fn save<S: Into<String>>(
        references: impl IntoIterator<Item = S>,
        path: impl Into<PathBuf>,
        format: ArchiveFormat,
    ) -> Result<()> {
        Home::shared().await?.save_images(references, path, format).await
    }

    /// Drop the name. Content that no other image needs goes with a [`prune`](Self::prune).
    pub async fn remove(reference: impl Into<String>) -> Result<()> {
        Home::shared().await?.remove_image(reference).await
    }

    /// Drop all content that no name reaches; with `all` every name before.
    pub async fn prune(all: bool) -> Result<Prune> {
        Home::shared().await?.prune_images(all).await
    }

    /// The sandboxes that are made of it.
    pub async fn users(reference: impl Into<String>) -> Result<Vec<String>> {
        Home::shared().await?.image_users(reference).await
    }

    /// What was written in a sandbox becomes one more layer of a new image: its id.
    pub async fn commit(
        sandbox: impl Into<String>,
        reference: impl Into<String>,
        f: impl FnOnce(CommitOptions) -> CommitOptions,
    ) -> Result<String> {
        Home::shared().await?.commit(sandbox, reference, f(CommitOptions::default())).await
    }
}
