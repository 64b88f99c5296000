//! Values that never enter the sandbox.

use std::fmt;
use std::path::PathBuf;

/// What happens when a placeholder goes where it must not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Violation {
    /// What the sandbox says, else [`BlockLog`](Self::BlockLog).
    #[default]
    Default,
    /// The request is refused.
    Block,
    /// It is refused, and the log says so.
    BlockLog,
    /// It is refused, and the machine ends.
    BlockTerminate,
    /// The placeholder goes there.
    Pass,
}

#[derive(Clone, Default)]
pub(crate) struct Secret {
    pub env: String,
    pub value: Option<String>,
    pub source: Option<String>,
    pub placeholder: Option<String>,
    pub hosts: Vec<String>,
    pub headers: bool,
    pub basic: bool,
    pub query: bool,
    pub body: bool,
    pub mask: bool,
    /// Where it may stand was said one by one: nowhere, then, is no default.
    pub chosen: bool,
    pub violation: Violation,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("env", &self.env)
            .field("value", &self.value.as_ref().map(|_| "***"))
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

/// One secret: the guest's variable has a placeholder, and the value is put in on the host's
/// side, inside TLS, on the way to hosts that are allowed for it.
#[derive(Debug, Clone, Default)]
pub struct SecretBuilder {
    pub(crate) secret: Secret,
}

impl SecretBuilder {
    fn with(mut self, f: impl FnOnce(&mut Secret)) -> Self {
        f(&mut self.secret);
        self
    }

    /// The guest's variable.
    pub fn env(self, name: impl Into<String>) -> Self {
        self.with(|s| s.env = name.into())
    }

    /// The value. It is kept nowhere: who starts the sandbox again gives it again.
    pub fn value(self, value: impl Into<String>) -> Self {
        self.with(|s| s.value = Some(value.into()))
    }

    /// The variable of this process that has the value; the guest's name when not given.
    pub fn source(self, variable: impl Into<String>) -> Self {
        self.with(|s| s.source = Some(variable.into()))
    }

    /// What the guest sees; random when not given.
    pub fn placeholder(self, text: impl Into<String>) -> Self {
        self.with(|s| s.placeholder = Some(text.into()))
    }

    /// A host that gets the value: `NAME`, `*.NAME` (and NAME itself), or `*`.
    pub fn allow_host(self, host: impl Into<String>) -> Self {
        self.with(|s| s.hosts.push(host.into()))
    }

    /// As [`allow_host`](Self::allow_host), of `*.NAME`.
    pub fn allow_host_pattern(self, pattern: impl Into<String>) -> Self {
        self.allow_host(pattern)
    }

    /// Every host, when who writes this knows what that means: whoever runs in the sandbox can
    /// then have the value sent to themselves.
    pub fn allow_any_host_dangerous(self, i_understand_the_risk: bool) -> Self {
        if i_understand_the_risk {
            self.allow_host("*")
        } else {
            self
        }
    }

    /// Several of them.
    pub fn allow_hosts<S: Into<String>>(self, hosts: impl IntoIterator<Item = S>) -> Self {
        self.with(|s| s.hosts.extend(hosts.into_iter().map(Into::into)))
    }

    /// The placeholder may stand in headers. Where no place is said: headers and basic.
    pub fn headers(self) -> Self {
        self.with(|s| s.headers = true)
    }

    /// The placeholder may stand in `Authorization: Basic`, encoded.
    pub fn basic(self) -> Self {
        self.with(|s| s.basic = true)
    }

    /// The placeholder may stand in the query of the URL.
    pub fn query(self) -> Self {
        self.with(|s| s.query = true)
    }

    /// The placeholder may stand in the body.
    pub fn body(self) -> Self {
        self.with(|s| s.body = true)
    }

    /// Headers and basic are on until they are turned off one by one, the others are off.
    fn inject(self, f: impl FnOnce(&mut Secret)) -> Self {
        self.with(|s| {
            if !(s.chosen || s.headers || s.basic || s.query || s.body) {
                (s.headers, s.basic) = (true, true);
            }
            s.chosen = true;
            f(s);
        })
    }

    /// Whether the placeholder may stand in headers, where it may unless said otherwise.
    pub fn inject_headers(self, on: bool) -> Self {
        self.inject(|s| s.headers = on)
    }

