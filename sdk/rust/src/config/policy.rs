//! A policy of the network, put together by functions in place of text.

use std::net::IpAddr;

use super::{Action, Network};
use crate::error::{MicrosandboxError, Result};

/// Places that are allowed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkProfile {
    /// The internet.
    Public,
    /// Private addresses.
    Private,
    /// The host.
    Host,
}

impl AsRef<str> for NetworkProfile {
    fn as_ref(&self) -> &str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Host => "host",
        }
    }
}

/// Groups of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DestinationGroup {
    /// The internet.
    Public,
    /// 127.0.0.0/8 and ::1.
    Loopback,
    /// Private addresses.
    Private,
    /// 169.254.0.0/16 and fe80::/10, less metadata.
    LinkLocal,
    /// The metadata services of clouds.
    Metadata,
    /// Multicast addresses.
    Multicast,
    /// The host.
    Host,
}

impl DestinationGroup {
    fn word(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::Metadata => "meta",
            Self::Multicast => "multicast",
            Self::Host => "host",
        }
    }
}

/// Defaults and rules: what [`Network::policy`] takes.
#[derive(Debug, Clone)]
pub struct NetworkPolicy(pub(super) Network);

impl From<Network> for NetworkPolicy {
    fn from(network: Network) -> Self {
        Self(network)
    }
}

impl NetworkPolicy {
    /// Nothing, in either direction.
    pub fn none() -> Self {
        Self(Network::none())
    }

    /// Everything, in both directions.
    pub fn allow_all() -> Self {
        Self(Network::allow_all())
    }

    /// These places, and the gateway's name server.
    pub fn from_profiles(profiles: impl IntoIterator<Item = NetworkProfile>) -> Self {
        let all: Vec<_> = profiles.into_iter().collect();
        if all.is_empty() {
            return Self(Network::default().default_egress(Action::Deny));
        }
        Self(Network::from_profiles(all))
    }

    /// One of rules.
    pub fn builder() -> NetworkPolicyBuilder {
        NetworkPolicyBuilder::default()
    }
}

/// A [`NetworkPolicy`] of rules; the first that matches decides. Without a default what goes out
/// is denied, and what comes in, by published ports, is allowed.
#[derive(Debug, Clone, Default)]
pub struct NetworkPolicyBuilder {
    egress: Option<Action>,
    ingress: Option<Action>,
    rules: Vec<String>,
    fault: Option<String>,
}

impl NetworkPolicyBuilder {
    /// What no rule is about is allowed, in both directions.
    pub fn default_allow(self) -> Self {
        self.default_egress(Action::Allow).default_ingress(Action::Allow)
    }

    /// What no rule is about is denied, in both directions.
    pub fn default_deny(self) -> Self {
        self.default_egress(Action::Deny).default_ingress(Action::Deny)
    }

    /// What no rule is about, going out.
    pub fn default_egress(mut self, action: Action) -> Self {
        self.egress = Some(action);
        self
    }

    /// What no rule is about, coming in.
    pub fn default_ingress(mut self, action: Action) -> Self {
        self.ingress = Some(action);
        self
    }

    fn rules(
        mut self,
        direction: Option<&'static str>,
        f: impl for<'a> FnOnce(&'a mut RuleBuilder) -> &'a mut RuleBuilder,
    ) -> Self {
        let mut b = RuleBuilder { direction, ..RuleBuilder::default() };
        f(&mut b);
        self.fault = self.fault.or(b.fault);
        self.rules.append(&mut b.rules);
        self
    }

    /// Rules whose direction the function says.
    pub fn rule(self, f: impl for<'a> FnOnce(&'a mut RuleBuilder) -> &'a mut RuleBuilder) -> Self {
        self.rules(None, f)
    }

    /// Rules for what goes out.
    pub fn egress(
        self,
        f: impl for<'a> FnOnce(&'a mut RuleBuilder) -> &'a mut RuleBuilder,
    ) -> Self {
        self.rules(Some("egress"), f)
    }

    /// Rules for what comes in.
    pub fn ingress(
        self,
        f: impl for<'a> FnOnce(&'a mut RuleBuilder) -> &'a mut RuleBuilder,
    ) -> Self {
        self.rules(Some("ingress"), f)
    }

    /// Rules for both directions.
    pub fn any(self, f: impl for<'a> FnOnce(&'a mut RuleBuilder) -> &'a mut RuleBuilder) -> Self {
        self.rules(Some("any"), f)
    }

    /// The policy. What the library finds wrong with a rule, `create()` says.
    pub fn build(self) -> Result<NetworkPolicy> {
        if let Some(fault) = self.fault {
            return Err(MicrosandboxError::invalid(fault));
        }
        let mut n = Network::default()
            .default_egress(self.egress.unwrap_or(Action::Deny))
            .default_ingress(self.ingress.unwrap_or(Action::Allow));
        n.rules = self.rules;
        Ok(NetworkPolicy(n))
    }
}

