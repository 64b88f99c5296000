//! Arguments of a call, taken one by one: what is left is one too many.

use std::time::Duration;

use serde_json::{json, Map, Value};

/// What a call fails with: as the protocol has it.
pub struct Fault(pub Value);

pub type Answer = Result<Value, Fault>;

impl Fault {
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new("invalid", message)
    }

    pub fn new(code: &str, message: impl Into<String>) -> Self {
        let message: String = message.into();
        let kind = match code {
            "timeout" => "Timeout",
            "cancelled" => "Cancelled",
            _ => "InvalidConfig",
        };
        Self(json!({"code": code, "errno": 0, "message": message, "hint": "", "type": kind}))
    }
}

impl From<microsandbox::MicrosandboxError> for Fault {
    fn from(e: microsandbox::MicrosandboxError) -> Self {
        Self(json!({
            "code": e.code_name(), "errno": e.errno(), "message": e.message(),
            "hint": e.hint(), "type": e.kind(),
        }))
    }
}

pub struct Args(pub Map<String, Value>);

fn wrong(key: &str, want: &str) -> Fault {
    Fault::invalid(format!("{key} must be {want}"))
}

fn as_text(key: &str, v: Value) -> Result<String, Fault> {
    match v {
        Value::String(s) => Ok(s),
        _ => Err(wrong(key, "a text")),
    }
}

impl Args {
    pub fn from(v: Value) -> Result<Self, Fault> {
        match v {
            Value::Object(m) => Ok(Self(m)),
            Value::Null => Ok(Self(Map::new())),
            _ => Err(Fault::invalid("an object was expected")),
        }
    }

    pub fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key).filter(|v| !v.is_null())
    }

    /// Nothing must be left.
    pub fn done(&self) -> Result<(), Fault> {
        match self.0.keys().next() {
            Some(k) => Err(Fault::invalid(format!("there is no argument {k:?}"))),
            None => Ok(()),
        }
    }

    pub fn opt_text(&mut self, key: &str) -> Result<Option<String>, Fault> {
        self.take(key).map(|v| as_text(key, v)).transpose()
    }

    pub fn text(&mut self, key: &str) -> Result<String, Fault> {
        self.opt_text(key)?.ok_or_else(|| Fault::invalid(format!("{key} is missing")))
    }

    pub fn flag(&mut self, key: &str) -> Result<bool, Fault> {
        Ok(self.opt_flag(key)?.unwrap_or(false))
    }

    pub fn opt_flag(&mut self, key: &str) -> Result<Option<bool>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(b)) => Ok(Some(b)),
            Some(_) => Err(wrong(key, "true or false")),
        }
    }

    /// A number that the type holds.
    pub fn opt_number<T: TryFrom<i128>>(&mut self, key: &str) -> Result<Option<T>, Fault> {
        let Some(v) = self.take(key) else { return Ok(None) };
        let n = v.as_i64().map(i128::from).or_else(|| v.as_u64().map(i128::from));
        n.and_then(|n| T::try_from(n).ok())
            .map(Some)
            .ok_or_else(|| wrong(key, &format!("a number that fits, not {v}")))
    }

    pub fn number<T: TryFrom<i128>>(&mut self, key: &str) -> Result<T, Fault> {
        self.opt_number(key)?.ok_or_else(|| Fault::invalid(format!("{key} is missing")))
    }

    pub fn millis(&mut self, key: &str) -> Result<Option<Duration>, Fault> {
        Ok(self.opt_number::<u64>(key)?.map(Duration::from_millis))
    }

    pub fn seconds(&mut self, key: &str) -> Result<Option<Duration>, Fault> {
        Ok(self.opt_number::<u64>(key)?.map(Duration::from_secs))
    }

    pub fn list(&mut self, key: &str) -> Result<Vec<Value>, Fault> {
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(a)) => Ok(a),
            Some(_) => Err(wrong(key, "a list")),
        }
    }

    pub fn texts(&mut self, key: &str) -> Result<Vec<String>, Fault> {
        self.list(key)?.into_iter().map(|v| as_text(key, v)).collect()
    }

    pub fn objects(&mut self, key: &str) -> Result<Vec<Args>, Fault> {
        self.list(key)?.into_iter().map(Args::from).collect()
    }

    pub fn object(&mut self, key: &str) -> Result<Option<Args>, Fault> {
        self.take(key).map(Args::from).transpose()
    }

    pub fn pairs(&mut self, key: &str) -> Result<Vec<(String, String)>, Fault> {
        let Some(args) = self.object(key)? else { return Ok(Vec::new()) };
        args.0.into_iter().map(|(k, v)| Ok((k.clone(), as_text(&k, v)?))).collect()
    }

    pub fn bytes(&mut self, key: &str) -> Result<Option<Vec<u8>>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(s)) => Ok(Some(s.into_bytes())),
            Some(Value::Object(o)) => {
                let text = o.get("base64").and_then(Value::as_str);
                text.and_then(base64_decode).map(Some).ok_or_else(|| wrong(key, "bytes"))
            }
            Some(_) => Err(wrong(key, "bytes")),
        }
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64_decode(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut n, mut out) = (0u32, 0, Vec::new());
    for c in text.bytes().filter(|c| *c != b'=') {
        bits = bits << 6 | DIGITS.iter().position(|d| *d == c)? as u32;
        n += 6;
        if n >= 8 {
            n -= 8;
            out.push((bits >> n) as u8);
        }
    }
    Some(out)
}

fn base64_encode(data: &[u8]) -> String {
    let mut out = String::new();
    for piece in data.chunks(3) {
        let bits =
            piece.iter().fold(0u32, |b, c| b << 8 | u32::from(*c)) << (8 * (3 - piece.len()));
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i)) as usize & 63];
            out.push(if i <= piece.len() { digit as char } else { '=' });
        }
    }
    out
}

/// Text when it is some, else base64.
pub fn bytes(data: &[u8]) -> Value {
    match std::str::from_utf8(data) {
        Ok(s) => json!(s),
        Err(_) => json!({ "base64": base64_encode(data) }),
    }
}
