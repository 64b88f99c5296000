//! Making sandboxes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Sandbox, SandboxHandle};
use crate::config::{
    Mount, MountBuilder, Network, Patch, PatchBuilder, Port, Secret, SecretBuilder, Tls,
};
use crate::error::Result;
use crate::home::Home;
use crate::image::{PullOptions, PullPolicy, PullProgress, PullSender, PullTask};
use crate::pool;
use crate::raw::sandbox as raw;
use crate::size::{Limit, Mebibytes};

/// What runs a machine's processors and memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Engine {
    /// `MSB_ENGINE`, else what config.json says, else auto.
    #[default]
    Default,
    /// kvm where it is real, else qemu.
    Auto,
    /// The own machine monitor, on /dev/kvm.
    Kvm,
    /// QEMU.
    Qemu,
}

/// How the qemu engine runs guest code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Accel {
    /// `MSB_ACCEL`, else what config.json says, else auto.
    #[default]
    Default,
    /// Emulation in software.
    Tcg,
    /// The processor's own support.
    Kvm,
    /// kvm where it is real, else tcg.
    Auto,
}

/// Where that goes which is written in a sandbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Upper {
    /// A sparse file.
    #[default]
    Disk,
    /// The guest's memory; gone when it stops.
    Tmpfs,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct SandboxConfig {
    /// What a setter got that cannot be.
    pub fault: Option<String>,
    pub name: Option<String>,
    pub image: Option<String>,
    pub snapshot: Option<String>,
    pub pull: PullOptions,
    pub hostname: Option<String>,
    pub cpus: Option<u32>,
    pub accel: Accel,
    pub engine: Engine,
    pub memory_bytes: Option<u64>,
    pub upper_bytes: Option<u64>,
    pub upper: Upper,
    pub boot_timeout: Option<Duration>,
    pub log_level: Option<String>,
    pub keep: Option<bool>,
    pub replace: bool,
    pub replace_timeout: Option<Duration>,
    pub no_start: bool,
    pub detached: bool,
    pub labels: Vec<(String, String)>,
    pub max_duration: Option<Duration>,
    pub idle_timeout: Option<Duration>,
    pub env: Vec<(String, String)>,
    pub rlimits: Vec<String>,
    pub workdir: Option<String>,
    pub user: Option<String>,
    pub entrypoint: Option<String>,
    pub shell: Option<String>,
    pub scripts: Vec<(String, String)>,
    pub init: Option<String>,
    pub init_args: Vec<String>,
    pub init_env: Vec<(String, String)>,
    pub command: Vec<String>,
    pub mounts: Vec<Mount>,
    pub patches: Vec<Patch>,
    pub network: Option<Network>,
    pub secrets: Vec<Secret>,
    pub tls: Option<Tls>,
}

impl SandboxConfig {
    /// One with a name stays until it is removed, if nothing else was said.
    pub(crate) fn keeps(&self) -> bool {
        self.no_start || self.keep.unwrap_or(self.name.is_some())
    }
}

/// What a sandbox is to be; [`create`](Self::create) makes it.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until create()"]
pub struct SandboxBuilder {
    config: SandboxConfig,
    home: Option<Home>,
}

impl SandboxBuilder {
    pub(crate) fn new(name: Option<String>) -> Self {
        Self { config: SandboxConfig { name, ..Default::default() }, home: None }
    }

    fn with(mut self, f: impl FnOnce(&mut SandboxConfig)) -> Self {
        f(&mut self.config);
        self
    }

    fn not_zero(self, what: &str, n: u64) -> Self {
        self.with(|c| {
            if n == 0 && c.fault.is_none() {
                c.fault = Some(format!("{what} must be more than 0"));
            }
        })
    }

    /// Another home than that of the process.
    pub fn home(mut self, home: &Home) -> Self {
        self.home = Some(home.clone());
        self
    }

    /// A reference ("python:3.11", "localhost:5000/a/b:tag"), or a path that begins with "." or
    /// "/": an archive, an OCI layout, a folder or a disk image with a root file system.
    pub fn image(self, reference: impl Into<String>) -> Self {
        self.with(|c| c.image = Some(reference.into()))
    }

    /// Start from what was written in another sandbox; in place of an image.
    pub fn from_snapshot(self, name: impl Into<String>) -> Self {
        self.with(|c| c.snapshot = Some(name.into()))
    }

