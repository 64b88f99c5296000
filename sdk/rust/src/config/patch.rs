//! Changes to the image before the machine starts.

use std::path::PathBuf;

#[derive(Debug, Clone)]
pub(crate) enum PatchKind {
    File(Vec<u8>),
    Copy(PathBuf),
    Append(Vec<u8>),
    Mkdir,
    Symlink(String),
    Remove,
    SetMode,
    SetOwner,
}

#[derive(Debug, Clone)]
pub(crate) struct Patch {
    pub kind: PatchKind,
    pub path: String,
    pub replace: bool,
    pub mode: Option<u32>,
    pub owner: Option<(u32, u32)>,
}

/// A list of changes, done in order. [`owner`](Self::owner) is about the change before it.
#[derive(Debug, Clone, Default)]
pub struct PatchBuilder {
    pub(crate) patches: Vec<Patch>,
}

impl PatchBuilder {
    fn add(mut self, path: impl Into<String>, kind: PatchKind) -> Self {
        let path = path.into();
        self.patches.push(Patch { kind, path, replace: false, mode: None, owner: None });
        self
    }

    fn last(mut self, f: impl FnOnce(&mut Patch)) -> Self {
        if let Some(p) = self.patches.last_mut() {
            f(p);
        }
        self
    }

    fn made(self, mode: Option<u32>, replace: bool) -> Self {
        self.last(|p| (p.mode, p.replace) = (mode, replace))
    }

    /// A file with this text. What is there goes before if `replace`, else it is an error: also
    /// in the functions below.
    pub fn text(
        self,
        path: impl Into<String>,
        text: impl Into<String>,
        mode: Option<u32>,
        replace: bool,
    ) -> Self {
        self.file(path, text.into().into_bytes(), mode, replace)
    }

    /// A file with these bytes.
    pub fn file(
        self,
        path: impl Into<String>,
        data: impl Into<Vec<u8>>,
        mode: Option<u32>,
        replace: bool,
    ) -> Self {
        self.add(path, PatchKind::File(data.into())).made(mode, replace)
    }

    /// Behind what a file has.
    pub fn append(self, path: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        self.add(path, PatchKind::Append(data.into()))
    }

    /// A file of the host.
    pub fn copy_file(
        self,
        host: impl Into<PathBuf>,
        path: impl Into<String>,
        mode: Option<u32>,
        replace: bool,
    ) -> Self {
        self.add(path, PatchKind::Copy(host.into())).made(mode, replace)
    }

    /// A folder of the host with all in it.
    pub fn copy_dir(
        self,
        host: impl Into<PathBuf>,
        path: impl Into<String>,
        replace: bool,
    ) -> Self {
        self.add(path, PatchKind::Copy(host.into())).made(None, replace)
    }

    /// A folder; fine when it is there.
    pub fn mkdir(self, path: impl Into<String>, mode: Option<u32>) -> Self {
        self.add(path, PatchKind::Mkdir).made(mode, false)
    }

    /// A symbolic link at `path` that says `target`.
    pub fn symlink(
        self,
        target: impl Into<String>,
        path: impl Into<String>,
        replace: bool,
    ) -> Self {
        self.add(path, PatchKind::Symlink(target.into())).made(None, replace)
    }

    /// Take something away; fine when it is not there.
    pub fn remove(self, path: impl Into<String>) -> Self {
        self.add(path, PatchKind::Remove)
    }

    /// The mode of something that is there.
    pub fn set_mode(self, path: impl Into<String>, mode: u32) -> Self {
        self.add(path, PatchKind::SetMode).last(|p| p.mode = Some(mode))
    }

    /// The owner of something that is there.
    pub fn set_owner(self, path: impl Into<String>, uid: u32, gid: u32) -> Self {
        self.add(path, PatchKind::SetOwner).last(|p| p.owner = Some((uid, gid)))
    }

    /// The owner of what the change before this makes.
    pub fn owner(self, uid: u32, gid: u32) -> Self {
        self.last(|p| p.owner = Some((uid, gid)))
    }
}
