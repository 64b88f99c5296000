//! Calls about sandboxes, and what is kept in a home.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use microsandbox::{
    ArchiveFormat, Home, Image, LogOptions, LogSource, ModifyBuilder, PullOptions, PullPolicy,
    Sandbox, SandboxBuilder, Snapshot, SnapshotOptions, StartOptions, Volume,
};
use serde_json::{json, Value};

use crate::answers;
use crate::args::{Answer, Args, Fault};
use crate::commands::{self, Command};
use crate::{files, options};

/// Handles by their names.
#[derive(Default)]
pub struct State {
    sandboxes: Mutex<HashMap<String, Sandbox>>,
    commands: Mutex<HashMap<String, Arc<Command>>>,
}

impl State {
    pub fn sandbox(&self, a: &mut Args) -> Result<Sandbox, Fault> {
        let name = a.text("sandbox")?;
        let found = self.sandboxes.lock().unwrap().get(&name).cloned();
        found.ok_or_else(|| Fault::invalid(format!("no sandbox is called {name:?} here")))
    }

    fn keep(&self, name: String, sb: Sandbox) -> Answer {
        let answer = answers::sandbox(&sb);
        self.sandboxes.lock().unwrap().insert(name, sb);
        answer
    }

    fn close(&self, a: &mut Args) -> Answer {
        let name = a.text("sandbox")?;
        a.done()?;
        drop(self.sandboxes.lock().unwrap().remove(&name));
        Ok(json!({}))
    }

    pub fn command(&self, a: &mut Args) -> Result<Arc<Command>, Fault> {
        let name = a.text("exec")?;
        let found = self.commands.lock().unwrap().get(&name).cloned();
        found.ok_or_else(|| Fault::invalid(format!("no command is called {name:?} here")))
    }

    pub fn keep_command(&self, name: String, c: Command) -> Answer {
        self.commands.lock().unwrap().insert(name, Arc::new(c));
        Ok(json!({}))
    }

    pub fn close_command(&self, a: &mut Args) -> Answer {
        let name = a.text("exec")?;
        a.done()?;
        drop(self.commands.lock().unwrap().remove(&name));
        Ok(json!({}))
    }
}

pub async fn make(s: &State, call: &str, a: &mut Args) -> Answer {
    match call.split_once('.') {
        Some(("image", what)) => image(what, a).await,
        Some(("sandbox", "create")) => create(s, a).await,
        Some(("sandbox", "open" | "start" | "restart")) => reach(s, call, a).await,
        Some(("sandbox", "close")) => s.close(a),
        Some(("sandbox", "inspect" | "list" | "remove" | "modify" | "pending")) => {
            record(call, a).await
        }
        Some(("sandbox", what)) => live(s, what, a).await,
        Some(("exec", what)) => commands::make(s, what, a).await,
        Some(("fs", what)) => files::make(s, what, a).await,
        Some(("volume", what)) => volume(what, a).await,
        Some(("snapshot", what)) => snapshot(what, a).await,
        Some(("net", what)) => net(what, a).await,
        Some(_) => Err(Fault::invalid(format!("there is no call {call:?}"))),
        None => other(s, call, a).await,
    }
}

async fn other(s: &State, call: &str, a: &mut Args) -> Answer {
    match call {
        "version" => {
            a.done()?;
            Ok(json!({"version": microsandbox::version()?}))
        }
        "home" => {
            a.done()?;
            Ok(json!({"path": Home::shared().await?.path()}))
        }
        "doctor" => {
            a.done()?;
            let checks: Vec<_> = microsandbox::doctor()
                .await?
                .iter()
                .map(|c| {
                    json!({"name": c.name, "status": c.status.to_string(),
                           "message": c.message, "fix": c.fix})
                })
                .collect();
            Ok(json!({ "checks": checks }))
        }
        "repair" => {
            let dry_run = a.flag("dry_run")?;
            a.done()?;
            Ok(json!({"done": microsandbox::repair(dry_run).await?}))
        }
        "commit" => {
            let (name, reference) = (a.text("sandbox_name")?, a.text("reference")?);
            let (author, message) = (a.opt_text("author")?, a.opt_text("message")?);
            let changes = a.texts("changes")?;
            a.done()?;
            let id = Image::commit(name, reference, |mut c| {
                if let Some(v) = author {
                    c = c.author(v);
                }
                if let Some(v) = message {
                    c = c.message(v);
                }
                changes.into_iter().fold(c, |c, v| c.change(v))
            });
            Ok(json!({"id": id.await?}))
        }
        "logs" => logs(a).await,
        "gc" => Ok(json!({})),
        "exec" | "shell" => commands::run(s, call, a).await,
        _ => Err(Fault::invalid(format!("there is no call {call:?}"))),
    }
}

