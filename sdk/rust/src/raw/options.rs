//! What programs say about a sandbox, as structs of C.

use std::ffi::c_int;
use std::time::Duration;

use microsandbox_sys as sys;

use super::strings::Arena;
use crate::config::{
    Action, Cache, Mount, MountKind, Network, Patch, PatchKind, Rate, Secret, Tls, Violation,
};
use crate::error::{MicrosandboxError, Result};
use crate::sandbox::{Accel, Engine, SandboxConfig, Upper};
use crate::volume::VolumeKind;

fn flag(on: bool, bit: u32) -> u32 {
    if on {
        bit
    } else {
        0
    }
}

/// Whole milliseconds; what is less than one is one. 0 only for nothing.
pub(crate) fn millis(what: &str, d: Option<Duration>) -> Result<u32> {
    let Some(d) = d else { return Ok(0) };
    let up = d.as_nanos().div_ceil(1_000_000);
    match u32::try_from(up) {
        Ok(0) => Err(MicrosandboxError::invalid(format!("{what} must be more than nothing"))),
        Ok(ms) if ms <= i32::MAX as u32 => Ok(ms),
        _ => Err(MicrosandboxError::invalid(format!("{what} is too long"))),
    }
}

/// For calls where 0 means not to wait, and -1 to wait as long as it takes.
pub(crate) fn wait_millis(what: &str, d: Option<Duration>) -> Result<c_int> {
    match d {
        None => Ok(-1),
        Some(Duration::ZERO) => Ok(0),
        d => Ok(millis(what, d)? as c_int),
    }
}

pub(crate) fn seconds(what: &str, d: Option<Duration>) -> Result<u32> {
    let Some(d) = d else { return Ok(0) };
    let up = d.as_nanos().div_ceil(1_000_000_000);
    match u32::try_from(up) {
        Ok(0) => Err(MicrosandboxError::invalid(format!("{what} must be more than nothing"))),
        Ok(s) if s <= i32::MAX as u32 => Ok(s),
        _ => Err(MicrosandboxError::invalid(format!("{what} is too long"))),
    }
}

/// All of a sandbox but its image.
pub(crate) fn sandbox(a: &mut Arena, c: &SandboxConfig) -> Result<sys::msb_sandbox_opts> {
    if let Some(fault) = &c.fault {
        return Err(MicrosandboxError::invalid(fault.clone()));
    }
    let mounts = c.mounts.iter().map(|m| mount(a, m)).collect::<Result<Vec<_>>>()?;
    let patches = c.patches.iter().map(|p| patch(a, p)).collect::<Result<Vec<_>>>()?;
    let network = match &c.network {
        Some(n) => {
            let n = self::network(a, n)?;
            a.keep(n)
        }
        None => std::ptr::null(),
    };
    let tls = match &c.tls {
        Some(t) => {
            let t = self::tls(a, t)?;
            a.keep(t)
        }
        None => std::ptr::null(),
    };
    Ok(sys::msb_sandbox_opts {
        name: a.opt("the name", &c.name)?,
        hostname: a.opt("the host name", &c.hostname)?,
        cpus: c.cpus.unwrap_or(0),
        accel: match c.accel {
            Accel::Default => sys::MSB_ACCEL_DEFAULT,
            Accel::Tcg => sys::MSB_ACCEL_TCG,
            Accel::Kvm => sys::MSB_ACCEL_KVM,
            Accel::Auto => sys::MSB_ACCEL_AUTO,
        },
        memory_bytes: c.memory_bytes.unwrap_or(0),
        upper_bytes: c.upper_bytes.unwrap_or(0),
        boot_timeout_ms: millis("the boot time limit", c.boot_timeout)?,
        log_level: a.opt("the log level", &c.log_level)?,
        engine: match c.engine {
            Engine::Default => sys::MSB_ENGINE_DEFAULT,
            Engine::Auto => sys::MSB_ENGINE_AUTO,
            Engine::Kvm => sys::MSB_ENGINE_KVM,
            Engine::Qemu => sys::MSB_ENGINE_QEMU,
        },
        flags: flag(c.keeps(), sys::MSB_SANDBOX_KEEP)
            | flag(c.replace, sys::MSB_SANDBOX_REPLACE)
            | flag(c.no_start, sys::MSB_SANDBOX_NO_START),
        labels: a.pairs("labels", &c.labels)?,
        max_duration_s: seconds("the time limit", c.max_duration)?,
        idle_timeout_s: seconds("the idle time limit", c.idle_timeout)?,
        replace_timeout_ms: millis("the grace of replace", c.replace_timeout)?,
        env: a.pairs("env", &c.env)?,
        rlimits: a.list("rlimits", &c.rlimits)?,
        workdir: a.opt("the working folder", &c.workdir)?,
        user: a.opt("the user", &c.user)?,
        entrypoint: a.opt("the entrypoint", &c.entrypoint)?,
        shell: a.opt("the shell", &c.shell)?,
        scripts: a.pairs("scripts", &c.scripts)?,
        init: a.opt("init", &c.init)?,
        init_args: a.list("init's arguments", &c.init_args)?,
        init_env: a.pairs("init's env", &c.init_env)?,
        command: a.list("the command", &c.command)?,
        mounts: a.structs(mounts),
        patches: a.structs(patches),
        snapshot: a.opt("the snapshot", &c.snapshot)?,
        upper: match c.upper {
            Upper::Disk => sys::MSB_UPPER_DISK,
            Upper::Tmpfs => sys::MSB_UPPER_TMPFS,
        },
        network,
        secrets: secrets(a, &c.secrets)?,
        tls,
        ..Default::default()
    })
}

