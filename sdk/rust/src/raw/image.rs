//! Images.

use std::ffi::{c_char, c_int, c_void};
use std::path::Path;

use microsandbox_sys as sys;

use super::data::{take_strings, take_text, Given};
use super::home::RawHome;
use super::strings::{list, pairs, text, Arena};
use super::{api, call};
use crate::error::Result;
use crate::image::{
    ArchiveFormat, CommitOptions, Image, Prune, PullEvent, PullEventKind, PullOptions, PullPolicy,
    PullSender,
};

/// An image that a call is about.
pub(crate) struct RawImage(Given<sys::msb_image>);

impl RawImage {
    /// # Safety
    /// The handle is the caller's to free.
    pub(super) unsafe fn new(image: *mut sys::msb_image) -> Self {
        // SAFETY: by the caller's word.
        Self(unsafe { Given::new(image, |api| api.msb_image_free) })
    }

    pub(crate) fn ptr(&self) -> *const sys::msb_image {
        self.0.ptr()
    }

    pub(crate) fn info(&self) -> Result<Image> {
        // SAFETY: the handle lives.
        unsafe { info(self.0.ptr()) }
    }
}

/// # Safety
/// A handle that lives during the call.
unsafe fn info(image: *const sys::msb_image) -> Result<Image> {
    let time = |t: i64| (t != 0).then_some(t);
    // SAFETY: by the caller's word; what it says lives as long.
    unsafe {
        let i = &*(api()?.msb_image_info)(image);
        Ok(Image {
            reference: text(i.reference),
            id: text(i.id),
            platform: text(i.platform),
            size_bytes: i.size_bytes,
            created_unix: time(i.created_unix),
            pulled_unix: time(i.pulled_unix),
            layer_count: i.layer_count,
            layers: list(i.layers),
            entrypoint: list(i.entrypoint),
            cmd: list(i.cmd),
            env: pairs(i.env),
            workdir: text(i.workdir),
            user: text(i.user),
            stop_signal: text(i.stop_signal),
            config_json: text(i.config_json),
            config_digest: text(i.config_digest),
        })
    }
}

/// # Safety
/// `arg` is a [`PullSender`] that lives as long as the call that this was given to.
unsafe extern "C" fn on_pull(arg: *mut c_void, ev: *const sys::msb_pull_event) -> c_int {
    // SAFETY: by the caller's word; the event lives during this call. Nothing here panics.
    let (tell, ev) = unsafe { (&*arg.cast::<PullSender>(), &*ev) };
    // SAFETY: as above.
    let (reference, digest) = unsafe { (text(ev.reference), text(ev.digest)) };
    let _ = tell.send(PullEvent {
        kind: match ev.kind {
            sys::MSB_PULL_RESOLVING => PullEventKind::Resolving,
            sys::MSB_PULL_RESOLVED => PullEventKind::Resolved,
            sys::MSB_PULL_LAYER => PullEventKind::Layer,
            sys::MSB_PULL_LAYER_DONE => PullEventKind::LayerDone,
            sys::MSB_PULL_MERGING => PullEventKind::Merging,
            _ => PullEventKind::Done,
        },
        reference,
        digest: (!digest.is_empty()).then_some(digest),
        layer: ev.layer,
        layer_count: ev.layer_count,
        done: ev.done,
        total: (ev.total != 0).then_some(ev.total),
        cached: ev.cached != 0,
    });
    0
}

fn pull_opts(
    a: &mut Arena,
    o: &PullOptions,
    tell: &Option<PullSender>,
) -> Result<sys::msb_pull_opts> {
    let mut c = sys::msb_pull_opts {
        policy: match o.policy {
            PullPolicy::IfMissing => sys::MSB_PULL_MISSING,
            PullPolicy::Always => sys::MSB_PULL_ALWAYS,
            PullPolicy::Never => sys::MSB_PULL_NEVER,
        },
        force: o.force.into(),
        insecure: o.insecure.into(),
        downloads: o.downloads.unwrap_or(0),
        ca_certs: a.opt_path("the certificates' path", o.ca_certs.as_ref())?,
        platform: a.opt("the platform", &o.platform)?,
        root: if o.live { sys::MSB_ROOT_LIVE } else { sys::MSB_ROOT_PACKED },
        ..Default::default()
    };
    if let Some(tell) = tell {
        // The sender lives in the arena, as long as the call.
        c.event_arg = a.keep(tell.clone()).cast_mut().cast();
        c.event = Some(on_pull);
    }
    Ok(c)
}

impl RawHome {
    pub(crate) fn pull(
        &self,
        reference: &str,
        opts: &PullOptions,
        tell: &Option<PullSender>,
    ) -> Result<RawImage> {
        let mut a = Arena::default();
        let opts = pull_opts(&mut a, opts, tell)?;
        let reference = a.text("the image's reference", reference)?;
        let mut image = std::ptr::null_mut();
        // SAFETY: strings and the sender live in the arena; the handle is ours.
        unsafe {
            call(|api, e| (api.msb_image_pull)(self.ptr(), reference, &opts, &mut image, e))?;
            Ok(RawImage::new(image))
        }
    }

