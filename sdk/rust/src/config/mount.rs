//! Folders, volumes, disks and memory in a sandbox's tree.

use std::path::PathBuf;

use crate::size::Mebibytes;
use crate::volume::VolumeKind;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum MountKind {
    /// A folder or a file of the host, whichever it is.
    Bind(PathBuf),
    Named(String),
    Disk(PathBuf),
    Tmpfs,
}

#[derive(Debug, Clone)]
pub(crate) struct Mount {
    pub target: String,
    pub kind: Option<MountKind>,
    pub is_file: Option<bool>,
    pub read_only: bool,
    pub noexec: bool,
    pub nosuid: bool,
    pub nodev: bool,
    pub owner: Option<(u32, u32)>,
    pub create: bool,
    pub follow: bool,
    pub cache: Cache,
    pub quota_bytes: u64,
    pub size_bytes: u64,
    pub mode: u32,
    pub volume_kind: VolumeKind,
    pub format: Option<String>,
    pub fstype: Option<String>,
}

/// When changes that the host makes in a mounted folder are seen; the guest's own always are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cache {
    /// Names and attributes within a second, content at the next open.
    #[default]
    Auto,
    /// Maybe never: nobody else changes it.
    Always,
    /// At once; mmap() for writing is refused.
    None,
}

/// What is mounted at one place. One of [`bind`](Self::bind), [`named`](Self::named),
/// [`disk`](Self::disk) and [`tmpfs`](Self::tmpfs) says what, all else how.
#[derive(Debug, Clone)]
pub struct MountBuilder {
    pub(crate) mount: Mount,
}

impl MountBuilder {
    pub(crate) fn new(target: String) -> Self {
        Self {
            mount: Mount {
                target,
                kind: None,
                is_file: None,
                read_only: false,
                noexec: false,
                nosuid: false,
                nodev: false,
                owner: None,
                create: false,
                follow: false,
                cache: Cache::Auto,
                quota_bytes: 0,
                size_bytes: 0,
                mode: 0,
                volume_kind: VolumeKind::Dir,
                format: None,
                fstype: None,
            },
        }
    }

    fn with(mut self, f: impl FnOnce(&mut Mount)) -> Self {
        f(&mut self.mount);
        self
    }

    /// A folder or a file of the host.
    pub fn bind(self, host: impl Into<PathBuf>) -> Self {
        self.with(|m| m.kind = Some(MountKind::Bind(host.into())))
    }

    /// A file of the host; an error when it is a folder.
    pub fn bind_file(self, host: impl Into<PathBuf>) -> Self {
        self.bind(host).with(|m| m.is_file = Some(true))
    }

    /// A folder of the host; an error when it is a file.
    pub fn bind_dir(self, host: impl Into<PathBuf>) -> Self {
        self.bind(host).with(|m| m.is_file = Some(false))
    }

    /// A volume that is there; see [`create`](Self::create).
    pub fn named(self, volume: impl Into<String>) -> Self {
        self.with(|m| m.kind = Some(MountKind::Named(volume.into())))
    }

    /// A disk image of the host that holds a file system.
    pub fn disk(self, host: impl Into<PathBuf>) -> Self {
        self.with(|m| m.kind = Some(MountKind::Disk(host.into())))
    }

    /// Memory, empty at each start.
    pub fn tmpfs(self) -> Self {
        self.with(|m| m.kind = Some(MountKind::Tmpfs))
    }

    /// The guest cannot change it. The host holds that, too.
    pub fn readonly(self) -> Self {
        self.with(|m| m.read_only = true)
    }

    /// No programs are run from there.
    pub fn noexec(self) -> Self {
        self.with(|m| m.noexec = true)
    }

    /// Set-user-id bits count for nothing there.
    pub fn nosuid(self) -> Self {
        self.with(|m| m.nosuid = true)
    }

    /// Device files count for nothing there.
    pub fn nodev(self) -> Self {
        self.with(|m| m.nodev = true)
    }

    /// Who all files belong to in the guest.
    pub fn owner(self, uid: u32, gid: u32) -> Self {
        self.with(|m| m.owner = Some((uid, gid)))
    }

    /// Of a named volume: make it when there is none.
    pub fn create(self) -> Self {
        self.with(|m| m.create = true)
    }

    /// The kind of the volume that [`create`](Self::create) makes.
    pub fn volume_kind(self, kind: VolumeKind) -> Self {
        self.with(|m| m.volume_kind = kind)
    }

    /// The source may be a symbolic link itself.
    pub fn follow_symlink(self) -> Self {
        self.with(|m| m.follow = true)
    }

    /// When changes made by the host are seen.
    pub fn cache(self, cache: Cache) -> Self {
        self.with(|m| m.cache = cache)
    }

    /// How much the guest may add to a folder or a volume, in MiB.
    pub fn quota(self, size: impl Into<Mebibytes>) -> Self {
        self.quota_bytes(size.into().as_bytes())
    }

    /// As [`quota`](Self::quota), in bytes; 0: no limit of its own.
    pub fn quota_bytes(self, bytes: u64) -> Self {
        self.with(|m| m.quota_bytes = bytes)
    }

    /// The size of memory, or of the volume that is made, in MiB.
    pub fn size(self, size: impl Into<Mebibytes>) -> Self {
        self.size_bytes(size.into().as_bytes())
    }

    /// As [`size`](Self::size), in bytes; 0: half of the sandbox's memory.
    pub fn size_bytes(self, bytes: u64) -> Self {
        self.with(|m| m.size_bytes = bytes)
    }

    /// The mode of memory's topmost folder.
    pub fn mode(self, mode: u32) -> Self {
        self.with(|m| m.mode = mode)
    }

    /// Of a disk image: "raw" or "qcow2". By the end of its name when not given.
    pub fn format(self, format: impl Into<String>) -> Self {
        self.with(|m| m.format = Some(format.into()))
    }

    /// Of a disk image: its file system. ext4 when not given.
    pub fn fstype(self, fstype: impl Into<String>) -> Self {
        self.with(|m| m.fstype = Some(fstype.into()))
    }
}
