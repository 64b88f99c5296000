//! A running sandbox's files.

mod stream;

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use microsandbox_sys as sys;
use tokio::io::{AsyncRead, AsyncReadExt};

pub use stream::{FileReader, FileWriter};

use crate::data::IntoData;
use crate::error::{MicrosandboxError, Result};
use crate::raw::file::RawFile;
use crate::sandbox::Sandbox;

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileInfo {
    /// As asked for; of an entry of a folder: its name.
    pub path: String,
    /// Of a symbolic link, else "".
    pub target: String,
    /// What it is.
    pub kind: FsEntryKind,
    /// With the type, as `st_mode` on Linux.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Names of it.
    pub nlink: u32,
    /// Of a device.
    pub rdev: u32,
    /// Size.
    pub size: u64,
    /// When it was changed last, in seconds since 1970.
    pub mtime_s: i64,
    /// And nanoseconds.
    pub mtime_ns: u32,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsEntryKind {
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Something else: a device, a socket, a pipe.
    Other,
}

impl FsEntryKind {
    pub(crate) fn of(mode: u32) -> Self {
        match mode & libc::S_IFMT {
            libc::S_IFREG => Self::File,
            libc::S_IFDIR => Self::Directory,
            libc::S_IFLNK => Self::Symlink,
            _ => Self::Other,
        }
    }
}

impl FileInfo {
    /// A file with content.
    pub fn is_file(&self) -> bool {
        self.kind == FsEntryKind::File
    }

    /// A folder.
    pub fn is_dir(&self) -> bool {
        self.kind == FsEntryKind::Directory
    }

    /// A symbolic link.
    pub fn is_symlink(&self) -> bool {
        self.kind == FsEntryKind::Symlink
    }
}

/// How far a copy is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CopyProgress {
    /// What is being copied.
    pub path: String,
    /// So far.
    pub files: u64,
    /// So far.
    pub bytes: u64,
}

pub(crate) type Progress = Arc<dyn Fn(&CopyProgress) + Send + Sync>;

/// How trees are copied.
#[derive(Clone, Default)]
pub struct CopyOptions {
    pub(crate) owner: bool,
    pub(crate) follow: bool,
    pub(crate) content: bool,
    pub(crate) progress: Option<Progress>,
}

impl CopyOptions {
    /// Keep owners; else they are root, or who runs this.
    pub fn owner(mut self) -> Self {
        self.owner = true;
        self
    }

    /// The source may be a symbolic link.
    pub fn follow_symlink(mut self) -> Self {
        self.follow = true;
        self
    }

    /// The content of a folder goes into the target, not the folder.
    pub fn content(mut self) -> Self {
        self.content = true;
        self
    }

    /// Called now and then, in a thread of its own, which it must not hold up.
    pub fn on_progress(mut self, f: impl Fn(&CopyProgress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(f));
        self
    }
}

/// How a file is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct WriteOptions {
    mode: u32,
    flags: u32,
}

impl WriteOptions {
    /// The mode of a new file; 0644 when not given.
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Behind what is there.
    pub fn append(mut self) -> Self {
        self.flags |= sys::MSB_FILE_APPEND;
        self
    }

    /// An error when it is there.
    pub fn exclusive(mut self) -> Self {
        self.flags |= sys::MSB_FILE_EXCLUSIVE;
        self
    }
}

/// The files of a sandbox. Paths are absolute, or relative to "/", and are resolved inside the
/// guest only, as root.
#[derive(Debug, Clone)]
pub struct SandboxFs {
    sandbox: Sandbox,
}

impl SandboxFs {
    pub(crate) fn new(sandbox: Sandbox) -> Self {
        Self { sandbox }
    }

    /// A whole file of 64 MiB at most.
    pub async fn read(&self, path: impl Into<String>) -> Result<Bytes> {
        self.read_max(path, 0).await
    }

    /// A whole file; an error when it is larger than `max` (0: 64 MiB).
    pub async fn read_max(&self, path: impl Into<String>, max: usize) -> Result<Bytes> {
        let path = path.into();
        self.sandbox.run(move |s| s.file_read(&path, max)).await
    }

    /// A whole file of 64 MiB at most, which must be UTF-8.
    pub async fn read_to_string(&self, path: impl Into<String>) -> Result<String> {
        let path = path.into();
        let data = self.read(path.clone()).await?;
        String::from_utf8(data.into())
            .map_err(|_| MicrosandboxError::protocol(format!("{path} is not UTF-8")))
    }

    /// A file of any size, in pieces.
    pub async fn read_stream(&self, path: impl Into<String>) -> Result<FileReader> {
        self.read_range(path, 0, 0).await
    }

    /// A part of a file, in pieces; `length` 0: to its end.
    pub async fn read_range(
        &self,
        path: impl Into<String>,
        offset: u64,
        length: u64,
    ) -> Result<FileReader> {
        let path = path.into();
        let raw = self.sandbox.run(move |s| RawFile::read(s, &path, offset, length)).await?;
        Ok(FileReader::new(raw))
    }