    pub(crate) fn load_images(
        &self,
        path: &Path,
        tag: &Option<String>,
        opts: &PullOptions,
        tell: &Option<PullSender>,
    ) -> Result<Vec<String>> {
        let mut a = Arena::default();
        let opts = pull_opts(&mut a, opts, tell)?;
        let path = a.path("the archive's path", path)?;
        let tag = a.opt("the tag", tag)?;
        let mut all = std::ptr::null_mut();
        // SAFETY: as in pull(); the list is ours.
        unsafe {
            call(|api, e| (api.msb_image_load)(self.ptr(), path, tag, &opts, &mut all, e))?;
            Ok(take_strings(all))
        }
    }

    pub(crate) fn image(&self, reference: &str) -> Result<RawImage> {
        let mut a = Arena::default();
        let reference = a.text("the image's reference", reference)?;
        let mut image = std::ptr::null_mut();
        // SAFETY: the reference lives in the arena; the handle is ours.
        unsafe {
            call(|api, e| (api.msb_image_open)(self.ptr(), reference, &mut image, e))?;
            Ok(RawImage::new(image))
        }
    }

    pub(crate) fn images(&self) -> Result<Vec<Image>> {
        let (mut all, mut n) = (std::ptr::null_mut(), 0);
        // SAFETY: an array of so many handles, which is freed below.
        unsafe {
            call(|api, e| (api.msb_image_list)(self.ptr(), &mut all, &mut n, e))?;
            let images = (0..n).map(|i| info(*all.add(i))).collect();
            (api()?.msb_image_list_free)(all, n);
            images
        }
    }

    pub(crate) fn remove_image(&self, reference: &str) -> Result<()> {
        let mut a = Arena::default();
        let reference = a.text("the image's reference", reference)?;
        // SAFETY: the reference lives in the arena.
        call(|api, e| unsafe { (api.msb_image_remove)(self.ptr(), reference, e) })?;
        Ok(())
    }

    pub(crate) fn image_users(&self, reference: &str) -> Result<Vec<String>> {
        let mut a = Arena::default();
        let reference = a.text("the image's reference", reference)?;
        let mut all = std::ptr::null_mut();
        // SAFETY: the reference lives in the arena; the list is ours.
        unsafe {
            call(|api, e| (api.msb_image_users)(self.ptr(), reference, &mut all, e))?;
            Ok(take_strings(all))
        }
    }

    pub(crate) fn prune_images(&self, all: bool) -> Result<Prune> {
        let (mut freed_bytes, mut removed_references) = (0, 0);
        // SAFETY: out-parameters are locals.
        call(|api, e| unsafe {
            let (bytes, refs) = (&mut freed_bytes, &mut removed_references);
            (api.msb_image_prune)(self.ptr(), all.into(), bytes, refs, e)
        })?;
        Ok(Prune { freed_bytes, removed_references })
    }

    pub(crate) fn save_images(
        &self,
        references: &[String],
        path: &Path,
        format: ArchiveFormat,
    ) -> Result<()> {
        let mut a = Arena::default();
        let opts = sys::msb_save_opts {
            format: match format {
                ArchiveFormat::Docker => sys::MSB_ARCHIVE_DOCKER,
                ArchiveFormat::Oci => sys::MSB_ARCHIVE_OCI,
            },
            ..Default::default()
        };
        let empty = a.keep(std::ptr::null::<c_char>());
        let mut all = a.list("an image's reference", references)?;
        if all.is_null() {
            all = empty;
        }
        let path = a.path("the archive's path", path)?;
        // SAFETY: strings live in the arena.
        call(|api, e| unsafe { (api.msb_image_save)(self.ptr(), all, &opts, path, e) })?;
        Ok(())
    }

    pub(crate) fn commit(
        &self,
        sandbox: &str,
        reference: &str,
        o: &CommitOptions,
    ) -> Result<String> {
        let mut a = Arena::default();
        let opts = sys::msb_commit_opts {
            author: a.opt("the author", &o.author)?,
            message: a.opt("the message", &o.message)?,
            changes: a.list("a change", &o.changes)?,
            ..Default::default()
        };
        let sandbox = a.text("the name", sandbox)?;
        let reference = a.text("the image's reference", reference)?;
        let mut id = std::ptr::null_mut();
        // SAFETY: strings live in the arena; the id is ours.
        unsafe {
            call(|api, e| {
                (api.msb_image_commit)(self.ptr(), sandbox, reference, &opts, &mut id, e)
            })?;
            Ok(take_text(id))
        }
    }
}