async fn logs(a: &mut Args) -> Answer {
    let name = a.text("name")?;
    let mut o = LogOptions::new();
    if let Some(n) = a.opt_number("tail")? {
        o = o.tail(n);
    }
    if let Some(n) = a.opt_number("session")? {
        o = o.session(n);
    }
    for text in a.texts("sources")? {
        let all = [
            LogSource::Stdout,
            LogSource::Stderr,
            LogSource::Output,
            LogSource::Console,
            LogSource::System,
        ];
        let found = all.into_iter().find(|s| s.as_str() == text);
        o = o.source(found.ok_or_else(|| Fault::invalid(format!("no source is {text:?}")))?);
    }
    a.done()?;
    let all = Home::shared().await?.logs(name, o).await?;
    Ok(json!({"entries": all.iter().map(answers::log).collect::<Vec<_>>()}))
}

async fn create(s: &State, a: &mut Args) -> Answer {
    let (handle, start) = (a.text("as")?, a.opt_flag("start")?.unwrap_or(true));
    let builder = match a.opt_text("name")? {
        Some(name) => Sandbox::builder(name),
        None => Sandbox::builder_unnamed(),
    };
    let builder: SandboxBuilder = options::sandbox(builder, a)?;
    a.done()?;
    if start {
        return s.keep(handle, builder.create().await?);
    }
    let made = builder.create_stopped().await?;
    Ok(json!({"name": made.name(), "state": made.info().state.as_str()}))
}

async fn reach(s: &State, call: &str, a: &mut Args) -> Answer {
    let (handle, name) = (a.text("as")?, a.text("name")?);
    let timeout = match call {
        "sandbox.restart" => a.millis("timeout_ms")?.unwrap_or(Duration::from_secs(10)),
        _ => Duration::ZERO,
    };
    a.done()?;
    let sb = match call {
        "sandbox.open" => Sandbox::open(name).await?,
        "sandbox.start" => Sandbox::start(name).await?,
        _ => {
            let home = Home::shared().await?;
            home.restart_sandbox(name, timeout, StartOptions::default()).await?
        }
    };
    s.keep(handle, sb)
}

async fn live(s: &State, what: &str, a: &mut Args) -> Answer {
    let sb = s.sandbox(a)?;
    let timed = matches!(what, "stop" | "wait" | "ping");
    let timeout = if timed { a.millis("timeout_ms")? } else { None };
    match what {
        "metrics_stream" => return metrics_stream(&sb, a).await,
        _ => a.done()?,
    }
    match what {
        "detach" => sb.detach().await?,
        "touch" => sb.touch().await?,
        "kill" => sb.kill().await?,
        "console" => return Ok(json!({"console": sb.console()?})),
        "stop" => sb.stop_with_timeout(timeout.unwrap_or(Duration::from_secs(10))).await?,
        "wait" => match timeout {
            Some(t) => sb.wait_timeout(t).await?,
            None => sb.wait().await?,
        },
        "state" => return Ok(json!({"state": sb.state()?.as_str()})),
        "ping" => {
            let d = sb.ping_timeout(timeout.unwrap_or(Duration::from_secs(5))).await?;
            return Ok(json!({"ns": d.as_nanos() as u64}));
        }
        "metrics" => return Ok(answers::metrics(&sb.metrics().await?)),
        _ => return Err(Fault::invalid(format!("there is no call sandbox.{what}"))),
    }
    Ok(json!({}))
}

async fn metrics_stream(sb: &Sandbox, a: &mut Args) -> Answer {
    let interval = Duration::from_millis(a.number("interval_ms")?);
    let count: usize = a.number("count")?;
    a.done()?;
    let mut stream = sb.metrics_stream(interval);
    let mut samples = Vec::new();
    while samples.len() < count {
        match stream.recv().await {
            Some(m) => samples.push(answers::metrics(&m?)),
            None => break,
        }
    }
    Ok(json!({ "samples": samples }))
}

