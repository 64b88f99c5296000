//! What is on record: sandboxes, and changes of them.

use microsandbox_sys as sys;

use super::data::Given;
use super::home::RawHome;
use super::options;
use super::strings::{list, pairs, text, Arena};
use super::{api, call};
use crate::config::{Port, Violation};
use crate::error::Result;
use crate::sandbox::{
    Change, Changes, Effect, MountInfo, NetworkInfo, SandboxInfo, SecretInfo, State,
};

pub(crate) fn state(s: i32) -> State {
    match s {
        sys::MSB_STATE_STARTING => State::Starting,
        sys::MSB_STATE_READY => State::Ready,
        sys::MSB_STATE_FAILED => State::Failed,
        sys::MSB_STATE_STOPPED => State::Stopped,
        sys::MSB_STATE_CREATED => State::Created,
        _ => State::Crashed,
    }
}

pub(crate) fn violation(v: i32) -> Violation {
    match v {
        sys::MSB_VIOLATION_BLOCK => Violation::Block,
        sys::MSB_VIOLATION_BLOCK_LOG => Violation::BlockLog,
        sys::MSB_VIOLATION_BLOCK_TERMINATE => Violation::BlockTerminate,
        sys::MSB_VIOLATION_PASS => Violation::Pass,
        _ => Violation::Default,
    }
}

/// # Safety
/// `p` is NULL, or a list that ends with NULL and lives during the call.
unsafe fn each<'a, T: 'a>(p: *const *const T) -> impl Iterator<Item = &'a T> {
    let mut p = p;
    std::iter::from_fn(move || {
        if p.is_null() {
            return None;
        }
        // SAFETY: by the caller's word; the end is not gone past.
        unsafe {
            let item = (*p).as_ref()?;
            p = p.add(1);
            Some(item)
        }
    })
}

/// # Safety
/// What the library filled, which lives during the call.
unsafe fn mount(m: &sys::msb_mount) -> MountInfo {
    let kind = match m.kind {
        sys::MSB_MOUNT_DIR => "dir",
        sys::MSB_MOUNT_FILE => "file",
        sys::MSB_MOUNT_NAMED => "named",
        sys::MSB_MOUNT_DISK => "disk",
        _ => "tmpfs",
    };
    // SAFETY: by the caller's word.
    unsafe {
        MountInfo {
            kind,
            source: text(m.source),
            target: text(m.target),
            read_only: m.flags & sys::MSB_MOUNT_READ_ONLY != 0,
        }
    }
}

/// # Safety
/// As of [`mount`].
unsafe fn network(n: Option<&sys::msb_network>) -> NetworkInfo {
    let Some(n) = n else { return NetworkInfo::default() };
    // SAFETY: by the caller's word.
    unsafe {
        NetworkInfo {
            disabled: n.flags & sys::MSB_NET_DISABLED != 0,
            profile: text(n.profile),
            rules: list(n.rules),
            ports: each(n.ports)
                .map(|p| Port {
                    bind: (!p.bind.is_null()).then(|| text(p.bind)),
                    host: p.host,
                    guest: p.guest,
                    udp: p.flags & sys::MSB_PORT_UDP != 0,
                })
                .collect(),
        }
    }
}

/// # Safety
/// As of [`mount`].
unsafe fn info(i: &sys::msb_sandbox_info) -> SandboxInfo {
    let time = |ms: u64| (ms != 0).then_some(ms);
    let pid = |p: i64| (p != 0).then_some(p);
    // SAFETY: by the caller's word.
    unsafe {
        SandboxInfo {
            name: text(i.name),
            id: text(i.id),
            image: text(i.image),
            image_id: text(i.image_id),
            state: state(i.state),
            keep: i.flags & sys::MSB_SANDBOX_KEEP != 0,
            detached: i.flags & sys::MSB_SANDBOX_DETACHED != 0,
            cpus: i.cpus,
            memory_bytes: i.memory_bytes,
            upper_bytes: i.upper_bytes,
            disk_bytes: i.disk_bytes,
            engine: text(i.engine),
            accel: text(i.accel),
            walls: list(i.walls),
            boundary: text(i.boundary),
            pid: pid(i.pid),
            owner_pid: pid(i.owner_pid),
            labels: pairs(i.labels),
            created_ms: time(i.created_ms),
            started_ms: time(i.started_ms),
            ready_ms: time(i.ready_ms),
            ended_ms: time(i.ended_ms),
            end_reason: text(i.end_reason),
            end_message: text(i.end_message),
            exit_code: (i.exit_code >= 0).then_some(i.exit_code),
            max_duration_s: i.max_duration_s,
            idle_timeout_s: i.idle_timeout_s,
            hostname: text(i.hostname),
            env: pairs(i.env),
            rlimits: list(i.rlimits),
            workdir: text(i.workdir),
            user: text(i.user),
            entrypoint: text(i.entrypoint),
            shell: text(i.shell),
            scripts: list(i.scripts),
            init: text(i.init),
            command: list(i.command),
            patches: list(i.patches),
            mounts: each(i.mounts).map(|m| mount(m)).collect(),
            network: network(i.network.as_ref()),
            secrets: each(i.secrets)
                .map(|s| SecretInfo {
                    env: text(s.env),
                    placeholder: text(s.placeholder),
                    hosts: list(s.hosts),
                    violation: violation(s.violation),
                })
                .collect(),
        }
    }
}