    /// Whether it may stand in `Authorization: Basic`, where it may unless said otherwise.
    pub fn inject_basic_auth(self, on: bool) -> Self {
        self.inject(|s| s.basic = on)
    }

    /// Whether it may stand in the query of the URL, besides headers.
    pub fn inject_query(self, on: bool) -> Self {
        self.inject(|s| s.query = on)
    }

    /// Whether it may stand in the body, besides headers.
    pub fn inject_body(self, on: bool) -> Self {
        self.inject(|s| s.body = on)
    }

    /// The value in an answer becomes the placeholder again.
    pub fn mask(self) -> Self {
        self.with(|s| s.mask = true)
    }

    /// What happens when the placeholder goes where it must not.
    pub fn on_violation(self, violation: Violation) -> Self {
        self.with(|s| s.violation = violation)
    }
}

/// How TLS connections of the guest are looked into. Without it: as secrets need it.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    pub(crate) intercept: bool,
    pub(crate) no_block_quic: bool,
    pub(crate) violation: Violation,
    pub(crate) ports: Vec<String>,
    pub(crate) bypass: Vec<String>,
    pub(crate) ca_cert: Option<PathBuf>,
    pub(crate) ca_key: Option<PathBuf>,
    pub(crate) upstream_cas: Vec<PathBuf>,
    pub(crate) upstream_cas_for: Vec<String>,
    pub(crate) no_verify_for: Vec<String>,
}

impl Tls {
    fn with(mut self, f: impl FnOnce(&mut Self)) -> Self {
        f(&mut self);
        self
    }

    /// Every name, not only those that secrets are for.
    pub fn intercept(self) -> Self {
        self.enabled(true)
    }

    /// Whether every name is looked into, or only those that secrets are for.
    pub fn enabled(self, all: bool) -> Self {
        self.with(|t| t.intercept = all)
    }

    /// Whether UDP to the same ports is denied: the default.
    pub fn block_quic(self, block: bool) -> Self {
        self.with(|t| t.no_block_quic = !block)
    }

    /// Of secrets that do not say.
    pub fn on_violation(self, violation: Violation) -> Self {
        self.with(|t| t.violation = violation)
    }

    /// A port, or a range `FROM-TO`; 443 when none is given.
    pub fn port(self, port: impl ToString) -> Self {
        self.with(|t| t.ports.push(port.to_string()))
    }

    /// These ports, in place of others that were given.
    pub fn intercepted_ports(self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.with(|t| t.ports = ports.into_iter().map(|p| p.to_string()).collect())
    }

    /// A name, or `*.NAME`, that is never looked into.
    pub fn bypass(self, name: impl Into<String>) -> Self {
        self.with(|t| t.bypass.push(name.into()))
    }

    /// A PEM file with the certificate of an own authority; made at each start when not given.
    pub fn intercept_ca_cert(self, pem: impl Into<PathBuf>) -> Self {
        self.with(|t| t.ca_cert = Some(pem.into()))
    }

    /// A PEM file with the key of that.
    pub fn intercept_ca_key(self, pem: impl Into<PathBuf>) -> Self {
        self.with(|t| t.ca_key = Some(pem.into()))
    }

    /// A PEM file of authorities that servers may have.
    pub fn upstream_ca_cert(self, pem: impl Into<PathBuf>) -> Self {
        self.with(|t| t.upstream_cas.push(pem.into()))
    }

    /// As [`upstream_ca_cert`](Self::upstream_ca_cert), of names that match a pattern.
    pub fn upstream_ca_cert_for(self, pattern: impl AsRef<str>, pem: impl AsRef<str>) -> Self {
        self.with(|t| t.upstream_cas_for.push(format!("{}={}", pattern.as_ref(), pem.as_ref())))
    }

    /// Whether servers of these names need a certificate, as all do unless said otherwise. No
    /// value ever goes to those that do not.
    pub fn verify_upstream_for(self, pattern: impl Into<String>, verify: bool) -> Self {
        let pattern = pattern.into();
        self.with(|t| {
            t.no_verify_for.retain(|p| *p != pattern);
            if !verify {
                t.no_verify_for.push(pattern);
            }
        })
    }
}
