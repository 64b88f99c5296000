//! A home, and what is asked about it as a whole.

use std::path::Path;

use microsandbox_sys as sys;
use sys::msb_home;

use super::data::{take_strings, take_text, Given, Owned};
use super::strings::{text, Arena};
use super::{api, call};
use crate::doctor::{Check, CheckStatus};
use crate::error::Result;

pub(crate) struct RawHome(Owned<msb_home>);

// SAFETY: a home may be used by many threads at once.
unsafe impl Sync for RawHome {}

impl RawHome {
    pub(crate) fn open(path: Option<&Path>) -> Result<Self> {
        let mut a = Arena::default();
        let path = a.opt_path("the home's path", path)?;
        let mut home = std::ptr::null_mut();
        // SAFETY: the path lives in the arena, the rest are locals; the handle is ours.
        unsafe {
            call(|api, e| (api.msb_home_open)(path, &mut home, e))?;
            Ok(Self(Owned::new(home, |api| api.msb_home_free)?))
        }
    }

    pub(crate) fn ptr(&self) -> *mut msb_home {
        self.0.ptr()
    }

    pub(crate) fn path(&self) -> Result<String> {
        // SAFETY: the string lives as long as the home.
        Ok(unsafe { text((api()?.msb_home_path)(self.ptr())) })
    }

    /// The JSON that one of three functions makes.
    pub(crate) fn ports(&self, name: &str) -> Result<String> {
        let mut a = Arena::default();
        let name = a.text("the name", name)?;
        let mut json = std::ptr::null_mut();
        // SAFETY: strings live in the arena; what comes is ours.
        unsafe {
            call(|api, e| (api.msb_sandbox_ports)(self.ptr(), name, &mut json, e))?;
            Ok(take_text(json))
        }
    }

    pub(crate) fn net_rules(&self, name: &str) -> Result<String> {
        let mut a = Arena::default();
        let name = a.text("the name", name)?;
        let mut json = std::ptr::null_mut();
        // SAFETY: as in ports().
        unsafe {
            call(|api, e| (api.msb_net_rules)(self.ptr(), name, &mut json, e))?;
            Ok(take_text(json))
        }
    }

    pub(crate) fn net_explain(
        &self,
        name: &str,
        host: &str,
        port: u16,
        protocol: &Option<String>,
    ) -> Result<String> {
        let mut a = Arena::default();
        let name = a.text("the name", name)?;
        let host = a.text("the host", host)?;
        let protocol = a.opt("the protocol", protocol)?;
        let mut json = std::ptr::null_mut();
        // SAFETY: as in ports().
        unsafe {
            call(|api, e| {
                (api.msb_net_explain)(self.ptr(), name, host, port, protocol, &mut json, e)
            })?;
            Ok(take_text(json))
        }
    }
}

/// "0.1.0"
pub(crate) fn version() -> Result<String> {
    // SAFETY: a string that lives as long as the library.
    Ok(unsafe { text((api()?.msb_version)()) })
}

pub(crate) fn doctor(home: Option<&Path>) -> Result<Vec<Check>> {
    let mut a = Arena::default();
    let home = a.opt_path("the home's path", home)?;
    let mut report = std::ptr::null_mut();
    // SAFETY: the path lives in the arena; checks live as long as the report, which is ours.
    unsafe {
        call(|api, e| (api.msb_doctor)(home, &mut report, e))?;
        let report = Given::new(report, |api| api.msb_report_free);
        let api = api()?;
        let n = (api.msb_report_count)(report.ptr());
        let checks = (0..n).filter_map(|i| (api.msb_report_get)(report.ptr(), i).as_ref());
        Ok(checks
            .map(|c| Check {
                name: text(c.name),
                status: match c.status {
                    sys::MSB_CHECK_OK => CheckStatus::Ok,
                    sys::MSB_CHECK_INFO => CheckStatus::Info,
                    sys::MSB_CHECK_WARN => CheckStatus::Warn,
                    _ => CheckStatus::Fail,
                },
                message: text(c.message),
                fix: text(c.fix),
            })
            .collect())
    }
}

pub(crate) fn repair(home: Option<&Path>, dry_run: bool) -> Result<Vec<String>> {
    let mut a = Arena::default();
    let home = a.opt_path("the home's path", home)?;
    let mut done = std::ptr::null_mut();
    // SAFETY: the path lives in the arena; the list is ours.
    unsafe {
        call(|api, e| (api.msb_repair)(home, dry_run.into(), &mut done, e))?;
        Ok(take_strings(done))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorInfo, MicrosandboxError};

    #[test]
    fn codes_are_called_as_in_the_library() {
        for code in 1..=sys::MSB_ERR_EXEC {
            let e = MicrosandboxError::from_info(ErrorInfo::new(code, "x"));
            // SAFETY: a string that lives as long as the library.
            let name = unsafe { text((api().unwrap().msb_code_name)(code)) };
            assert_eq!(e.code_name(), name);
            assert_eq!(e.code(), code);
        }
    }

    #[test]
    fn states_are_called_as_in_the_library() {
        for s in 0..=sys::MSB_STATE_CRASHED {
            // SAFETY: as above.
            let name = unsafe { text((api().unwrap().msb_state_name)(s)) };
            // What is ready runs: that is how the command line shows it.
            let ours = match super::super::record::state(s).as_str() {
                "ready" => "running",
                other => other,
            };
            assert_eq!(ours, name);
        }
    }
}
