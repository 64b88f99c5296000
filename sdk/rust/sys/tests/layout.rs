//! What the compiler makes of the structs is what the C compiler makes of them.

use std::collections::BTreeMap;

use microsandbox_sys::LAYOUT;
use serde_json::Value;

fn api() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../api.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn structs_are_laid_out_as_in_c() {
    let api = api();
    let structs = api["structs"].as_array().unwrap();
    assert!(structs.len() > 30);
    assert_eq!(structs.len(), LAYOUT.len());
    let ours: BTreeMap<_, _> = LAYOUT.iter().map(|l| (l.0, (l.1, l.2))).collect();
    for s in structs {
        let name = s["name"].as_str().unwrap();
        let (size, members) = ours[name];
        assert_eq!(size as u64, s["size"].as_u64().unwrap(), "{name}");
        let theirs = s["members"].as_array().unwrap();
        assert_eq!(members.len(), theirs.len(), "{name}");
        for (m, t) in members.iter().zip(theirs) {
            assert_eq!(m.0, t["name"].as_str().unwrap(), "{name}");
            assert_eq!(m.1 as u64, t["offset"].as_u64().unwrap(), "{name}.{}", m.0);
        }
    }
}

#[test]
fn sizes_of_members_are_those_of_c() {
    // Offsets and the whole size say it of all members but for padding: the last ones.
    let error = microsandbox_sys::msb_error::default();
    assert_eq!(error.message.len() as u64, microsandbox_sys::MSB_ERROR_MESSAGE_MAX);
    assert_eq!(error.hint.len() as u64, microsandbox_sys::MSB_ERROR_HINT_MAX);
}

#[test]
fn default_says_its_size() {
    let opts = microsandbox_sys::msb_sandbox_opts::default();
    assert_eq!(opts.size, std::mem::size_of_val(&opts));
    assert!(opts.image.is_null());
}

#[test]
fn a_missing_library_is_an_error() {
    let e = microsandbox_sys::Library::open_at(std::path::Path::new("/nowhere/lib.so.0"));
    let text = e.err().unwrap().to_string();
    assert!(text.contains("/nowhere/lib.so.0"), "{text}");
}

#[test]
fn another_library_is_an_error() {
    let e = microsandbox_sys::Library::open_at(std::path::Path::new("libc.so.6"));
    let text = e.err().unwrap().to_string();
    assert!(text.contains("msb_"), "{text}");
}
