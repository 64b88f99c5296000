//! Machines that run.

use std::time::Duration;

use microsandbox_sys as sys;
use sys::msb_sandbox;

use super::cancel;
use super::data::Owned;
use super::home::RawHome;
use super::options;
use super::strings::{list, text, Arena};
use super::{api, call, record};
use crate::config::Secret;
use crate::error::{MicrosandboxError, Result};
use crate::image::PullSender;
use crate::metrics::Metrics;
use crate::sandbox::{SandboxConfig, State, Times};

pub(crate) struct RawSandbox(Owned<msb_sandbox>);

// SAFETY: a sandbox may be used by many threads at once.
unsafe impl Sync for RawSandbox {}

impl RawSandbox {
    /// # Safety
    /// The handle is the caller's to free.
    unsafe fn new(ptr: *mut msb_sandbox) -> Result<Self> {
        // SAFETY: by the caller's word.
        Ok(Self(unsafe { Owned::new(ptr, |api| api.msb_sandbox_free)? }))
    }

    pub(crate) fn ptr(&self) -> *mut msb_sandbox {
        self.0.ptr()
    }

    pub(crate) fn free_now(self) {
        self.0.free_now();
    }

    pub(crate) fn wait_ready(&self, timeout: Option<Duration>) -> Result<()> {
        let ms = options::wait_millis("the time limit", timeout)?;
        // SAFETY: the handle lives as long as &self.
        let r = call(|api, e| unsafe { (api.msb_sandbox_wait_ready)(self.ptr(), ms, e) });
        if let Err(mut e) = r {
            e.info_mut().console = self.console()?;
            return Err(e);
        }
        Ok(())
    }

    pub(crate) fn stop(&self, timeout: Duration) -> Result<()> {
        let ms = options::wait_millis("the time limit", Some(timeout))? as u32;
        // SAFETY: the handle lives as long as &self.
        call(|api, e| unsafe { (api.msb_sandbox_stop)(self.ptr(), ms, e) })?;
        Ok(())
    }

    pub(crate) fn kill(&self) -> Result<()> {
        // SAFETY: the handle lives as long as &self.
        call(|api, e| unsafe { (api.msb_sandbox_kill)(self.ptr(), e) })?;
        Ok(())
    }

    pub(crate) fn wait(&self, timeout: Option<Duration>) -> Result<()> {
        let ms = options::wait_millis("the time limit", timeout)?;
        // SAFETY: the handle lives as long as &self.
        call(|api, e| unsafe { (api.msb_sandbox_wait)(self.ptr(), ms, e) })?;
        Ok(())
    }

    pub(crate) fn detach(&self) -> Result<()> {
        // SAFETY: the handle lives as long as &self.
        call(|api, e| unsafe { (api.msb_sandbox_detach)(self.ptr(), e) })?;
        Ok(())
    }

    pub(crate) fn touch(&self) -> Result<()> {
        // SAFETY: the handle lives as long as &self.
        call(|api, e| unsafe { (api.msb_sandbox_touch)(self.ptr(), e) })?;
        Ok(())
    }

    pub(crate) fn run_main(&self) -> Result<()> {
        // SAFETY: the handle lives as long as &self.
        call(|api, e| unsafe { (api.msb_sandbox_run_main)(self.ptr(), e) })?;
        Ok(())
    }

    pub(crate) fn ping(&self, timeout: Option<Duration>) -> Result<Duration> {
        let ms = options::wait_millis("the time limit", timeout)?;
        let mut ns = 0;
        // SAFETY: the handle lives as long as &self.
        call(|api, e| unsafe { (api.msb_sandbox_ping)(self.ptr(), ms, &mut ns, e) })?;
        Ok(Duration::from_nanos(ns))
    }

    pub(crate) fn metrics(&self) -> Result<Metrics> {
        let mut m = sys::msb_metrics::default();
        // SAFETY: the handle lives as long as &self; the struct says its size.
        call(|api, e| unsafe { (api.msb_sandbox_metrics)(self.ptr(), &mut m, e) })?;
        Ok(Metrics::from_raw(&m))
    }

