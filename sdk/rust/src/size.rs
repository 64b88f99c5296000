//! Sizes and times as numbers with a unit.

use std::time::Duration;

/// So many bytes, as [`SizeExt`] makes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// In bytes.
    pub fn as_bytes(self) -> u64 {
        self.0
    }
}

/// What takes a size in MiB: a bare number (`512`), or one with a unit (`1.gib()`), which is taken
/// to the byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mebibytes(u64);

impl Mebibytes {
    /// In bytes.
    pub fn as_bytes(self) -> u64 {
        self.0
    }
}

impl From<u32> for Mebibytes {
    fn from(mib: u32) -> Self {
        Self(u64::from(mib) << 20)
    }
}

impl From<ByteSize> for Mebibytes {
    fn from(size: ByteSize) -> Self {
        Self(size.0)
    }
}

/// `100.mib()`. One that does not fit is the largest there is; a negative one is 0.
pub trait SizeExt: Sized {
    /// Bytes.
    fn bytes(self) -> ByteSize;

    /// Units of 1024 bytes.
    fn kib(self) -> ByteSize {
        ByteSize(self.bytes().0.saturating_mul(1 << 10))
    }

    /// Units of 1024² bytes.
    fn mib(self) -> ByteSize {
        ByteSize(self.bytes().0.saturating_mul(1 << 20))
    }

    /// Units of 1024³ bytes.
    fn gib(self) -> ByteSize {
        ByteSize(self.bytes().0.saturating_mul(1 << 30))
    }
}

macro_rules! sizes {
    ($($t:ty)*) => {
        $(impl SizeExt for $t {
            fn bytes(self) -> ByteSize {
                ByteSize(u64::try_from(self).unwrap_or(0))
            }
        })*
    };
}

sizes!(u8 u16 u32 u64 usize i32);

/// What takes a time limit: whole seconds (`3600`), or a [`Duration`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Limit(pub(crate) Duration);

impl From<u64> for Limit {
    fn from(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl From<Duration> for Limit {
    fn from(limit: Duration) -> Self {
        Self(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::{Mebibytes, SizeExt};

    #[test]
    fn units() {
        let bytes = |m: Mebibytes| m.as_bytes();
        assert_eq!(bytes(512.into()), 512 << 20);
        assert_eq!(bytes(512.mib().into()), 512 << 20);
        assert_eq!(bytes(1.gib().into()), 1 << 30);
        assert_eq!(bytes(3u8.kib().into()), 3072);
        assert_eq!(u64::MAX.gib().as_bytes(), u64::MAX);
        assert_eq!((-1).mib().as_bytes(), 0);
    }
}
