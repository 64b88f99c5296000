#!/usr/bin/env python3
"""Write src/generated.rs from sdk/api.json.

gen.py            write it
gen.py --check    fail when it is not what api.json says
"""
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
API = os.path.join(HERE, "../../api.json")
OUT = os.path.join(HERE, "src/generated.rs")
SCALARS = {"int": "c_int", "int32_t": "i32", "int64_t": "i64", "size_t": "usize",
           "uint16_t": "u16", "uint32_t": "u32", "uint64_t": "u64", "char": "c_char",
           "void": "c_void"}
HEAD = """// Made by sys/gen.py of sdk/api.json: change these.

use std::ffi::{c_char, c_int, c_void};
"""


def rust_type(c):
    """A C type as clang spells it, as Rust has it."""
    c = c.strip()
    array = re.fullmatch(r"([^\[]+)\[(\d+)\]", c)
    if array:
        return f"[{rust_type(array[1])}; {array[2]}]"
    if c.endswith("*const"):
        c = c[:-len("const")]
        return rust_type(c)
    if c.endswith("*"):
        inner = c[:-1].strip()
        # What the pointer points to is constant: a qualifier in front of a
        # plain type, or behind the last star of a pointer.
        constant = inner.endswith("*const") or (
            inner.startswith("const ") and "*" not in inner)
        return f"*{'const' if constant else 'mut'} {rust_type(inner)}"
    c = c.removeprefix("const ").strip()
    if c.startswith("enum "):
        return "c_int"
    return SCALARS.get(c) or c.removeprefix("struct ")


def enum_type(name):
    return "u32" if name.endswith("_flags") or name == "msb_log_source" else "i32"


def consts(api):
    for e in api["enums"]:
        for name, value in e["values"].items():
            yield f"pub const {name}: {enum_type(e['name'])} = {value};"
    for name, value in api["constants"].items():
        yield f"pub const {name}: u64 = {value};"


def opaque(name):
    return (f"#[repr(C)]\npub struct {name} {{ _private: [u8; 0], "
            "_marker: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)> }")


def callback(cb):
    params = re.search(r"\(\*\)\((.*)\)", cb["type"])[1].split(",")
    inner = ", ".join(rust_type(p) for p in params)
    return f'pub type {cb["name"]} = Option<unsafe extern "C" fn({inner}) -> c_int>;'


def member_name(m):
    return f"r#{m}" if m in ("type", "ref", "match") else m


def struct(s):
    fields = "".join(f"    pub {member_name(m['name'])}: {rust_type(m['type'])},\n"
                     for m in s["members"])
    sized = s["members"][0]["name"] == "size"
    body = ("Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }"
            if sized else "unsafe { std::mem::zeroed() }")
    return (f"#[repr(C)]\n#[derive(Clone, Copy)]\npub struct {s['name']} {{\n{fields}}}\n"
            f"impl Default for {s['name']} {{\n    fn default() -> Self {{\n"
            "        // SAFETY: numbers, pointers, and functions that may be missing: all may\n"
            f"        // be zero.\n        {body}\n    }}\n}}\n")


def function(f):
    params = ", ".join(rust_type(p["type"]) for p in f["params"])
    ret = "" if f["returns"] == "void" else f" -> {rust_type(f['returns'])}"
    return f'unsafe extern "C" fn({params}){ret}'


def table(api):
    fields = "".join(f"    pub {f['name']}: {function(f)},\n" for f in api["functions"])
    loads = "".join(f"                {f['name']}: std::mem::transmute::<*mut c_void, "
                    f"{function(f)}>(find(c\"{f['name']}\")?),\n" for f in api["functions"])
    return f"""
/// All functions of the library.
#[derive(Clone, Copy)]
pub struct Functions {{
{fields}}}

impl Functions {{
    /// Look all of them up. `find` gives the address of a symbol, never null, or an error.
    ///
    /// # Safety
    /// `find` must give addresses of the functions that the header of this version declares.
    pub unsafe fn load<E>(
        mut find: impl FnMut(&'static std::ffi::CStr) -> Result<*mut c_void, E>,
    ) -> Result<Self, E> {{
        // SAFETY: the caller vouches for the addresses; they are not null.
        unsafe {{
            Ok(Self {{
{loads}            }})
        }}
    }}
}}
"""


def layout(api):
    rows = ""
    for s in api["structs"]:
        members = "".join(
            f'("{m["name"]}", offset_of!({s["name"]}, {member_name(m["name"])})), '
            for m in s["members"])
        rows += f'    ("{s["name"]}", size_of::<{s["name"]}>(), &[{members}]),\n'
    return f"""
/// Of each struct its name, its size, and the offsets of its members, as the compiler has them.
pub type Layout = (&'static str, usize, &'static [(&'static str, usize)]);

/// What tests compare with `sdk/api.json`.
pub const LAYOUT: &[Layout] = {{
    use std::mem::{{offset_of, size_of}};
    &[
{rows}    ]
}};
"""


def text():
    with open(API, encoding="utf-8") as f:
        api = json.load(f)
    parts = [HEAD, *consts(api), "", *map(opaque, api["opaque"]), "",
             *map(callback, api["callbacks"]), "", *map(struct, api["structs"]),
             table(api), layout(api)]
    return subprocess.run(["rustfmt", "--edition", "2021", "--config", "max_width=100,use_small_heuristics=Max"],
                          input="\n".join(parts), capture_output=True, text=True,
                          check=True).stdout


def main():
    if "--check" in sys.argv:
        with open(OUT, encoding="utf-8") as f:
            same = f.read() == text()
        if not same:
            print("sdk/rust/sys/src/generated.rs is not what api.json says: run sys/gen.py")
        return 0 if same else 1
    with open(OUT, "w", encoding="utf-8") as f:
        f.write(text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
