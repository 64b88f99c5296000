//! Snapshots.

use std::path::Path;

use microsandbox_sys as sys;

use super::data::{take_text, Given};
use super::files::copy_event;
use super::home::RawHome;
use super::image::RawImage;
use super::strings::{pairs, text, Arena};
use super::{api, call};
use crate::error::Result;
use crate::image::Image;
use crate::snapshot::{Snapshot, SnapshotOptions};

impl RawHome {
    pub(crate) fn create_snapshot(
        &self,
        sandbox: &str,
        name: &str,
        o: &SnapshotOptions,
    ) -> Result<()> {
        let mut a = Arena::default();
        let flag = |on: bool, bit: u32| if on { bit } else { 0 };
        let (event, event_arg) = copy_event(&mut a, &o.progress);
        let opts = sys::msb_snapshot_opts {
            labels: a.pairs("labels", &o.labels)?,
            flags: flag(o.replace, sys::MSB_SNAPSHOT_REPLACE)
                | flag(o.integrity, sys::MSB_SNAPSHOT_INTEGRITY),
            event,
            event_arg,
            ..Default::default()
        };
        let (sandbox, name) = (a.text("the sandbox", sandbox)?, a.text("the name", name)?);
        // SAFETY: strings and the function to tell live in the arena.
        call(|api, e| unsafe { (api.msb_snapshot_create)(self.ptr(), sandbox, name, &opts, e) })?;
        Ok(())
    }

    /// All, or the one of that name or digest.
    pub(crate) fn snapshots(&self, name: &Option<String>) -> Result<Vec<Snapshot>> {
        let mut a = Arena::default();
        let name = a.opt("the name", name)?;
        let mut l = std::ptr::null_mut();
        // SAFETY: the name lives in the arena; entries live as long as the list, which is ours.
        unsafe {
            call(|api, e| (api.msb_snapshot_list)(self.ptr(), name, &mut l, e))?;
            let given = Given::new(l, |api| api.msb_snapshots_free);
            let api = api()?;
            let n = (api.msb_snapshots_count)(given.ptr());
            let all = (0..n).filter_map(|i| (api.msb_snapshots_get)(given.ptr(), i).as_ref());
            Ok(all
                .map(|s| Snapshot {
                    name: text(s.name),
                    digest: text(s.digest),
                    image: text(s.image),
                    image_id: text(s.image_id),
                    sandbox: text(s.sandbox),
                    parent: text(s.parent),
                    content: text(s.content),
                    size_bytes: s.size_bytes,
                    used_bytes: s.used_bytes,
                    created_ms: s.created_ms,
                    labels: pairs(s.labels),
                    path: text(s.path).into(),
                })
                .collect())
        }
    }

    pub(crate) fn snapshot_image(&self, name: &str) -> Result<Image> {
        let mut a = Arena::default();
        let name = a.text("the name", name)?;
        let mut image = std::ptr::null_mut();
        // SAFETY: the name lives in the arena; the handle is ours.
        unsafe {
            call(|api, e| (api.msb_snapshot_image)(self.ptr(), name, &mut image, e))?;
            RawImage::new(image).info()
        }
    }

    pub(crate) fn verify_snapshot(&self, name: &str) -> Result<()> {
        let mut a = Arena::default();
        let name = a.text("the name", name)?;
        // SAFETY: the name lives in the arena.
        call(|api, e| unsafe { (api.msb_snapshot_verify)(self.ptr(), name, e) })?;
        Ok(())
    }

    pub(crate) fn remove_snapshot(&self, name: &str) -> Result<()> {
        let mut a = Arena::default();
        let name = a.text("the name", name)?;
        // SAFETY: the name lives in the arena.
        call(|api, e| unsafe { (api.msb_snapshot_remove)(self.ptr(), name, e) })?;
        Ok(())
    }

    pub(crate) fn save_snapshot(
        &self,
        name: &str,
        path: &Path,
        with_image: bool,
        plain: bool,
    ) -> Result<()> {
        let mut a = Arena::default();
        let (name, path) = (a.text("the name", name)?, a.path("the archive's path", path)?);
        let flag = |on: bool, bit: u32| if on { bit } else { 0 };
        let flags =
            flag(with_image, sys::MSB_SNAPSHOT_WITH_IMAGE) | flag(plain, sys::MSB_SNAPSHOT_PLAIN);
        // SAFETY: strings live in the arena.
        call(|api, e| unsafe { (api.msb_snapshot_save)(self.ptr(), name, path, flags, e) })?;
        Ok(())
    }

    pub(crate) fn load_snapshot(&self, path: &Path, name: &Option<String>) -> Result<String> {
        let mut a = Arena::default();
        let path = a.path("the archive's path", path)?;
        let name = a.opt("the name", name)?;
        let mut loaded = std::ptr::null_mut();
        // SAFETY: strings live in the arena; what comes is ours.
        unsafe {
            call(|api, e| (api.msb_snapshot_load)(self.ptr(), path, name, &mut loaded, e))?;
            Ok(take_text(loaded))
        }
    }
}