impl RawHome {
    pub(crate) fn inspect(&self, name: &str) -> Result<SandboxInfo> {
        let mut a = Arena::default();
        let name = a.text("the name", name)?;
        let mut i = std::ptr::null_mut();
        // SAFETY: the name lives in the arena; what comes is ours until it is freed.
        unsafe {
            call(|api, e| (api.msb_sandbox_inspect)(self.ptr(), name, &mut i, e))?;
            let given = Given::new(i, |api| api.msb_sandbox_info_free);
            Ok(info(&*given.ptr()))
        }
    }

    pub(crate) fn list(&self, labels: &[String]) -> Result<Vec<SandboxInfo>> {
        let mut a = Arena::default();
        let labels = a.list("a label", labels)?;
        let mut l = std::ptr::null_mut();
        // SAFETY: as in inspect(); entries live as long as the list.
        unsafe {
            call(|api, e| (api.msb_sandbox_list)(self.ptr(), labels, &mut l, e))?;
            let given = Given::new(l, |api| api.msb_sandbox_list_free);
            let api = api()?;
            let n = (api.msb_sandbox_list_count)(given.ptr());
            let all = (0..n).filter_map(|i| (api.msb_sandbox_list_get)(given.ptr(), i).as_ref());
            Ok(all.map(|i| info(i)).collect())
        }
    }

    pub(crate) fn remove(&self, name: &str, force: bool) -> Result<()> {
        let mut a = Arena::default();
        let name = a.text("the name", name)?;
        let flags = if force { sys::MSB_REMOVE_FORCE } else { 0 };
        // SAFETY: the name lives in the arena.
        call(|api, e| unsafe { (api.msb_sandbox_remove)(self.ptr(), name, flags, e) })?;
        Ok(())
    }

    pub(crate) fn modify(&self, name: &str, c: &Changes) -> Result<Vec<Change>> {
        let mut a = Arena::default();
        if let Some(fault) = &c.fault {
            return Err(crate::MicrosandboxError::invalid(fault.clone()));
        }
        let limit = |what, d: Option<Option<std::time::Duration>>| match d {
            None => Ok(0),
            Some(None) => Ok(-1),
            Some(d) => options::seconds(what, d).map(|s| s as i32),
        };
        let opts = sys::msb_modify_opts {
            dry_run: c.dry_run.into(),
            cpus: c.cpus.unwrap_or(0),
            memory_bytes: c.memory_bytes.unwrap_or(0),
            env: a.pairs("env", &c.env)?,
            env_rm: a.list("env", &c.env_rm)?,
            labels: a.pairs("labels", &c.labels)?,
            labels_rm: a.list("labels", &c.labels_rm)?,
            workdir: a.opt("the working folder", &c.workdir)?,
            user: a.opt("the user", &c.user)?,
            hostname: a.opt("the host name", &c.hostname)?,
            shell: a.opt("the shell", &c.shell)?,
            max_duration_s: limit("the time limit", c.max_duration)?,
            idle_timeout_s: limit("the idle time limit", c.idle_timeout)?,
            upper_bytes: c.upper_bytes.unwrap_or(0),
            secrets: options::secrets(&mut a, &c.secrets)?,
            secrets_rm: a.list("a secret", &c.secrets_rm)?,
            ..Default::default()
        };
        let name = a.text("the name", name)?;
        let mut plan = std::ptr::null_mut();
        // SAFETY: all strings live in the arena; the plan is ours.
        unsafe {
            call(|api, e| (api.msb_sandbox_modify)(self.ptr(), name, &opts, &mut plan, e))?;
            changes(plan)
        }
    }

    pub(crate) fn pending(&self, name: &str) -> Result<Vec<Change>> {
        let mut a = Arena::default();
        let name = a.text("the name", name)?;
        let mut plan = std::ptr::null_mut();
        // SAFETY: the name lives in the arena; the plan is ours.
        unsafe {
            call(|api, e| (api.msb_sandbox_pending)(self.ptr(), name, &mut plan, e))?;
            changes(plan)
        }
    }
}

/// # Safety
/// The plan is the caller's to free; it is done here.
unsafe fn changes(plan: *mut sys::msb_plan) -> Result<Vec<Change>> {
    // SAFETY: by the caller's word; changes live as long as the plan.
    unsafe {
        let given = Given::new(plan, |api| api.msb_plan_free);
        let api = api()?;
        let n = (api.msb_plan_count)(given.ptr());
        let all = (0..n).filter_map(|i| (api.msb_plan_get)(given.ptr(), i).as_ref());
        Ok(all
            .map(|c| Change {
                field: text(c.field),
                before: text(c.before),
                after: text(c.after),
                effect: match c.effect {
                    sys::MSB_EFFECT_NOW => Effect::Now,
                    _ => Effect::NextStart,
                },
            })
            .collect())
    }
}
