//! Options of sandboxes and commands.

use microsandbox::{
    Action, Cache, ExecOptions, MountBuilder, Network, PatchBuilder, Port, SandboxBuilder,
    SecretBuilder, Tls, Upper, Violation, VolumeKind,
};

use crate::args::{Args, Fault};

type Build<T> = Result<T, Fault>;

/// The word of a list; an error says which there are.
fn word<T: Copy>(what: &str, text: &str, words: &[(&str, T)]) -> Build<T> {
    words.iter().find(|w| w.0 == text).map(|w| w.1).ok_or_else(|| {
        let all: Vec<_> = words.iter().map(|w| w.0).collect();
        Fault::invalid(format!("{what} is {}, not {text:?}", all.join(", ")))
    })
}

fn rlimit(text: &str) -> Build<(String, u64, Option<u64>)> {
    let fault = || Fault::invalid(format!("{text:?} is no limit"));
    let (name, rest) = text.split_once('=').ok_or_else(fault)?;
    let (soft, hard) = match rest.split_once(':') {
        Some((s, h)) => (s, Some(h.parse().map_err(|_| fault())?)),
        None => (rest, None),
    };
    Ok((name.to_owned(), soft.parse().map_err(|_| fault())?, hard))
}

pub fn volume_kind(text: Option<String>) -> Build<VolumeKind> {
    let words = [("dir", VolumeKind::Dir), ("disk", VolumeKind::Disk)];
    text.map_or(Ok(VolumeKind::Dir), |t| word("kind", &t, &words))
}

pub fn sandbox(mut b: SandboxBuilder, a: &mut Args) -> Build<SandboxBuilder> {
    if let Some(v) = a.opt_text("image")? {
        b = b.image(v);
    }
    if let Some(v) = a.opt_text("snapshot")? {
        b = b.from_snapshot(v);
    }
    if let Some(v) = a.opt_number("cpus")? {
        b = b.cpus(v);
    }
    if let Some(v) = a.opt_number("memory_bytes")? {
        b = b.memory_bytes(v);
    }
    if let Some(v) = a.opt_number("upper_bytes")? {
        b = b.disk_bytes(v);
    }
    if let Some(v) = a.opt_text("upper")? {
        b = b.upper(word("upper", &v, &[("disk", Upper::Disk), ("tmpfs", Upper::Tmpfs)])?);
    }
    if let Some(v) = a.opt_text("hostname")? {
        b = b.hostname(v);
    }
    if let Some(v) = a.millis("boot_timeout_ms")? {
        b = b.boot_timeout(v);
    }
    if let Some(v) = a.seconds("max_duration_s")? {
        b = b.max_duration(v);
    }
    if let Some(v) = a.seconds("idle_timeout_s")? {
        b = b.idle_timeout(v);
    }
    if a.flag("replace")? {
        b = b.replace();
    }
    if let Some(keep) = a.opt_flag("keep")? {
        b = b.ephemeral(!keep);
    }
    b = b.detached(a.flag("detached")?);
    for (k, v) in a.pairs("labels")? {
        b = b.label(k, v);
    }
    b = b.envs(a.pairs("env")?);
    for l in a.texts("rlimits")? {
        b = match rlimit(&l)? {
            (name, soft, None) => b.rlimit(name, soft),
            (name, soft, Some(hard)) => b.rlimit_range(name, soft, hard),
        };
    }
    if let Some(v) = a.opt_text("workdir")? {
        b = b.workdir(v);
    }
    if let Some(v) = a.opt_text("user")? {
        b = b.user(v);
    }
    if let Some(v) = a.opt_text("entrypoint")? {
        b = b.entrypoint(v);
    }
    if let Some(v) = a.opt_text("shell")? {
        b = b.shell(v);
    }
    for (name, body) in a.pairs("scripts")? {
        b = b.script(name, body);
    }
    if let Some(v) = a.opt_text("init")? {
        b = b.init(v);
    }
    b = b.init_args(a.texts("init_args")?);
    for (k, v) in a.pairs("init_env")? {
        b = b.init_env(k, v);
    }
    b = b.cmd(a.texts("command")?);
    for mut m in a.objects("mounts")? {
        let target = m.text("target")?;
        let mut fault = None;
        b = b.volume(target, |mount| {
            mount_of(mount.clone(), &mut m).unwrap_or_else(|e| {
                fault = Some(e);
                mount
            })
        });
        if let Some(e) = fault {
            return Err(e);
        }
    }
    for p in a.objects("patches")? {
        let patch = patch(p)?;
        b = b.patch(|_| patch);
    }
    if let Some(n) = a.object("network")? {
        let n = network(n)?;
        b = b.network(|_| n);
    }
    for s in a.objects("secrets")? {
        let s = secret(s)?;
        b = b.secret(|_| s);
    }
    if let Some(t) = a.object("tls")? {
        let t = tls(t)?;
        b = b.tls(|_| t);
    }
    Ok(b)
}