async fn record(call: &str, a: &mut Args) -> Answer {
    if call == "sandbox.list" {
        let labels = a.texts("labels")?;
        a.done()?;
        let all = Home::shared().await?.list_sandboxes(labels).await?;
        let all: Vec<_> = all.iter().map(|h| answers::info(h.info())).collect();
        return Ok(json!({ "sandboxes": all }));
    }
    let name = a.text("name")?;
    if call == "sandbox.modify" {
        return modify(name, a).await;
    }
    let force = call == "sandbox.remove" && a.flag("force")?;
    a.done()?;
    match call {
        "sandbox.inspect" => Ok(answers::info(&Sandbox::inspect(name).await?)),
        "sandbox.pending" => Ok(answers::changes(&Sandbox::pending(name).await?)),
        _ => {
            Home::shared().await?.remove_sandbox(name, force).await?;
            Ok(json!({}))
        }
    }
}

async fn modify(name: String, a: &mut Args) -> Answer {
    let mut m: ModifyBuilder = Sandbox::get(name).await?.modify();
    if a.flag("dry_run")? {
        m = m.dry_run();
    }
    if let Some(v) = a.opt_number("cpus")? {
        m = m.cpus(v);
    }
    if let Some(v) = a.opt_number("memory_bytes")? {
        m = m.memory_bytes(v);
    }
    if let Some(v) = a.opt_number("upper_bytes")? {
        m = m.disk_bytes(v);
    }
    m = a.pairs("env")?.into_iter().fold(m, |m, (k, v)| m.env(k, v));
    m = a.texts("env_rm")?.into_iter().fold(m, ModifyBuilder::remove_env);
    m = a.pairs("labels")?.into_iter().fold(m, |m, (k, v)| m.label(k, v));
    m = a.texts("labels_rm")?.into_iter().fold(m, ModifyBuilder::remove_label);
    if let Some(v) = a.opt_text("workdir")? {
        m = m.workdir(v);
    }
    if let Some(v) = a.opt_text("user")? {
        m = m.user(v);
    }
    if let Some(v) = a.opt_text("hostname")? {
        m = m.hostname(v);
    }
    if let Some(v) = a.opt_text("shell")? {
        m = m.shell(v);
    }
    // -1: no limit any more.
    let limit = |n: i64| u64::try_from(n).ok().map(Duration::from_secs);
    if let Some(v) = a.opt_number("max_duration_s")? {
        m = m.max_duration(limit(v));
    }
    if let Some(v) = a.opt_number("idle_timeout_s")? {
        m = m.idle_timeout(limit(v));
    }
    for s in a.objects("secrets")? {
        let s = options::secret(s)?;
        m = m.secret(|_| s);
    }
    m = a.texts("secrets_rm")?.into_iter().fold(m, ModifyBuilder::remove_secret);
    a.done()?;
    Ok(answers::changes(&m.apply().await?))
}

async fn image(what: &str, a: &mut Args) -> Answer {
    match what {
        "list" => {
            a.done()?;
            let all: Vec<_> = Image::list().await?.iter().map(answers::image).collect();
            return Ok(json!({ "images": all }));
        }
        "prune" => {
            let all = a.flag("all")?;
            a.done()?;
            let p = Image::prune(all).await?;
            return Ok(json!({
                "freed_bytes": p.freed_bytes, "removed_references": p.removed_references,
            }));
        }
        "load" => {
            let (path, tag) = (a.text("path")?, a.opt_text("tag")?);
            a.done()?;
            return Ok(json!({"references": Image::load(path, tag.as_deref()).await?}));
        }
        "save" => {
            let (references, path) = (a.texts("references")?, a.text("path")?);
            let format = match a.opt_text("format")?.as_deref() {
                None | Some("docker") => ArchiveFormat::Docker,
                Some("oci") => ArchiveFormat::Oci,
                Some(f) => return Err(Fault::invalid(format!("no format is {f:?}"))),
            };
            a.done()?;
            Image::save(references, path, format).await?;
            return Ok(json!({}));
        }
        _ => {}
    }
    let reference = a.text("reference")?;
    match what {
        "pull" => pull(reference, a).await,
        "open" => {
            a.done()?;
            Ok(answers::image(&Image::get(reference).await?))
        }
        "users" => {
            a.done()?;
            Ok(json!({"names": Image::users(reference).await?}))
        }
        "remove" => {
            a.done()?;
            Image::remove(reference).await?;
            Ok(json!({}))
        }
        _ => Err(Fault::invalid(format!("there is no call image.{what}"))),
    }
}