    /// A whole file. It appears when it is complete, with owner and mode of what it replaces.
    pub async fn write(&self, path: impl Into<String>, data: impl IntoData) -> Result<()> {
        self.write_with(path, data, |w| w).await
    }

    /// As [`write`](Self::write), with options.
    pub async fn write_with(
        &self,
        path: impl Into<String>,
        data: impl IntoData,
        f: impl FnOnce(WriteOptions) -> WriteOptions,
    ) -> Result<()> {
        let (path, data, o) = (path.into(), data.into_data(), f(WriteOptions::default()));
        self.sandbox.run(move |s| s.file_write(&path, &data, o.mode, o.flags)).await
    }

    /// A file of any size, in pieces. It appears with [`FileWriter::close`]; without that,
    /// nothing of it is left.
    pub async fn write_stream(&self, path: impl Into<String>) -> Result<FileWriter> {
        self.write_stream_with(path, |w| w).await
    }

    /// As [`write_stream`](Self::write_stream), with options.
    pub async fn write_stream_with(
        &self,
        path: impl Into<String>,
        f: impl FnOnce(WriteOptions) -> WriteOptions,
    ) -> Result<FileWriter> {
        let (path, o) = (path.into(), f(WriteOptions::default()));
        let raw = self.sandbox.run(move |s| RawFile::write(s, &path, o.mode, o.flags)).await?;
        Ok(FileWriter::new(raw))
    }

    /// Write all that a reader has: how many bytes.
    pub async fn write_from(
        &self,
        path: impl Into<String>,
        mut reader: impl AsyncRead + Unpin,
    ) -> Result<u64> {
        let mut file = self.write_stream(path).await?;
        let mut buffer = vec![0; 256 << 10];
        let mut all = 0;
        loop {
            let n = reader.read(&mut buffer).await.map_err(|e| {
                MicrosandboxError::system(sys::MSB_ERR_IO, "what is to be written", &e)
            })?;
            if n == 0 {
                break;
            }
            file.write(Bytes::copy_from_slice(&buffer[..n])).await?;
            all += n as u64;
        }
        file.close().await?;
        Ok(all)
    }

    /// The entries of a folder, by name.
    pub async fn list(&self, path: impl Into<String>) -> Result<Vec<FileInfo>> {
        let path = path.into();
        self.sandbox.run(move |s| s.file_list(&path)).await
    }

    /// What a file is; a symbolic link is followed.
    pub async fn stat(&self, path: impl Into<String>) -> Result<FileInfo> {
        let path = path.into();
        self.sandbox.run(move |s| s.file_stat(&path, 0)).await
    }

    /// Where a symbolic link leads.
    pub async fn read_link(&self, path: impl Into<String>) -> Result<String> {
        let path = path.into();
        let info = self.symlink_stat(path.clone()).await?;
        if !info.is_symlink() {
            return Err(MicrosandboxError::invalid(format!("{path} is no symbolic link")));
        }
        Ok(info.target)
    }

    /// As [`stat`](Self::stat), of a symbolic link itself.
    pub async fn symlink_stat(&self, path: impl Into<String>) -> Result<FileInfo> {
        let path = path.into();
        self.sandbox.run(move |s| s.file_stat(&path, sys::MSB_FILE_NO_FOLLOW)).await
    }