/// Rules: direction, protocols and ports first, which hold for all rules behind them in the same
/// function, then who is allowed or denied.
#[derive(Debug, Default)]
pub struct RuleBuilder {
    direction: Option<&'static str>,
    protocols: Vec<&'static str>,
    ports: Vec<String>,
    rules: Vec<String>,
    fault: Option<String>,
}

impl RuleBuilder {
    fn fail(&mut self, fault: String) -> &mut Self {
        self.fault.get_or_insert(fault);
        self
    }

    fn add(&mut self, action: &str, target: &str) -> &mut Self {
        let Some(direction) = self.direction else {
            return self.fail(format!(
                "the rule {action}@{target} has no direction: egress(), ingress() or any() first"
            ));
        };
        let all = ["any"];
        let protocols = if self.protocols.is_empty() { &all[..] } else { &self.protocols };
        for protocol in protocols {
            let rule = format!("{action}:{direction}@{target}:{protocol}");
            if self.ports.is_empty() {
                self.rules.push(rule);
            } else {
                self.rules.extend(self.ports.iter().map(|p| format!("{rule}:{p}")));
            }
        }
        self
    }

    fn protocol(&mut self, name: &'static str) -> &mut Self {
        if !self.protocols.contains(&name) {
            self.protocols.push(name);
        }
        self
    }

    /// What goes out.
    pub fn egress(&mut self) -> &mut Self {
        self.direction = Some("egress");
        self
    }

    /// What comes in.
    pub fn ingress(&mut self) -> &mut Self {
        self.direction = Some("ingress");
        self
    }

    /// Both directions.
    pub fn any(&mut self) -> &mut Self {
        self.direction = Some("any");
        self
    }

    /// TCP.
    pub fn tcp(&mut self) -> &mut Self {
        self.protocol("tcp")
    }

    /// UDP.
    pub fn udp(&mut self) -> &mut Self {
        self.protocol("udp")
    }

    /// ICMP.
    pub fn icmpv4(&mut self) -> &mut Self {
        self.protocol("icmpv4")
    }

    /// ICMPv6.
    pub fn icmpv6(&mut self) -> &mut Self {
        self.protocol("icmpv6")
    }

    /// A port.
    pub fn port(&mut self, port: u16) -> &mut Self {
        self.ports.push(port.to_string());
        self
    }

    /// Ports from `lo` to `hi`.
    pub fn port_range(&mut self, lo: u16, hi: u16) -> &mut Self {
        self.ports.push(format!("{lo}-{hi}"));
        self
    }

    /// Several ports.
    pub fn ports(&mut self, ports: impl IntoIterator<Item = u16>) -> &mut Self {
        self.ports.extend(ports.into_iter().map(|p| p.to_string()));
        self
    }

    /// A rule that allows what comes next.
    pub fn allow(&mut self) -> RuleDestinationBuilder<'_> {
        RuleDestinationBuilder { rule: self, action: "allow" }
    }

    /// A rule that denies what comes next.
    pub fn deny(&mut self) -> RuleDestinationBuilder<'_> {
        RuleDestinationBuilder { rule: self, action: "deny" }
    }

    /// Loopback, link-local and the host: what is near.
    pub fn allow_local(&mut self) -> &mut Self {
        self.allow_loopback().allow_link_local().allow_host()
    }

    /// Loopback, link-local and the host: what is near.
    pub fn deny_local(&mut self) -> &mut Self {
        self.deny_loopback().deny_link_local().deny_host()
    }

    fn domains<S: Into<String>>(
        &mut self,
        action: &str,
        kind: &str,
        names: impl IntoIterator<Item = S>,
    ) -> &mut Self {
        for name in names {
            self.add(action, &named(kind, &name.into()));
        }
        self
    }

    /// Names, exactly.
    pub fn allow_domains<S: Into<String>>(
        &mut self,
        names: impl IntoIterator<Item = S>,
    ) -> &mut Self {
        self.domains("allow", "domain", names)
    }

    /// Names, exactly.
    pub fn deny_domains<S: Into<String>>(
        &mut self,
        names: impl IntoIterator<Item = S>,
    ) -> &mut Self {
        self.domains("deny", "domain", names)
    }

    /// Names and all below them.
    pub fn allow_domain_suffixes<S: Into<String>>(
        &mut self,
        names: impl IntoIterator<Item = S>,
    ) -> &mut Self {
        self.domains("allow", "suffix", names)
    }

    /// Names and all below them.
    pub fn deny_domain_suffixes<S: Into<String>>(
        &mut self,
        names: impl IntoIterator<Item = S>,
    ) -> &mut Self {
        self.domains("deny", "suffix", names)
    }
}