    /// How the image is pulled.
    pub fn pull(self, f: impl FnOnce(PullOptions) -> PullOptions) -> Self {
        self.with(|c| c.pull = f(std::mem::take(&mut c.pull)))
    }

    /// When the image is pulled.
    pub fn pull_policy(self, policy: PullPolicy) -> Self {
        self.pull(|p| p.policy(policy))
    }

    /// Processors.
    pub fn cpus(self, n: u32) -> Self {
        self.not_zero("cpus", n.into()).with(|c| c.cpus = Some(n))
    }

    /// Memory in MiB.
    pub fn memory(self, size: impl Into<Mebibytes>) -> Self {
        self.memory_bytes(size.into().as_bytes())
    }

    /// Memory in bytes.
    pub fn memory_bytes(self, bytes: u64) -> Self {
        self.not_zero("memory", bytes).with(|c| c.memory_bytes = Some(bytes))
    }

    /// The size of its disk in MiB. It takes only what is written.
    pub fn disk(self, size: impl Into<Mebibytes>) -> Self {
        self.disk_bytes(size.into().as_bytes())
    }

    /// As [`disk`](Self::disk).
    pub fn root_disk(self, size: impl Into<Mebibytes>) -> Self {
        self.disk(size)
    }

    /// The size of its disk in bytes.
    pub fn disk_bytes(self, bytes: u64) -> Self {
        self.not_zero("disk", bytes).with(|c| c.upper_bytes = Some(bytes))
    }

    /// Where that goes which is written.
    pub fn upper(self, upper: Upper) -> Self {
        self.with(|c| c.upper = upper)
    }

    /// What runs the machine.
    pub fn engine(self, engine: Engine) -> Self {
        self.with(|c| c.engine = engine)
    }

    /// How the qemu engine runs guest code.
    pub fn accel(self, accel: Accel) -> Self {
        self.with(|c| c.accel = accel)
    }

    /// How long booting may take.
    pub fn boot_timeout(self, timeout: Duration) -> Self {
        self.with(|c| c.boot_timeout = Some(timeout))
    }

    /// error, warn, info, debug or trace: what msb-vmm logs.
    pub fn log_level(self, level: impl Into<String>) -> Self {
        self.with(|c| c.log_level = Some(level.into()))
    }

    /// The guest's name; the sandbox's when not given.
    pub fn hostname(self, name: impl Into<String>) -> Self {
        self.with(|c| c.hostname = Some(name.into()))
    }

    /// Nothing of it is left when it has ended. One without a name is so unless it is told not
    /// to be, one with a name is not.
    pub fn ephemeral(self, ephemeral: bool) -> Self {
        self.with(|c| c.keep = Some(!ephemeral))
    }

    /// It outlives this process and this handle.
    pub fn detached(self, detached: bool) -> Self {
        self.with(|c| c.detached = detached)
    }

    /// One of the same name is stopped and removed before.
    pub fn replace(self) -> Self {
        self.with(|c| c.replace = true)
    }

    /// As [`replace`](Self::replace); how long that one has for its end.
    pub fn replace_with_timeout(self, timeout: Duration) -> Self {
        self.replace().with(|c| c.replace_timeout = Some(timeout))
    }

