//! What a sandbox may reach, and who may reach it.

use std::path::PathBuf;
use std::time::Duration;

use super::{NetworkPolicy, Tls};

/// What becomes of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It goes on.
    Allow,
    /// It is told at once that it may not.
    Deny,
}

/// A port of the host that leads to one of the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// An address of the host; 127.0.0.1 when there is none.
    pub bind: Option<String>,
    /// 0: any that is free; [`Sandbox::ports`](crate::Sandbox::ports) tells which.
    pub host: u16,
    /// The guest's.
    pub guest: u16,
    /// UDP, else TCP.
    pub udp: bool,
}

/// So many bytes or packets a second, and how many at once; 0: no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rate {
    /// On average.
    pub per_second: u64,
    /// At once; 0: a second's worth.
    pub burst: u64,
}

/// The network of a sandbox. The default reaches the public internet and nothing private.
#[derive(Debug, Clone, Default)]
pub struct Network {
    pub(crate) disabled: bool,
    pub(crate) strict: bool,
    pub(crate) no_rebind_protection: bool,
    pub(crate) trust_host_cas: bool,
    pub(crate) log_denied: bool,
    pub(crate) profile: Option<String>,
    pub(crate) rules: Vec<String>,
    pub(crate) default_egress: Option<Action>,
    pub(crate) default_ingress: Option<Action>,
    pub(crate) ports: Vec<Port>,
    pub(crate) nameservers: Vec<String>,
    pub(crate) dns_timeout: Option<Duration>,
    pub(crate) ipv4_pool: Option<String>,
    pub(crate) ipv6_pool: Option<String>,
    pub(crate) mtu: Option<u32>,
    pub(crate) egress_bytes: Rate,
    pub(crate) egress_packets: Rate,
    pub(crate) ingress_bytes: Rate,
    pub(crate) ingress_packets: Rate,
    pub(crate) max_connections: Option<u32>,
    pub(crate) proxy: Option<String>,
    pub(crate) socks4_user_id: Option<String>,
    pub(crate) socks5_username: Option<String>,
    pub(crate) socks5_password_env: Option<String>,
    pub(crate) vsock: Vec<String>,
    pub(crate) pcap: Option<PathBuf>,
    /// Goes to the sandbox's.
    pub(crate) tls: Option<Tls>,
}

impl Network {
    /// Nothing is reached and nobody reaches it; the interface is there.
    pub fn none() -> Self {
        Self::from_profiles(["none"])
    }

    /// The public internet, and nothing of the host or of private networks: the default.
    pub fn public_only() -> Self {
        Self::from_profiles(["public"])
    }

    /// Everything, both ways.
    pub fn allow_all() -> Self {
        Self::from_profiles(["all"])
    }

    /// Of public, private and host any number; or all, or none.
    pub fn from_profiles<S: AsRef<str>>(profiles: impl IntoIterator<Item = S>) -> Self {
        let all: Vec<_> = profiles.into_iter().map(|p| p.as_ref().to_owned()).collect();
        Self { profile: Some(all.join(",")), ..Self::default() }
    }

    fn with(mut self, f: impl FnOnce(&mut Self)) -> Self {
        f(&mut self);
        self
    }

    /// Take the policy of another one (profile, rules, defaults); the rest stays.
    pub fn policy(self, policy: impl Into<NetworkPolicy>) -> Self {
        let NetworkPolicy(policy) = policy.into();
        self.with(|n| {
            n.disabled = policy.disabled;
            n.profile = policy.profile;
            n.rules = policy.rules;
            n.default_egress = policy.default_egress;
            n.default_ingress = policy.default_ingress;
        })
    }

    /// No interface at all.
    pub fn disabled(self) -> Self {
        self.with(|n| n.disabled = true)
    }

    /// The profiles, as in [`from_profiles`](Self::from_profiles), by comma.
    pub fn profile(self, profile: impl Into<String>) -> Self {
        self.with(|n| n.profile = Some(profile.into()))
    }

    /// One more rule, `allow|deny[:egress|ingress|any]@TARGET[:PROTO[:PORTS]]`. The first that
    /// matches decides.
    pub fn rule(self, rule: impl Into<String>) -> Self {
        self.with(|n| n.rules.push(rule.into()))
    }

    /// A rule that allows what goes to a target: `api.github.com`, `10.0.0.0/8:tcp:5432`.
    pub fn allow(self, target: impl AsRef<str>) -> Self {
        self.rule(format!("allow@{}", target.as_ref()))
    }

    /// A rule that denies what goes to a target.
    pub fn deny(self, target: impl AsRef<str>) -> Self {
        self.rule(format!("deny@{}", target.as_ref()))
    }

    /// Of what goes out and matches no rule. Without a profile, rules are then all there is.
    pub fn default_egress(self, action: Action) -> Self {
        self.with(|n| n.default_egress = Some(action))
    }

    /// Of what comes in by a published port and matches no rule.
    pub fn default_ingress(self, action: Action) -> Self {
        self.with(|n| n.default_ingress = Some(action))
    }

