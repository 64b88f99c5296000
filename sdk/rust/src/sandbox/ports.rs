//! The ports of a machine that runs, out of the library's JSON.

use crate::error::{MicrosandboxError, Result};

/// A published port, with the host's port that was picked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishedPort {
    /// The address of the host.
    pub bind: String,
    /// The host's port.
    pub host: u16,
    /// The guest's port.
    pub guest: u16,
    /// "tcp" or "udp".
    pub protocol: String,
}

impl PublishedPort {
    /// `[{"bind": "127.0.0.1", "host": 1, "guest": 2, "protocol": "tcp"}]`: flat objects, whose
    /// strings are addresses and words, so without escapes.
    pub(crate) fn parse(json: &str) -> Result<Vec<Self>> {
        let fault = || MicrosandboxError::internal(format!("ports cannot be read: {json}"));
        let inner = json.trim().strip_prefix('[').and_then(|j| j.strip_suffix(']'));
        let mut rest = inner.ok_or_else(fault)?.trim();
        let mut all = Vec::new();
        while !rest.is_empty() {
            let (object, behind) =
                rest.strip_prefix('{').and_then(|r| r.split_once('}')).ok_or_else(fault)?;
            all.push(Self::one(object).ok_or_else(fault)?);
            let behind = behind.trim_start();
            rest = behind.strip_prefix(',').unwrap_or(behind).trim_start();
        }
        Ok(all)
    }

    fn one(object: &str) -> Option<Self> {
        let mut port = Self { bind: String::new(), host: 0, guest: 0, protocol: String::new() };
        for member in object.split(',') {
            let (key, value) = member.trim().strip_prefix('"')?.split_once('"')?;
            let value = value.trim_start().strip_prefix(':')?.trim();
            let text = value.trim_matches('"');
            match key {
                "bind" => port.bind = text.to_owned(),
                "protocol" => port.protocol = text.to_owned(),
                "host" => port.host = value.parse().ok()?,
                "guest" => port.guest = value.parse().ok()?,
                _ => {}
            }
        }
        Some(port)
    }
}

#[cfg(test)]
mod tests {
    use super::PublishedPort;

    #[test]
    fn reads_what_the_library_writes() {
        let json = r#"[{"bind": "127.0.0.1", "host": 4711, "guest": 80, "protocol": "tcp"},
                       {"bind":"::1","host":5,"guest":53,"protocol":"udp"}]"#;
        let all = PublishedPort::parse(json).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].host, all[0].guest), (4711, 80));
        assert_eq!((all[1].bind.as_str(), all[1].protocol.as_str()), ("::1", "udp"));
        assert!(PublishedPort::parse("[]").unwrap().is_empty());
    }

    #[test]
    fn refuses_what_is_none() {
        for bad in ["", "{}", "[{]", "[{\"host\": 70000}]", "[1]"] {
            assert!(PublishedPort::parse(bad).is_err(), "{bad}");
        }
    }
}