fn mount_of(mut m: MountBuilder, a: &mut Args) -> Build<MountBuilder> {
    let kind = a.text("kind")?;
    let source = a.opt_text("source")?;
    let need = || source.clone().ok_or_else(|| Fault::invalid("source is missing"));
    m = match kind.as_str() {
        "dir" => m.bind_dir(need()?),
        "file" => m.bind_file(need()?),
        "named" => m.named(need()?),
        "disk" => m.disk(need()?),
        "tmpfs" => m.tmpfs(),
        other => return Err(Fault::invalid(format!("no mount is a {other:?}"))),
    };
    type Set = fn(MountBuilder) -> MountBuilder;
    let flags: [(&str, Set); 5] = [
        ("read_only", MountBuilder::readonly),
        ("noexec", MountBuilder::noexec),
        ("nosuid", MountBuilder::nosuid),
        ("nodev", MountBuilder::nodev),
        ("create", MountBuilder::create),
    ];
    for (name, set) in flags {
        if a.flag(name)? {
            m = set(m);
        }
    }
    if let Some(v) = a.opt_number("size_bytes")? {
        m = m.size_bytes(v);
    }
    if let Some(v) = a.opt_number("quota_bytes")? {
        m = m.quota_bytes(v);
    }
    if let Some(v) = a.opt_text("cache")? {
        let words = [("auto", Cache::Auto), ("always", Cache::Always), ("none", Cache::None)];
        m = m.cache(word("cache", &v, &words)?);
    }
    a.done()?;
    Ok(m)
}

fn patch(mut a: Args) -> Build<PatchBuilder> {
    let (kind, path) = (a.text("kind")?, a.text("path")?);
    let data = a.bytes("data")?.unwrap_or_default();
    let source = a.opt_text("source")?.unwrap_or_default();
    let (mode, uid, gid) = (a.opt_number("mode")?, a.opt_number("uid")?, a.opt_number("gid")?);
    let owner = uid.or(gid).map(|_| (uid.unwrap_or(0), gid.unwrap_or(0)));
    let replace = a.flag("replace")?;
    let p = PatchBuilder::default();
    let mut p = match kind.as_str() {
        "text" => p.file(path, data, mode, replace),
        "append" => p.append(path, data),
        "copy" => p.copy_file(source, path, mode, replace),
        "mkdir" => p.mkdir(path, mode),
        "symlink" => p.symlink(source, path, replace),
        "remove" => p.remove(path),
        "mode" => p.set_mode(path, mode.unwrap_or(0)),
        "owner" => p.set_owner(path, uid.unwrap_or(0), gid.unwrap_or(0)),
        other => return Err(Fault::invalid(format!("no patch is a {other:?}"))),
    };
    if let Some((uid, gid)) = owner {
        p = p.owner(uid, gid);
    }
    a.done()?;
    Ok(p)
}

