//! What the SDK gives, as the protocol has it.

use microsandbox::{
    Change, Effect, ExecEvent, ExecOutput, ExitStatus, FileInfo, Image, LogEntry, Metrics, Sandbox,
    SandboxInfo, Snapshot, Volume, VolumeKind,
};
use serde_json::{json, Map, Value};

use crate::args::{bytes, Answer};

fn object(pairs: &[(String, String)]) -> Value {
    Value::Object(pairs.iter().map(|(k, v)| (k.clone(), json!(v))).collect())
}

pub fn sandbox(sb: &Sandbox) -> Answer {
    Ok(json!({"name": sb.name(), "id": sb.id(), "state": sb.state()?.as_str()}))
}

pub fn info(i: &SandboxInfo) -> Value {
    let flags = [(i.keep, "keep"), (i.detached, "detached")];
    let flags: Vec<_> = flags.iter().filter(|f| f.0).map(|f| f.1).collect();
    let mounts: Vec<_> = i
        .mounts
        .iter()
        .map(|m| json!({"kind": m.kind, "source": m.source, "target": m.target}))
        .collect();
    let secrets: Vec<_> =
        i.secrets.iter().map(|s| json!({"env": s.env, "hosts": s.hosts})).collect();
    json!({
        "name": i.name, "id": i.id, "image": i.image, "state": i.state.as_str(), "cpus": i.cpus,
        "memory_bytes": i.memory_bytes, "labels": object(&i.labels), "env": object(&i.env),
        "workdir": i.workdir, "user": i.user, "hostname": i.hostname, "shell": i.shell,
        "scripts": i.scripts, "patches": i.patches, "end_reason": i.end_reason,
        "exit_code": i.exit_code.unwrap_or(-1), "mounts": mounts, "secrets": secrets,
        "flags": flags,
    })
}

pub fn image(i: &Image) -> Value {
    let env: Vec<_> = i.env.iter().map(|(k, v)| format!("{k}={v}")).collect();
    json!({
        "reference": i.reference, "id": i.id, "platform": i.platform,
        "size_bytes": i.size_bytes, "layer_count": i.layer_count, "entrypoint": i.entrypoint,
        "cmd": i.cmd, "env": env, "workdir": i.workdir, "user": i.user,
    })
}

pub fn volume(v: &Volume) -> Value {
    let kind = if v.kind == VolumeKind::Disk { "disk" } else { "dir" };
    json!({
        "name": v.name, "path": v.path, "kind": kind, "size_bytes": v.size_bytes,
        "users": v.users,
    })
}

pub fn snapshot(s: &Snapshot) -> Value {
    json!({
        "name": s.name, "digest": s.digest, "image": s.image, "sandbox": s.sandbox,
        "labels": object(&s.labels), "size_bytes": s.size_bytes, "content": s.content,
    })
}

pub fn changes(all: &[Change]) -> Value {
    let list: Vec<_> = all
        .iter()
        .map(|c| {
            let effect = if c.effect == Effect::Now { "now" } else { "next_start" };
            json!({"field": c.field, "before": c.before, "after": c.after, "effect": effect})
        })
        .collect();
    json!({ "changes": list })
}

pub fn output(o: &ExecOutput) -> Value {
    json!({
        "exit_code": o.code(), "signal": o.status().signal.unwrap_or(0), "success": o.success(),
        "stdout": bytes(o.stdout_bytes()), "stderr": bytes(o.stderr_bytes()),
        "truncated": o.truncated(),
    })
}

pub fn event(e: Option<ExecEvent>, status: Option<ExitStatus>) -> Answer {
    Ok(match e {
        None => json!({ "kind": null }),
        Some(ExecEvent::Started { pid }) => json!({"kind": "started", "pid": pid}),
        Some(ExecEvent::Stdout(b)) => json!({"kind": "stdout", "data": bytes(&b)}),
        Some(ExecEvent::Stderr(b)) => json!({"kind": "stderr", "data": bytes(&b)}),
        Some(ExecEvent::Exited { code }) => {
            let signal = status.and_then(|s| s.signal).unwrap_or(0);
            json!({"kind": "exited", "exit_code": code, "signal": signal})
        }
        Some(ExecEvent::Failed(f)) if f.lost() => return Err(f.error.into()),
        Some(ExecEvent::Failed(f) | ExecEvent::StdinError(f)) => {
            json!({"kind": "failed", "message": f.message})
        }
    })
}

pub fn file(i: &FileInfo) -> Value {
    json!({
        "path": i.path, "target": i.target, "mode": i.mode, "uid": i.uid, "gid": i.gid,
        "size_bytes": i.size, "mtime_s": i.mtime_s,
    })
}

pub fn log(e: &LogEntry) -> Value {
    json!({
        "source": e.source.as_str(), "data": bytes(&e.data), "session": e.session.unwrap_or(0),
    })
}

pub fn metrics(m: &Metrics) -> Value {
    let mut o = Map::new();
    macro_rules! all {
        ($($name:ident)*) => { $(o.insert(stringify!($name).into(), json!(m.$name));)* };
    }
    all!(time_ns unix_ms uptime_ns cpu_ns memory_bytes memory_resident_bytes
         memory_returned_bytes disk_read_bytes disk_write_bytes disk_reads disk_writes
         net_rx_bytes net_tx_bytes upper_bytes upper_used_bytes cpus sessions net_rx_packets
         net_tx_packets net_flows net_open net_denied net_refused net_dns_queries net_dns_denied
         tls_flows tls_refused secrets_used secret_violations secrets_masked);
    Value::Object(o)
}
