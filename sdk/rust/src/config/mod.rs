//! What a sandbox is made of.

mod mount;
mod network;
mod patch;
mod policy;
mod secret;

pub use mount::{Cache, MountBuilder};
pub use network::{Action, DnsBuilder, Network, Port, Rate};
pub use patch::PatchBuilder;
pub use policy::{
    DestinationGroup, NetworkPolicy, NetworkPolicyBuilder, NetworkProfile, RuleBuilder,
    RuleDestinationBuilder,
};
pub use secret::{SecretBuilder, Tls, Violation};

pub(crate) use mount::{Mount, MountKind};
pub(crate) use patch::{Patch, PatchKind};
pub(crate) use secret::Secret;