    /// A label.
    pub fn label(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|c| c.labels.push((key.into(), value.into())))
    }

    /// Several labels.
    pub fn labels<K: Into<String>, V: Into<String>>(
        self,
        labels: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.with(|c| c.labels.extend(labels.into_iter().map(|(k, v)| (k.into(), v.into()))))
    }

    /// It is stopped so long after it was ready.
    pub fn max_duration(self, limit: impl Into<Limit>) -> Self {
        self.with(|c| c.max_duration = Some(limit.into().0))
    }

    /// It is stopped when there was no command and no touch for so long.
    pub fn idle_timeout(self, limit: impl Into<Limit>) -> Self {
        self.with(|c| c.idle_timeout = Some(limit.into().0))
    }

    /// A variable of its commands.
    pub fn env(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|c| c.env.push((key.into(), value.into())))
    }

    /// Several variables of its commands.
    pub fn envs<K: Into<String>, V: Into<String>>(
        self,
        vars: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.with(|c| c.env.extend(vars.into_iter().map(|(k, v)| (k.into(), v.into()))))
    }

    /// A limit of its commands: nofile, nproc, cpu, ...
    pub fn rlimit(self, resource: impl AsRef<str>, limit: u64) -> Self {
        self.with(|c| c.rlimits.push(format!("{}={limit}", resource.as_ref())))
    }

    /// A limit of its commands that they can raise to `hard`.
    pub fn rlimit_range(self, resource: impl AsRef<str>, soft: u64, hard: u64) -> Self {
        self.with(|c| c.rlimits.push(format!("{}={soft}:{hard}", resource.as_ref())))
    }

    /// Where its commands begin.
    pub fn workdir(self, path: impl Into<String>) -> Self {
        self.with(|c| c.workdir = Some(path.into()))
    }

    /// Who its commands run as: NAME, UID, NAME:GROUP or UID:GID.
    pub fn user(self, user: impl Into<String>) -> Self {
        self.with(|c| c.user = Some(user.into()))
    }

    /// In place of the image's.
    pub fn entrypoint(self, program: impl Into<String>) -> Self {
        self.with(|c| c.entrypoint = Some(program.into()))
    }

    /// What runs the scripts of [`Sandbox::shell`]; /bin/sh when not given.
    pub fn shell(self, program: impl Into<String>) -> Self {
        self.with(|c| c.shell = Some(program.into()))
    }

    /// A program of that name in its PATH; it should begin with `#!`.
    pub fn script(self, name: impl Into<String>, body: impl Into<String>) -> Self {
        self.with(|c| c.scripts.push((name.into(), body.into())))
    }

    /// Several programs.
    pub fn scripts<K: Into<String>, V: Into<String>>(
        self,
        scripts: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.with(|c| c.scripts.extend(scripts.into_iter().map(|(k, v)| (k.into(), v.into()))))
    }

    /// Another process 1: a path in the guest, or "auto".
    pub fn init(self, program: impl Into<String>) -> Self {
        self.with(|c| c.init = Some(program.into()))
    }

    /// Arguments of that.
    pub fn init_args<S: Into<String>>(self, args: impl IntoIterator<Item = S>) -> Self {
        self.with(|c| c.init_args.extend(args.into_iter().map(Into::into)))
    }

    /// A variable of that.
    pub fn init_env(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|c| c.init_env.push((key.into(), value.into())))
    }

    /// The main command, kept for [`Sandbox::run_main`]; arguments of the image's entrypoint.
    pub fn cmd<S: Into<String>>(self, argv: impl IntoIterator<Item = S>) -> Self {
        self.with(|c| c.command = argv.into_iter().map(Into::into).collect())
    }

    /// Something is mounted at a place of the guest.
    pub fn volume(
        self,
        target: impl Into<String>,
        f: impl FnOnce(MountBuilder) -> MountBuilder,
    ) -> Self {
        self.with(|c| c.mounts.push(f(MountBuilder::new(target.into())).mount))
    }

    /// Changes of the image before the machine starts.
    pub fn patch(self, f: impl FnOnce(PatchBuilder) -> PatchBuilder) -> Self {
        self.with(|c| c.patches.extend(f(PatchBuilder::default()).patches))
    }

    /// The network.
    pub fn network(self, f: impl FnOnce(Network) -> Network) -> Self {
        self.with(|c| {
            let mut network = f(c.network.take().unwrap_or_default());
            if let Some(tls) = network.tls.take() {
                c.tls = Some(tls);
            }
            c.network = Some(network);
        })
    }

    /// No network at all.
    pub fn disable_network(self) -> Self {
        self.network(Network::disabled)
    }

    fn publish(self, bind: Option<String>, host: u16, guest: u16, udp: bool) -> Self {
        self.network(|n| n.publish(Port { bind, host, guest, udp }))
    }

    /// 127.0.0.1:`host` leads to the guest's port. 0 is a port that is free.
    pub fn port(self, host: u16, guest: u16) -> Self {
        self.publish(None, host, guest, false)
    }

    /// As [`port`](Self::port), for UDP.
    pub fn port_udp(self, host: u16, guest: u16) -> Self {
        self.publish(None, host, guest, true)
    }

    /// As [`port`](Self::port), at another address of the host.
    pub fn port_bind(self, bind: impl ToString, host: u16, guest: u16) -> Self {
        self.publish(Some(bind.to_string()), host, guest, false)
    }

    /// As [`port_bind`](Self::port_bind), for UDP.
    pub fn port_udp_bind(self, bind: impl ToString, host: u16, guest: u16) -> Self {
        self.publish(Some(bind.to_string()), host, guest, true)
    }

    /// A socket of the host that the guest reaches by vsock.
    pub fn vsock(self, host_path: impl Into<PathBuf>, port: u32) -> Self {
        let route = format!("{}:{port}", host_path.into().display());
        self.network(|n| n.vsock(route))
    }

    /// As [`vsock`](Self::vsock), a socket of datagrams.
    pub fn vsock_dgram(self, host_path: impl Into<PathBuf>, port: u32) -> Self {
        let route = format!("{}:{port}/dgram", host_path.into().display());
        self.network(|n| n.vsock(route))
    }

    /// A secret.
    pub fn secret(self, f: impl FnOnce(SecretBuilder) -> SecretBuilder) -> Self {
        self.with(|c| c.secrets.push(f(SecretBuilder::default()).secret))
    }

    /// A secret for one host.
    pub fn secret_env(
        self,
        env: impl Into<String>,
        value: impl Into<String>,
        host: impl Into<String>,
    ) -> Self {
        self.secret(|s| s.env(env).value(value).allow_host(host))
    }

    /// How TLS connections are looked into.
    pub fn tls(self, f: impl FnOnce(Tls) -> Tls) -> Self {
        self.with(|c| c.tls = Some(f(c.tls.take().unwrap_or_default())))
    }

    async fn the_home(&self) -> Result<Home> {
        match &self.home {
            Some(h) => Ok(h.clone()),
            None => Home::shared().await,
        }
    }

    async fn make(self, tell: Option<PullSender>) -> Result<Sandbox> {
        let home = self.the_home().await?;
        let (theirs, config) = (home.raw().clone(), Arc::new(self.config));
        let fresh = pool::run(move || raw::create(&theirs, &config, &tell)).await?;
        Sandbox::new(fresh.keep()?, home)
    }

    /// Pull the image when it is not there, start the machine, and wait until it is ready.
    ///
    /// When this fails or its future is dropped, nothing of the sandbox stays.
    pub async fn create(self) -> Result<Sandbox> {
        self.make(None).await
    }

    /// As [`create`](Self::create); it outlives this process.
    pub async fn create_detached(self) -> Result<Sandbox> {
        self.detached(true).create().await
    }

    /// The one of that name, as it is: one that runs is opened, one that does not is started. When
    /// there is none, one is made.
    pub async fn connect_or_create(self) -> Result<Sandbox> {
        let Some(name) = self.config.name.clone() else { return self.create().await };
        let home = self.the_home().await?;
        match home.get_sandbox(&name).await {
            Ok(there) => return there.reach(self.config.detached).await,
            Err(e) if e.is_not_found() => {}
            Err(e) => return Err(e),
        }
        let detached = self.config.detached;
        match self.create().await {
            // Somebody else was faster.
            Err(e) if e.is_already_exists() => home.get_sandbox(name).await?.reach(detached).await,
            done => done,
        }
    }

    /// As [`create`](Self::create); tells how the pull goes on. Both are to be waited for, or
    /// the second is spawned.
    pub fn create_with_pull_progress(self) -> (PullProgress, PullTask<Sandbox>) {
        let (tell, progress) = PullProgress::new();
        (progress, PullTask::of(async move { self.make(Some(tell.sender())).await }))
    }

    /// Only put it on record; [`Sandbox::start`] starts it.
    pub async fn create_stopped(mut self) -> Result<SandboxHandle> {
        self.config.no_start = true;
        let home = self.the_home().await?;
        let (theirs, config) = (home.raw().clone(), self.config);
        let fresh = pool::run(move || raw::create(&theirs, &config, &None)).await?;
        let name = fresh.keep_record()?;
        home.get_sandbox(name).await
    }
}

#[cfg(test)]
mod tests {
    use crate::Sandbox;

    #[test]
    fn tls_of_the_network_is_the_sandboxs() {
        let b = Sandbox::builder("x").network(|n| {
            n.tls(|t| {
                t.bypass("*.example.com")
                    .intercepted_ports(vec![443, 8443])
                    .block_quic(false)
                    .verify_upstream_for("a.example", false)
                    .verify_upstream_for("b.example", false)
                    .verify_upstream_for("a.example", true)
            })
        });
        let tls = b.network(|n| n.strict(true)).config.tls.unwrap();
        assert!(tls.intercept && tls.no_block_quic);
        assert_eq!(tls.ports, ["443", "8443"]);
        assert_eq!(tls.no_verify_for, ["b.example"]);
        let off = Sandbox::builder("x").network(|n| n.tls(|t| t.enabled(false)));
        assert!(!off.config.tls.unwrap().intercept);
    }
}
