//! Raw bindings of libmicrosandbox, as `include/microsandbox.h` declares it.
//!
//! The library is not linked: [`Library::open`] loads it while the program runs, so that one
//! that is missing is an error and not a program that does not start. All of it is here as it is
//! in C; `microsandbox` is the crate for programs.

#![allow(non_camel_case_types)]

mod generated;
mod library;

pub use generated::*;
pub use library::{Library, LoadError};