fn mount(a: &mut Arena, m: &Mount) -> Result<sys::msb_mount> {
    let (kind, source) = match &m.kind {
        Some(MountKind::Bind(path)) => {
            let file = m.is_file.unwrap_or_else(|| path.is_file());
            let kind = if file { sys::MSB_MOUNT_FILE } else { sys::MSB_MOUNT_DIR };
            (kind, a.path("the source of a mount", path)?)
        }
        Some(MountKind::Named(name)) => {
            (sys::MSB_MOUNT_NAMED, a.text("the name of a volume", name)?)
        }
        Some(MountKind::Disk(path)) => {
            (sys::MSB_MOUNT_DISK, a.path("the source of a mount", path)?)
        }
        Some(MountKind::Tmpfs) => (sys::MSB_MOUNT_TMPFS, std::ptr::null()),
        None => {
            return Err(MicrosandboxError::invalid(format!(
                "what is mounted at {:?} was not said: bind, named, disk or tmpfs",
                m.target
            )))
        }
    };
    let (uid, gid) = m.owner.unwrap_or((0, 0));
    Ok(sys::msb_mount {
        kind,
        flags: flag(m.read_only, sys::MSB_MOUNT_READ_ONLY)
            | flag(m.noexec, sys::MSB_MOUNT_NOEXEC)
            | flag(m.nosuid, sys::MSB_MOUNT_NOSUID)
            | flag(m.nodev, sys::MSB_MOUNT_NODEV)
            | flag(m.owner.is_some(), sys::MSB_MOUNT_OWNER)
            | flag(m.create, sys::MSB_MOUNT_CREATE)
            | flag(m.follow, sys::MSB_MOUNT_FOLLOW),
        source,
        target: a.text("the target of a mount", &m.target)?,
        cache: match m.cache {
            Cache::Auto => sys::MSB_CACHE_AUTO,
            Cache::Always => sys::MSB_CACHE_ALWAYS,
            Cache::None => sys::MSB_CACHE_NONE,
        },
        uid,
        gid,
        quota_bytes: m.quota_bytes,
        size_bytes: m.size_bytes,
        mode: m.mode,
        volume_kind: volume_kind(m.volume_kind),
        format: a.opt("the format of a disk", &m.format)?,
        fstype: a.opt("the file system of a disk", &m.fstype)?,
        ..Default::default()
    })
}

pub(crate) fn volume_kind(kind: VolumeKind) -> i32 {
    match kind {
        VolumeKind::Dir => sys::MSB_VOLUME_DIR,
        VolumeKind::Disk => sys::MSB_VOLUME_DISK,
    }
}

fn patch(a: &mut Arena, p: &Patch) -> Result<sys::msb_patch> {
    let mut c = sys::msb_patch {
        path: a.text("the path of a patch", &p.path)?,
        flags: flag(p.replace, sys::MSB_PATCH_REPLACE)
            | flag(p.mode.is_some(), sys::MSB_PATCH_MODE)
            | flag(p.owner.is_some(), sys::MSB_PATCH_OWNER),
        mode: p.mode.unwrap_or(0),
        uid: p.owner.map_or(0, |o| o.0),
        gid: p.owner.map_or(0, |o| o.1),
        ..Default::default()
    };
    c.kind = match &p.kind {
        PatchKind::File(_) => sys::MSB_PATCH_FILE,
        PatchKind::Copy(_) => sys::MSB_PATCH_COPY,
        PatchKind::Append(_) => sys::MSB_PATCH_APPEND,
        PatchKind::Mkdir => sys::MSB_PATCH_MKDIR,
        PatchKind::Symlink(_) => sys::MSB_PATCH_SYMLINK,
        PatchKind::Remove => sys::MSB_PATCH_REMOVE,
        PatchKind::SetMode => sys::MSB_PATCH_SET_MODE,
        PatchKind::SetOwner => sys::MSB_PATCH_SET_OWNER,
    };
    match &p.kind {
        PatchKind::File(data) | PatchKind::Append(data) => {
            let data = data.clone().into_boxed_slice();
            c.data_len = data.len();
            // The box moves into the arena; what it points to stays where it is.
            c.data = data.as_ptr().cast();
            a.keep(data);
        }
        PatchKind::Copy(path) => c.source = a.path("the source of a patch", path)?,
        PatchKind::Symlink(text) => c.source = a.text("the text of a link", text)?,
        _ => {}
    }
    Ok(c)
}

