//! Volumes.

use microsandbox_sys as sys;

use super::data::{take_strings, Given};
use super::home::RawHome;
use super::options;
use super::strings::{list, text, Arena};
use super::{api, call};
use crate::error::Result;
use crate::volume::{Volume, VolumeKind, VolumePrune};

impl RawHome {
    pub(crate) fn create_volume(&self, name: &str, kind: VolumeKind, bytes: u64) -> Result<()> {
        let mut a = Arena::default();
        let name = a.text("the name", name)?;
        let opts = sys::msb_volume_opts {
            kind: options::volume_kind(kind),
            size_bytes: bytes,
            ..Default::default()
        };
        // SAFETY: the name lives in the arena.
        call(|api, e| unsafe { (api.msb_volume_create)(self.ptr(), name, &opts, e) })?;
        Ok(())
    }

    /// All, or the one of that name.
    pub(crate) fn volumes(&self, name: &Option<String>) -> Result<Vec<Volume>> {
        let mut a = Arena::default();
        let name = a.opt("the name", name)?;
        let mut l = std::ptr::null_mut();
        // SAFETY: the name lives in the arena; entries live as long as the list, which is ours.
        unsafe {
            call(|api, e| (api.msb_volume_list)(self.ptr(), name, &mut l, e))?;
            let given = Given::new(l, |api| api.msb_volumes_free);
            let api = api()?;
            let n = (api.msb_volumes_count)(given.ptr());
            let all = (0..n).filter_map(|i| (api.msb_volumes_get)(given.ptr(), i).as_ref());
            Ok(all
                .map(|v| Volume {
                    name: text(v.name),
                    path: text(v.path).into(),
                    kind: match v.kind {
                        sys::MSB_VOLUME_DISK => VolumeKind::Disk,
                        _ => VolumeKind::Dir,
                    },
                    size_bytes: v.size_bytes,
                    used_bytes: v.used_bytes,
                    created_ms: v.created_ms,
                    users: list(v.users),
                    in_use: v.in_use != 0,
                })
                .collect())
        }
    }

    pub(crate) fn remove_volume(&self, name: &str, force: bool) -> Result<()> {
        let mut a = Arena::default();
        let name = a.text("the name", name)?;
        // SAFETY: the name lives in the arena.
        call(|api, e| unsafe { (api.msb_volume_remove)(self.ptr(), name, force.into(), e) })?;
        Ok(())
    }

    pub(crate) fn prune_volumes(&self) -> Result<VolumePrune> {
        let (mut names, mut freed_bytes) = (std::ptr::null_mut(), 0);
        // SAFETY: out-parameters are locals; the list is ours.
        unsafe {
            call(|api, e| (api.msb_volume_prune)(self.ptr(), &mut names, &mut freed_bytes, e))?;
            Ok(VolumePrune { names: take_strings(names), freed_bytes })
        }
    }
}