    /// Publish a port of the guest at 127.0.0.1, TCP.
    pub fn port(self, host: u16, guest: u16) -> Self {
        self.publish(Port { bind: None, host, guest, udp: false })
    }

    /// Publish a port.
    pub fn publish(self, port: Port) -> Self {
        self.with(|n| n.ports.push(port))
    }

    /// A name of a rule must be confirmed by the flow itself: SNI or Host.
    pub fn strict(self, strict: bool) -> Self {
        self.with(|n| n.strict = strict)
    }

    /// Answers of name servers may hold private addresses.
    pub fn no_rebind_protection(self) -> Self {
        self.with(|n| n.no_rebind_protection = true)
    }

    /// The guest trusts the certificates that the host trusts.
    pub fn trust_host_cas(self, trust: bool) -> Self {
        self.with(|n| n.trust_host_cas = trust)
    }

    /// Denied flows are told in the system's log.
    pub fn log_denied(self) -> Self {
        self.with(|n| n.log_denied = true)
    }

    /// All TLS connections are looked into, unless `f` says otherwise; in place of
    /// [`SandboxBuilder::tls`](crate::SandboxBuilder::tls).
    pub fn tls(self, f: impl FnOnce(Tls) -> Tls) -> Self {
        self.with(|n| n.tls = Some(f(n.tls.take().unwrap_or_default().intercept())))
    }

    /// How names are looked up.
    pub fn dns(self, f: impl FnOnce(DnsBuilder) -> DnsBuilder) -> Self {
        f(DnsBuilder(self)).0
    }

    /// A name server, `ADDR[:PORT]`, in place of the host's.
    pub fn nameserver(self, server: impl Into<String>) -> Self {
        self.with(|n| n.nameservers.push(server.into()))
    }

    /// How long a name server may take.
    pub fn dns_timeout(self, timeout: Duration) -> Self {
        self.with(|n| n.dns_timeout = Some(timeout))
    }

    /// Where IPv4 addresses are taken from.
    pub fn ipv4_pool(self, cidr: impl Into<String>) -> Self {
        self.with(|n| n.ipv4_pool = Some(cidr.into()))
    }

    /// Where IPv6 addresses are taken from.
    pub fn ipv6_pool(self, cidr: impl Into<String>) -> Self {
        self.with(|n| n.ipv6_pool = Some(cidr.into()))
    }

    /// Of the guest's interface.
    pub fn mtu(self, mtu: u32) -> Self {
        self.with(|n| n.mtu = Some(mtu))
    }

    /// What goes out: bytes and packets.
    pub fn egress_limit(self, bytes: Rate, packets: Rate) -> Self {
        self.with(|n| (n.egress_bytes, n.egress_packets) = (bytes, packets))
    }

    /// What comes in: bytes and packets.
    pub fn ingress_limit(self, bytes: Rate, packets: Rate) -> Self {
        self.with(|n| (n.ingress_bytes, n.ingress_packets) = (bytes, packets))
    }

    /// At once, TCP.
    pub fn max_connections(self, n: u32) -> Self {
        self.with(|net| net.max_connections = Some(n))
    }

    /// `socks5://ADDR:PORT`, `socks4://` or `http://`: TCP goes through it.
    pub fn proxy(self, url: impl Into<String>) -> Self {
        self.with(|n| n.proxy = Some(url.into()))
    }

    /// The user of a SOCKS 4 proxy.
    pub fn socks4_user_id(self, id: impl Into<String>) -> Self {
        self.with(|n| n.socks4_user_id = Some(id.into()))
    }

    /// The user of a SOCKS 5 proxy, and the variable of this process that has the password.
    pub fn socks5_login(self, user: impl Into<String>, password_env: impl Into<String>) -> Self {
        self.with(|n| {
            n.socks5_username = Some(user.into());
            n.socks5_password_env = Some(password_env.into());
        })
    }

    /// A socket of the host that the guest reaches by vsock, `HOST_PATH:PORT[/stream]`.
    pub fn vsock(self, route: impl Into<String>) -> Self {
        self.with(|n| n.vsock.push(route.into()))
    }

    /// A file that gets all frames.
    pub fn pcap(self, path: impl Into<PathBuf>) -> Self {
        self.with(|n| n.pcap = Some(path.into()))
    }
}

/// How names are looked up.
#[derive(Debug, Clone)]
pub struct DnsBuilder(Network);

impl DnsBuilder {
    /// Name servers, `ADDR[:PORT]`, in place of the host's.
    pub fn nameservers<S: ToString>(self, servers: impl IntoIterator<Item = S>) -> Self {
        let n = servers.into_iter().fold(self.0, |n, s| n.nameserver(s.to_string()));
        Self(n)
    }

    /// Answers of public name servers may not hold private addresses: the default.
    pub fn rebind_protection(mut self, protect: bool) -> Self {
        self.0.no_rebind_protection = !protect;
        self
    }

    /// How long a name server may take.
    pub fn query_timeout_ms(self, ms: u64) -> Self {
        Self(self.0.dns_timeout(Duration::from_millis(ms)))
    }
}