fn action(a: Option<Action>) -> i32 {
    match a {
        None => sys::MSB_NET_UNSET,
        Some(Action::Allow) => sys::MSB_NET_ALLOW,
        Some(Action::Deny) => sys::MSB_NET_DENY,
    }
}

fn rate(r: Rate) -> sys::msb_rate {
    sys::msb_rate { per_second: r.per_second, burst: r.burst }
}

fn network(a: &mut Arena, n: &Network) -> Result<sys::msb_network> {
    let mut ports = Vec::new();
    for p in &n.ports {
        ports.push(sys::msb_port {
            bind: a.opt("the address of a port", &p.bind)?,
            host: p.host,
            guest: p.guest,
            flags: flag(p.udp, sys::MSB_PORT_UDP),
            ..Default::default()
        });
    }
    Ok(sys::msb_network {
        flags: flag(n.disabled, sys::MSB_NET_DISABLED)
            | flag(n.strict, sys::MSB_NET_STRICT)
            | flag(n.no_rebind_protection, sys::MSB_NET_NO_REBIND_PROTECTION)
            | flag(n.trust_host_cas, sys::MSB_NET_TRUST_HOST_CAS)
            | flag(n.log_denied, sys::MSB_NET_LOG_DENIED),
        profile: a.opt("the profile", &n.profile)?,
        rules: a.list("a rule", &n.rules)?,
        default_egress: action(n.default_egress),
        default_ingress: action(n.default_ingress),
        ports: a.structs(ports),
        nameservers: a.list("a name server", &n.nameservers)?,
        dns_timeout_ms: millis("the name server's time limit", n.dns_timeout)?,
        ipv4_pool: a.opt("the IPv4 pool", &n.ipv4_pool)?,
        ipv6_pool: a.opt("the IPv6 pool", &n.ipv6_pool)?,
        mtu: n.mtu.unwrap_or(0),
        egress_bytes: rate(n.egress_bytes),
        egress_packets: rate(n.egress_packets),
        ingress_bytes: rate(n.ingress_bytes),
        ingress_packets: rate(n.ingress_packets),
        max_connections: n.max_connections.unwrap_or(0),
        proxy: a.opt("the proxy", &n.proxy)?,
        socks4_user_id: a.opt("the proxy's user", &n.socks4_user_id)?,
        socks5_username: a.opt("the proxy's user", &n.socks5_username)?,
        socks5_password_env: a.opt("the proxy's variable", &n.socks5_password_env)?,
        vsock: a.list("a vsock route", &n.vsock)?,
        pcap: a.opt_path("the capture's path", n.pcap.as_ref())?,
        ..Default::default()
    })
}

fn violation(v: Violation) -> i32 {
    match v {
        Violation::Default => sys::MSB_VIOLATION_DEFAULT,
        Violation::Block => sys::MSB_VIOLATION_BLOCK,
        Violation::BlockLog => sys::MSB_VIOLATION_BLOCK_LOG,
        Violation::BlockTerminate => sys::MSB_VIOLATION_BLOCK_TERMINATE,
        Violation::Pass => sys::MSB_VIOLATION_PASS,
    }
}

pub(crate) fn secrets(a: &mut Arena, all: &[Secret]) -> Result<*const *const sys::msb_secret> {
    let mut list = Vec::new();
    for s in all {
        if s.chosen && !(s.headers || s.basic || s.query || s.body) {
            return Err(MicrosandboxError::invalid(format!(
                "the secret {} may stand nowhere",
                s.env
            )));
        }
        list.push(sys::msb_secret {
            env: a.text("the variable of a secret", &s.env)?,
            value: a.opt("the value of a secret", &s.value)?,
            source: a.opt("the source of a secret", &s.source)?,
            placeholder: a.opt("the placeholder of a secret", &s.placeholder)?,
            hosts: a.list("a host of a secret", &s.hosts)?,
            flags: flag(s.headers, sys::MSB_SECRET_HEADERS)
                | flag(s.basic, sys::MSB_SECRET_BASIC)
                | flag(s.query, sys::MSB_SECRET_QUERY)
                | flag(s.body, sys::MSB_SECRET_BODY)
                | flag(s.mask, sys::MSB_SECRET_MASK),
            violation: violation(s.violation),
            ..Default::default()
        });
    }
    Ok(a.structs(list))
}

fn tls(a: &mut Arena, t: &Tls) -> Result<sys::msb_tls> {
    Ok(sys::msb_tls {
        flags: flag(t.intercept, sys::MSB_TLS_INTERCEPT)
            | flag(t.no_block_quic, sys::MSB_TLS_NO_BLOCK_QUIC),
        violation: violation(t.violation),
        ports: a.list("a port", &t.ports)?,
        bypass: a.list("a name", &t.bypass)?,
        ca_cert: a.opt_path("the certificate's path", t.ca_cert.as_ref())?,
        ca_key: a.opt_path("the key's path", t.ca_key.as_ref())?,
        upstream_cas: a.list("a certificate's path", &t.upstream_cas)?,
        upstream_cas_for: a.list("a certificate's path", &t.upstream_cas_for)?,
        no_verify_for: a.list("a pattern", &t.no_verify_for)?,
        ..Default::default()
    })
}
