//! Lists of arguments.

/// What can be arguments: arrays, vectors and slices of strings. `[]` is none.
pub trait IntoArgs {
    /// Them.
    fn into_args(self) -> Vec<String>;
}

// The type of an empty array's elements cannot be guessed, so there is one it is; the others have
// lengths.
impl IntoArgs for [&str; 0] {
    fn into_args(self) -> Vec<String> {
        Vec::new()
    }
}

impl IntoArgs for () {
    fn into_args(self) -> Vec<String> {
        Vec::new()
    }
}

macro_rules! arrays {
    ($($n:literal)*) => {
        $(impl<S: Into<String>> IntoArgs for [S; $n] {
            fn into_args(self) -> Vec<String> {
                self.into_iter().map(Into::into).collect()
            }
        })*
    };
}

arrays!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);

impl<S: Into<String>> IntoArgs for Vec<S> {
    fn into_args(self) -> Vec<String> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<S: AsRef<str>> IntoArgs for &[S] {
    fn into_args(self) -> Vec<String> {
        self.iter().map(|s| s.as_ref().to_owned()).collect()
    }
}

impl<S: AsRef<str>> IntoArgs for &Vec<S> {
    fn into_args(self) -> Vec<String> {
        self.as_slice().into_args()
    }
}

impl<S: AsRef<str>, const N: usize> IntoArgs for &[S; N] {
    fn into_args(self) -> Vec<String> {
        self.as_slice().into_args()
    }
}

#[cfg(test)]
mod tests {
    use super::IntoArgs;

    fn take(args: impl IntoArgs) -> Vec<String> {
        args.into_args()
    }

    #[test]
    fn takes_what_programs_have() {
        assert!(take([]).is_empty());
        assert!(take(()).is_empty());
        assert!(take(Vec::<String>::new()).is_empty());
        let want = ["a", "b"].map(String::from).to_vec();
        assert_eq!(take(["a", "b"]), want);
        assert_eq!(take(["a".to_string(), String::from("b")]), want);
        assert_eq!(take(vec!["a", "b"]), want);
        assert_eq!(take(&want), want);
        assert_eq!(take(&want[..]), want);
    }
}