    pub(crate) fn state(&self) -> Result<State> {
        // SAFETY: the handle lives as long as &self.
        Ok(record::state(unsafe { (api()?.msb_sandbox_state)(self.ptr()) }))
    }

    pub(crate) fn name(&self) -> Result<String> {
        // SAFETY: the string lives as long as the handle; so in the next ones.
        Ok(unsafe { text((api()?.msb_sandbox_name)(self.ptr())) })
    }

    pub(crate) fn id(&self) -> Result<String> {
        // SAFETY: as in name().
        Ok(unsafe { text((api()?.msb_sandbox_id)(self.ptr())) })
    }

    pub(crate) fn console(&self) -> Result<String> {
        // SAFETY: as in name().
        Ok(unsafe { text((api()?.msb_sandbox_console)(self.ptr())) })
    }

    pub(crate) fn engine(&self) -> Result<String> {
        // SAFETY: as in name().
        Ok(unsafe { text((api()?.msb_sandbox_engine)(self.ptr())) })
    }

    pub(crate) fn accel(&self) -> Result<String> {
        // SAFETY: as in name().
        Ok(unsafe { text((api()?.msb_sandbox_accel)(self.ptr())) })
    }

    pub(crate) fn warning(&self) -> Result<String> {
        // SAFETY: as in name().
        Ok(unsafe { text((api()?.msb_sandbox_warning)(self.ptr())) })
    }

    pub(crate) fn walls(&self) -> Result<Vec<String>> {
        // SAFETY: as in name(); the list ends with NULL.
        Ok(unsafe { list((api()?.msb_sandbox_walls)(self.ptr())) })
    }

    pub(crate) fn times(&self) -> Result<Times> {
        let mut t = sys::msb_sandbox_times::default();
        // SAFETY: the handle lives as long as &self; the struct says its size.
        unsafe { (api()?.msb_sandbox_times)(self.ptr(), &mut t) };
        let since =
            |ns: u64| (ns != 0).then(|| Duration::from_nanos(ns.saturating_sub(t.create_ns)));
        Ok(Times {
            launched: since(t.launched_ns),
            spawned: since(t.spawn_ns),
            init: since(t.init_ns),
            ready: since(t.ready_ns),
        })
    }
}

/// A sandbox that its creator has not got yet. Dropped before that, nothing of it stays.
pub(crate) struct Fresh {
    raw: Option<RawSandbox>,
    /// The name of one that is only on record.
    record: Option<String>,
    home: std::sync::Arc<RawHome>,
    /// It was made now, and goes with its record; else only its machine ends.
    made: bool,
}

impl Fresh {
    /// Its creator has it now.
    pub(crate) fn keep(mut self) -> Result<RawSandbox> {
        self.raw.take().ok_or_else(|| MicrosandboxError::internal("it was taken twice"))
    }

    /// As [`keep`](Self::keep), of one that was only put on record: its name.
    pub(crate) fn keep_record(mut self) -> Result<String> {
        self.record.take().ok_or_else(|| MicrosandboxError::internal("it has no name"))
    }

    fn ready(self, detach: bool) -> Result<Self> {
        let Some(raw) = &self.raw else { return Ok(self) };
        let mut r = raw.wait_ready(None);
        if r.is_ok() && detach {
            r = raw.detach();
        }
        match r {
            Ok(()) => Ok(self),
            Err(e) => {
                self.discard();
                Err(e)
            }
        }
    }

    /// At once, in this thread, whether or not its call was cancelled.
    fn discard(mut self) {
        cancel::not_any_more();
        if let Some(raw) = self.raw.take() {
            end(raw, &self.home, self.made);
        }
    }
}

fn end(raw: RawSandbox, home: &RawHome, made: bool) {
    // Not by its name, which another one could have by then.
    let id = raw.id();
    let _ = raw.kill();
    if let (true, Ok(id)) = (made, id) {
        // Nothing is left to remove of one that was not to be kept.
        let _ = home.remove(&id, true);
    }
    raw.free_now();
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Some(raw) = self.raw.take() {
            let (home, made) = (self.home.clone(), self.made);
            crate::pool::free(move || end(raw, &home, made));
        }
        if let Some(name) = self.record.take() {
            let home = self.home.clone();
            crate::pool::free(move || drop(home.remove(&name, true)));
        }
    }
}