fn network(mut a: Args) -> Build<Network> {
    let mut n = Network::default();
    if a.flag("disabled")? {
        n = n.disabled();
    }
    if a.flag("strict")? {
        n = n.strict(true);
    }
    if let Some(v) = a.opt_text("profile")? {
        n = n.profile(v);
    }
    for r in a.texts("rules")? {
        n = n.rule(r);
    }
    let actions = [("allow", Action::Allow), ("deny", Action::Deny)];
    if let Some(v) = a.opt_text("default_egress")? {
        n = n.default_egress(word("default_egress", &v, &actions)?);
    }
    if let Some(v) = a.opt_text("default_ingress")? {
        n = n.default_ingress(word("default_ingress", &v, &actions)?);
    }
    for mut p in a.objects("ports")? {
        let bind = p.opt_text("bind")?;
        let host = p.opt_number("host")?.unwrap_or(0);
        let (guest, udp) = (p.number("guest")?, p.flag("udp")?);
        p.done()?;
        n = n.publish(Port { bind, host, guest, udp });
    }
    for s in a.texts("nameservers")? {
        n = n.nameserver(s);
    }
    if let Some(v) = a.opt_number("max_connections")? {
        n = n.max_connections(v);
    }
    if let Some(v) = a.opt_text("proxy")? {
        n = n.proxy(v);
    }
    if let Some(v) = a.opt_number("mtu")? {
        n = n.mtu(v);
    }
    for v in a.texts("vsock")? {
        n = n.vsock(v);
    }
    a.done()?;
    Ok(n)
}

pub fn secret(mut a: Args) -> Build<SecretBuilder> {
    let mut s = SecretBuilder::default().env(a.text("env")?);
    if let Some(v) = a.opt_text("value")? {
        s = s.value(v);
    }
    if let Some(v) = a.opt_text("source")? {
        s = s.source(v);
    }
    if let Some(v) = a.opt_text("placeholder")? {
        s = s.placeholder(v);
    }
    s = s.allow_hosts(a.texts("hosts")?);
    type Set = fn(SecretBuilder) -> SecretBuilder;
    let flags: [(&str, Set); 5] = [
        ("headers", SecretBuilder::headers),
        ("basic", SecretBuilder::basic),
        ("query", SecretBuilder::query),
        ("body", SecretBuilder::body),
        ("mask", SecretBuilder::mask),
    ];
    for (name, set) in flags {
        if a.flag(name)? {
            s = set(s);
        }
    }
    if let Some(v) = a.opt_text("violation")? {
        let words = [
            ("block", Violation::Block),
            ("block_log", Violation::BlockLog),
            ("block_terminate", Violation::BlockTerminate),
            ("pass", Violation::Pass),
        ];
        s = s.on_violation(word("violation", &v, &words)?);
    }
    a.done()?;
    Ok(s)
}

fn tls(mut a: Args) -> Build<Tls> {
    let mut t = Tls::default();
    if a.flag("intercept")? {
        t = t.intercept();
    }
    if a.flag("no_block_quic")? {
        t = t.block_quic(false);
    }
    for v in a.texts("bypass")? {
        t = t.bypass(v);
    }
    for v in a.list("ports")? {
        t = t.port(v.as_str().map_or_else(|| v.to_string(), str::to_owned));
    }
    for v in a.texts("upstream_cas")? {
        t = t.upstream_ca_cert(v);
    }
    a.done()?;
    Ok(t)
}

/// What exec, shell and exec.start have in common.
pub fn exec(mut e: ExecOptions, a: &mut Args) -> Build<ExecOptions> {
    e = e.envs(a.pairs("env")?);
    if let Some(v) = a.opt_text("cwd")? {
        e = e.cwd(v);
    }
    if let Some(v) = a.opt_text("user")? {
        e = e.user(v);
    }
    for l in a.texts("rlimits")? {
        e = match rlimit(&l)? {
            (name, soft, None) => e.rlimit(name, soft),
            (name, soft, Some(hard)) => e.rlimit_range(name, soft, hard),
        };
    }
    Ok(e.tty(a.flag("tty")?))
}
