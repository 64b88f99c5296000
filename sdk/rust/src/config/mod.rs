//! What a sandbox is made of.

mod mount;
mod network;
mod patch;
mod secret;

pub use mount::{Cache, MountBuilder};
pub use network::{Action, Network, Port, Rate};
pub use patch::PatchBuilder;
pub use secret::{SecretBuilder, Tls, Violation};

pub(crate) use mount::{Mount, MountKind};
pub(crate) use patch::{Patch, PatchKind};
pub(crate) use secret::Secret;

pub(crate) const MIB: u64 = 1 << 20;