macro_rules! groups {
    ($($group:ident $allow:ident $deny:ident)*) => {
        impl RuleBuilder {
            $(
                #[doc = concat!("[`", stringify!($group), "`](DestinationGroup::",
                                stringify!($group), ").")]
                pub fn $allow(&mut self) -> &mut Self {
                    self.add("allow", DestinationGroup::$group.word())
                }

                #[doc = concat!("[`", stringify!($group), "`](DestinationGroup::",
                                stringify!($group), ").")]
                pub fn $deny(&mut self) -> &mut Self {
                    self.add("deny", DestinationGroup::$group.word())
                }
            )*
        }
    };
}

groups! {
    Public allow_public deny_public
    Loopback allow_loopback deny_loopback
    Private allow_private deny_private
    LinkLocal allow_link_local deny_link_local
    Metadata allow_meta deny_meta
    Multicast allow_multicast deny_multicast
    Host allow_host deny_host
}

fn named(kind: &str, name: &str) -> String {
    format!("{kind}={}", name.strip_prefix('.').unwrap_or(name))
}

/// Whom a rule is about.
#[derive(Debug)]
#[must_use = "a rule is about somebody"]
pub struct RuleDestinationBuilder<'a> {
    rule: &'a mut RuleBuilder,
    action: &'static str,
}

impl<'a> RuleDestinationBuilder<'a> {
    fn address(self, text: &str, ip: &str, what: &str) -> &'a mut RuleBuilder {
        match ip.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => self.rule.add(self.action, text),
            Ok(IpAddr::V6(_)) => self.rule.add(self.action, &format!("[{text}]")),
            Err(_) => self.rule.fail(format!("{text:?} is no {what}")),
        }
    }

    /// An address.
    pub fn ip(self, ip: impl Into<String>) -> &'a mut RuleBuilder {
        let ip = ip.into();
        self.address(&ip, &ip, "address")
    }

    /// Addresses, `10.0.0.0/8`.
    pub fn cidr(self, cidr: impl Into<String>) -> &'a mut RuleBuilder {
        let cidr = cidr.into();
        let ip = cidr.split_once('/').map_or("", |(ip, _)| ip);
        self.address(&cidr, ip, "CIDR")
    }

    /// A name, exactly.
    pub fn domain(self, name: impl Into<String>) -> &'a mut RuleBuilder {
        self.rule.add(self.action, &named("domain", &name.into()))
    }

    /// A name and all below it.
    pub fn domain_suffix(self, name: impl Into<String>) -> &'a mut RuleBuilder {
        self.rule.add(self.action, &named("suffix", &name.into()))
    }

    /// A group of addresses.
    pub fn group(self, group: DestinationGroup) -> &'a mut RuleBuilder {
        self.rule.add(self.action, group.word())
    }

    /// Everybody.
    pub fn any(self) -> &'a mut RuleBuilder {
        self.rule.add(self.action, "any")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_become_text() {
        let policy = NetworkPolicy::builder()
            .default_deny()
            .egress(|e| e.tcp().port(443).allow_public().deny().ip("::1"))
            .rule(|r| r.any().udp().port_range(5, 9).deny().cidr("10.0.0.0/8"))
            .egress(|e| e.tcp().udp().ports([80, 81]).allow_domains(["a.example"]))
            .rule(|r| r.egress().deny().domain_suffix(".evil.example"))
            .egress(|e| e.deny_local())
            .build()
            .unwrap();
        let want = [
            "allow:egress@public:tcp:443",
            "deny:egress@[::1]:tcp:443",
            "deny:any@10.0.0.0/8:udp:5-9",
            "allow:egress@domain=a.example:tcp:80",
            "allow:egress@domain=a.example:tcp:81",
            "allow:egress@domain=a.example:udp:80",
            "allow:egress@domain=a.example:udp:81",
            "deny:egress@suffix=evil.example:any",
            "deny:egress@loopback:any",
            "deny:egress@link-local:any",
            "deny:egress@host:any",
        ];
        assert_eq!(policy.0.rules, want);
        assert_eq!(policy.0.default_ingress, Some(Action::Deny));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let fault = |f: for<'a> fn(&'a mut RuleBuilder) -> &'a mut RuleBuilder| {
            NetworkPolicy::builder().rule(f).build().unwrap_err().message().to_owned()
        };
        assert!(fault(|r| r.allow_public()).contains("no direction"));
        assert!(fault(|r| r.egress().deny().ip("300.0.0.1")).contains("is no address"));
        assert!(fault(|r| r.egress().deny().cidr("10.0.0.1")).contains("is no CIDR"));
    }
}