    /// Whether something is there; a link that leads nowhere is not.
    pub async fn exists(&self, path: impl Into<String>) -> Result<bool> {
        match self.stat(path).await {
            Ok(_) => Ok(true),
            Err(e) if e.is_not_found() => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// A folder; those above it too, and fine when it is there.
    pub async fn mkdir(&self, path: impl Into<String>) -> Result<()> {
        self.mkdir_with(path, 0o755, true).await
    }

    /// A folder of a mode; if not `recursive`, what is above must be there, and it must not.
    pub async fn mkdir_with(
        &self,
        path: impl Into<String>,
        mode: u32,
        recursive: bool,
    ) -> Result<()> {
        let path = path.into();
        let flags = if recursive { sys::MSB_FILE_RECURSIVE } else { 0 };
        self.sandbox.run(move |s| s.file_mkdir(&path, mode, flags)).await
    }

    /// A file, or an empty folder.
    pub async fn remove(&self, path: impl Into<String>) -> Result<()> {
        self.remove_with(path, false, false).await
    }

    /// A folder with all in it.
    pub async fn remove_dir(&self, path: impl Into<String>) -> Result<()> {
        self.remove_with(path, true, false).await
    }

    /// As asked for; `force`: fine when it is not there.
    pub async fn remove_with(
        &self,
        path: impl Into<String>,
        recursive: bool,
        force: bool,
    ) -> Result<()> {
        let path = path.into();
        let mut flags = 0;
        if recursive {
            flags |= sys::MSB_FILE_RECURSIVE;
        }
        if force {
            flags |= sys::MSB_FILE_FORCE;
        }
        self.sandbox.run(move |s| s.file_remove(&path, flags)).await
    }

    /// Within the guest; folders with all in them.
    pub async fn copy(&self, from: impl Into<String>, to: impl Into<String>) -> Result<()> {
        let (from, to) = (from.into(), to.into());
        self.sandbox.run(move |s| s.file_copy(&from, &to)).await
    }

    /// Within the guest; what is there goes.
    pub async fn rename(&self, from: impl Into<String>, to: impl Into<String>) -> Result<()> {
        let (from, to) = (from.into(), to.into());
        self.sandbox.run(move |s| s.file_rename(&from, &to, 0)).await
    }

    /// As [`rename`](Self::rename); an error when something is there.
    pub async fn rename_no_replace(
        &self,
        from: impl Into<String>,
        to: impl Into<String>,
    ) -> Result<()> {
        let (from, to) = (from.into(), to.into());
        self.sandbox.run(move |s| s.file_rename(&from, &to, sys::MSB_FILE_NO_REPLACE)).await
    }

    /// A symbolic link at `path` that says `target`.
    pub async fn symlink(&self, target: impl Into<String>, path: impl Into<String>) -> Result<()> {
        let (target, path) = (target.into(), path.into());
        self.sandbox.run(move |s| s.file_symlink(&target, &path)).await
    }

    /// Another mode.
    pub async fn chmod(&self, path: impl Into<String>, mode: u32) -> Result<()> {
        let path = path.into();
        self.sandbox.run(move |s| s.file_chmod(&path, mode)).await
    }

    /// Another owner.
    pub async fn chown(&self, path: impl Into<String>, uid: u32, gid: u32) -> Result<()> {
        let path = path.into();
        self.sandbox.run(move |s| s.file_chown(&path, uid, gid, 0)).await
    }

    /// Another owner of a symbolic link itself.
    pub async fn symlink_chown(&self, path: impl Into<String>, uid: u32, gid: u32) -> Result<()> {
        let path = path.into();
        self.sandbox.run(move |s| s.file_chown(&path, uid, gid, sys::MSB_FILE_NO_FOLLOW)).await
    }

    /// A file or a tree of the host into the guest. A target that is a folder takes it under
    /// its name.
    pub async fn copy_from_host(
        &self,
        host: impl Into<PathBuf>,
        guest: impl Into<String>,
    ) -> Result<()> {
        self.copy_from_host_with(host, guest, |c| c).await
    }

    /// As [`copy_from_host`](Self::copy_from_host), with options.
    pub async fn copy_from_host_with(
        &self,
        host: impl Into<PathBuf>,
        guest: impl Into<String>,
        f: impl FnOnce(CopyOptions) -> CopyOptions,
    ) -> Result<()> {
        let (host, guest, o) = (host.into(), guest.into(), f(CopyOptions::default()));
        self.sandbox.run(move |s| s.copy_in(&host, &guest, &o)).await
    }

    /// A file or a tree of the guest onto the host. Nothing is written outside of the target,
    /// whatever links the guest has.
    pub async fn copy_to_host(
        &self,
        guest: impl Into<String>,
        host: impl Into<PathBuf>,
    ) -> Result<()> {
        self.copy_to_host_with(guest, host, |c| c).await
    }

    /// As [`copy_to_host`](Self::copy_to_host), with options.
    pub async fn copy_to_host_with(
        &self,
        guest: impl Into<String>,
        host: impl Into<PathBuf>,
        f: impl FnOnce(CopyOptions) -> CopyOptions,
    ) -> Result<()> {
        let (guest, host, o) = (guest.into(), host.into(), f(CopyOptions::default()));
        self.sandbox.run(move |s| s.copy_out(&guest, &host, &o)).await
    }

    /// A tar stream into a folder of the guest.
    pub async fn unpack_tar(
        &self,
        tar: impl Into<OwnedFd>,
        guest: impl Into<String>,
        f: impl FnOnce(CopyOptions) -> CopyOptions,
    ) -> Result<()> {
        let (tar, guest, o) = (tar.into(), guest.into(), f(CopyOptions::default()));
        self.sandbox.run(move |s| s.copy_in_tar(tar.as_raw_fd(), &guest, &o)).await
    }

    /// A tree of the guest as a tar stream.
    pub async fn pack_tar(
        &self,
        guest: impl Into<String>,
        tar: impl Into<OwnedFd>,
        f: impl FnOnce(CopyOptions) -> CopyOptions,
    ) -> Result<()> {
        let (tar, guest, o) = (tar.into(), guest.into(), f(CopyOptions::default()));
        self.sandbox.run(move |s| s.copy_out_tar(&guest, tar.as_raw_fd(), &o)).await
    }

    /// A file or a tree into another sandbox, without a copy in between.
    pub async fn copy_to_sandbox(
        &self,
        from: impl Into<String>,
        target: &Sandbox,
        to: impl Into<String>,
        f: impl FnOnce(CopyOptions) -> CopyOptions,
    ) -> Result<()> {
        let (from, to, o, target) =
            (from.into(), to.into(), f(CopyOptions::default()), target.clone());
        self.sandbox.run(move |s| s.copy_across(&from, target.raw(), &to, &o)).await
    }
}