async fn pull(reference: String, a: &mut Args) -> Answer {
    let policy = match a.opt_text("policy")?.as_deref() {
        None | Some("missing") => PullPolicy::IfMissing,
        Some("always") => PullPolicy::Always,
        Some("never") => PullPolicy::Never,
        Some(p) => return Err(Fault::invalid(format!("no policy is {p:?}"))),
    };
    let force = a.flag("force")?;
    a.done()?;
    let set = |p: PullOptions| {
        let p = p.policy(policy);
        if force {
            p.force()
        } else {
            p
        }
    };
    Ok(answers::image(&Image::pull_with(reference, set).await?))
}

async fn volume(what: &str, a: &mut Args) -> Answer {
    match what {
        "create" => {
            let mut b = Volume::builder(a.text("name")?);
            b = b.kind(options::volume_kind(a.opt_text("kind")?)?);
            if let Some(v) = a.opt_number("size_bytes")? {
                b = b.size_bytes(v);
            }
            a.done()?;
            b.create().await?;
            Ok(json!({}))
        }
        "list" => {
            a.done()?;
            let all: Vec<_> = Volume::list().await?.iter().map(answers::volume).collect();
            Ok(json!({ "volumes": all }))
        }
        "inspect" => {
            let name = a.text("name")?;
            a.done()?;
            Ok(answers::volume(&Volume::get(name).await?))
        }
        "remove" => {
            let (name, force) = (a.text("name")?, a.flag("force")?);
            a.done()?;
            Home::shared().await?.remove_volume(name, force).await?;
            Ok(json!({}))
        }
        "prune" => {
            a.done()?;
            let p = Volume::prune().await?;
            Ok(json!({"names": p.names, "freed_bytes": p.freed_bytes}))
        }
        _ => Err(Fault::invalid(format!("there is no call volume.{what}"))),
    }
}

async fn snapshot(what: &str, a: &mut Args) -> Answer {
    match what {
        "list" => {
            a.done()?;
            let all: Vec<_> = Snapshot::list().await?.iter().map(answers::snapshot).collect();
            return Ok(json!({ "snapshots": all }));
        }
        "create" => {
            let (sandbox, name) = (a.text("sandbox_name")?, a.text("name")?);
            let (replace, integrity) = (a.flag("replace")?, a.flag("integrity")?);
            let labels = a.pairs("labels")?;
            a.done()?;
            let set = |mut o: SnapshotOptions| {
                o = labels.into_iter().fold(o, |o, (k, v)| o.label(k, v));
                if replace {
                    o = o.replace();
                }
                if integrity {
                    o = o.integrity();
                }
                o
            };
            Snapshot::create_with(sandbox, name, set).await?;
            return Ok(json!({}));
        }
        "load" => {
            let (path, name) = (a.text("path")?, a.opt_text("name")?);
            a.done()?;
            return Ok(json!({"name": Snapshot::load(path, name.as_deref()).await?}));
        }
        "save" => {
            let (name, path) = (a.text("name")?, a.text("path")?);
            let with_image = a.flag("with_image")?;
            a.done()?;
            Snapshot::save(name, path, with_image).await?;
            return Ok(json!({}));
        }
        _ => {}
    }
    let name = a.text("name")?;
    a.done()?;
    match what {
        "inspect" => return Ok(answers::snapshot(&Snapshot::get(name).await?)),
        "verify" => Snapshot::verify(name).await?,
        "remove" => Snapshot::remove(name).await?,
        _ => return Err(Fault::invalid(format!("there is no call snapshot.{what}"))),
    }
    Ok(json!({}))
}

async fn net(what: &str, a: &mut Args) -> Answer {
    let name = a.text("name")?;
    let json_of = |text: String| -> Answer {
        serde_json::from_str::<Value>(&text).map_err(|e| Fault::new("internal", e.to_string()))
    };
    match what {
        "explain" => {
            let host = a.text("host")?;
            let port = a.opt_number("port")?.unwrap_or(0);
            let protocol = a.opt_text("protocol")?;
            a.done()?;
            json_of(microsandbox::net_explain(name, host, port, protocol.as_deref()).await?)
        }
        "rules" => {
            a.done()?;
            json_of(microsandbox::net_rules(name).await?)
        }
        "ports" => {
            a.done()?;
            let all: Vec<_> = microsandbox::ports(name)
                .await?
                .iter()
                .map(|p| {
                    json!({"bind": p.bind, "host": p.host, "guest": p.guest,
                           "protocol": p.protocol})
                })
                .collect();
            Ok(json!({ "ports": all }))
        }
        _ => Err(Fault::invalid(format!("there is no call net.{what}"))),
    }
}