/// Make a sandbox and wait until it is ready, or only put it on record.
pub(crate) fn create(
    home: &std::sync::Arc<RawHome>,
    config: &SandboxConfig,
    tell: &Option<PullSender>,
) -> Result<Fresh> {
    if config.no_start && config.name.is_none() {
        return Err(MicrosandboxError::invalid("one that is only put on record needs a name"));
    }
    let mut a = Arena::default();
    let mut opts = options::sandbox(&mut a, config)?;
    let image = match (&config.image, &config.snapshot) {
        (Some(reference), None) => Some(home.pull(reference, &config.pull, tell)?),
        (None, Some(_)) => None,
        _ => return Err(MicrosandboxError::invalid("either an image or a snapshot is needed")),
    };
    if let Some(image) = &image {
        opts.image = image.ptr();
    }
    let mut ptr = std::ptr::null_mut();
    // SAFETY: all that the options point to lives in the arena, or is the image above.
    unsafe {
        call(|api, e| (api.msb_sandbox_create)(home.ptr(), &opts, &mut ptr, e))?;
    }
    if config.no_start {
        let record = config.name.clone();
        return Ok(Fresh { raw: None, record, home: home.clone(), made: true });
    }
    // SAFETY: the handle is ours.
    let raw = Some(unsafe { RawSandbox::new(ptr)? });
    Fresh { raw, record: None, home: home.clone(), made: true }.ready(config.detached)
}

/// How a machine of a sandbox on record is started.
#[derive(Debug, Clone, Default)]
pub(crate) struct StartConfig {
    pub log_level: Option<String>,
    pub secrets: Vec<Secret>,
    pub detached: bool,
}

fn start_opts(a: &mut Arena, c: &StartConfig) -> Result<sys::msb_start_opts> {
    Ok(sys::msb_start_opts {
        log_level: a.opt("the log level", &c.log_level)?,
        secrets: options::secrets(a, &c.secrets)?,
        ..Default::default()
    })
}

pub(crate) fn start(
    home: &std::sync::Arc<RawHome>,
    name: &str,
    config: &StartConfig,
) -> Result<Fresh> {
    let mut a = Arena::default();
    let opts = start_opts(&mut a, config)?;
    let name = a.text("the name", name)?;
    let mut ptr = std::ptr::null_mut();
    // SAFETY: strings live in the arena; the handle is ours.
    let raw = unsafe {
        call(|api, e| (api.msb_sandbox_start)(home.ptr(), name, &opts, &mut ptr, e))?;
        Some(RawSandbox::new(ptr)?)
    };
    Fresh { raw, record: None, home: home.clone(), made: false }.ready(config.detached)
}

pub(crate) fn restart(
    home: &std::sync::Arc<RawHome>,
    name: &str,
    timeout: Duration,
    config: &StartConfig,
) -> Result<Fresh> {
    let mut a = Arena::default();
    let opts = start_opts(&mut a, config)?;
    let name = a.text("the name", name)?;
    let ms = options::wait_millis("the time limit", Some(timeout))? as u32;
    let mut ptr = std::ptr::null_mut();
    // SAFETY: as in start().
    let raw = unsafe {
        call(|api, e| (api.msb_sandbox_restart)(home.ptr(), name, ms, &opts, &mut ptr, e))?;
        Some(RawSandbox::new(ptr)?)
    };
    Fresh { raw, record: None, home: home.clone(), made: false }.ready(config.detached)
}

impl RawHome {
    pub(crate) fn open_sandbox(&self, name: &str) -> Result<RawSandbox> {
        let mut a = Arena::default();
        let name = a.text("the name", name)?;
        let mut ptr = std::ptr::null_mut();
        // SAFETY: the name lives in the arena; the handle is ours.
        unsafe {
            call(|api, e| (api.msb_sandbox_open)(self.ptr(), name, &mut ptr, e))?;
            let raw = RawSandbox::new(ptr)?;
            // It says nothing of itself before it was heard.
            raw.wait_ready(None)?;
            Ok(raw)
        }
    }
}
