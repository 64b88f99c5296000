//! Bytes that are given.

use bytes::Bytes;

/// What can be content: strings and bytes, owned (then they are not copied) or borrowed.
pub trait IntoData {
    /// Them.
    fn into_data(self) -> Bytes;
}

macro_rules! owned {
    ($($t:ty)*) => {
        $(impl IntoData for $t {
            fn into_data(self) -> Bytes {
                self.into()
            }
        })*
    };
}

owned!(Bytes Vec<u8> String Box<[u8]>);

impl<T: AsRef<[u8]> + ?Sized> IntoData for &T {
    fn into_data(self) -> Bytes {
        Bytes::copy_from_slice(self.as_ref())
    }
}

impl<const N: usize> IntoData for [u8; N] {
    fn into_data(self) -> Bytes {
        Bytes::copy_from_slice(&self)
    }
}

#[cfg(test)]
mod tests {
    use super::IntoData;

    fn take(data: impl IntoData) -> Vec<u8> {
        data.into_data().into()
    }

    #[test]
    fn takes_what_programs_have() {
        let (text, data) = ("ab".to_string(), b"ab".to_vec());
        for got in [
            take("ab"),
            take(b"ab"),
            take(br#"ab"#),
            take(*b"ab"),
            take(&text),
            take(&data),
            take(&data[..]),
            take(text.clone()),
            take(data.clone()),
        ] {
            assert_eq!(got, b"ab");
        }
    }
}
