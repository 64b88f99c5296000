#!/usr/bin/env python3
"""Write microsandbox/_ffi.py from sdk/api.json.

gen_ffi.py            write it
gen_ffi.py --check    fail when it is not what api.json says
"""
import json
import pathlib
import sys

PACKAGE = pathlib.Path(__file__).resolve().parent.parent
API = PACKAGE.parent / "api.json"
OUT = PACKAGE / "microsandbox" / "_ffi.py"

NUMBERS = {
    "int": "c_int",
    "int32_t": "c_int32",
    "int64_t": "c_int64",
    "uint16_t": "c_uint16",
    "uint32_t": "c_uint32",
    "uint64_t": "c_uint64",
    "size_t": "c_size_t",
    "enum msb_state": "c_int",
    "void": "None",
}

HEAD = '''"""The raw layer: libmicrosandbox as ctypes sees it.

Written by tools/gen_ffi.py from sdk/api.json. Do not edit.

Pointers are integers (c_void_p), but for strings that are only read.
"""
from __future__ import annotations

from ctypes import (
    CFUNCTYPE,
    Structure,
    c_char,
    c_char_p,
    c_int,
    c_int32,
    c_int64,
    c_size_t,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

'''


def callback(name):
    """msb_pull_event_fn -> PULL_EVENT_FN"""
    return name[len("msb_") :].upper()


def ctype(kind, callbacks):
    """The name of the ctypes type of a C type."""
    if kind in NUMBERS:
        return NUMBERS[kind]
    if kind in callbacks:
        return callback(kind)
    if kind == "const char *":
        return "c_char_p"
    if kind.startswith("char["):
        return f"c_char * {int(kind[5:-1])}"
    if kind.endswith("*"):
        return "c_void_p"
    if kind.startswith("struct "):
        return kind[len("struct ") :]
    raise SystemExit(f"gen_ffi.py: no ctypes type for {kind!r}")


def structs(api, callbacks):
    for s in api["structs"]:
        members = [(m["name"], ctype(m["type"], callbacks)) for m in s["members"]]
        yield f"\n\nclass {s['name']}(Structure):"
        yield f'    """{s["size"]} bytes"""\n'
        yield "    _fields_ = ["
        yield from (f'        ("{name}", {kind}),' for name, kind in members)
        yield "    ]"


def by_value(s):
    """Those which others hold come first."""
    return any(
        m["type"].startswith("struct ") and not m["type"].endswith("*") for m in s["members"]
    )


def text(api):
    callbacks = {c["name"] for c in api["callbacks"]}
    api["structs"].sort(key=by_value)
    lines = [HEAD.rstrip("\n"), ""]
    for name in sorted(callbacks):
        lines.append(f"# int (void *arg, const struct {name[:-3]} *event)")
        lines.append(f"{callback(name)} = CFUNCTYPE(c_int, c_void_p, c_void_p)")
    lines += structs(api, callbacks)
    lines.append("\n")
    for e in api["enums"]:
        lines.append(f"# enum {e['name']}")
        lines += [f"{name} = {value}" for name, value in e["values"].items()]
    lines.append("# macros")
    lines += [f"{name} = {value}" for name, value in api["constants"].items()]
    lines.append("\n# name: result, parameters")
    lines.append("FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {")
    for f in api["functions"]:
        params = "".join(ctype(p["type"], callbacks) + ", " for p in f["params"])
        result = ctype(f["returns"], callbacks)
        one = f'    "{f["name"]}": ({result}, ({params.rstrip() if params.count(",") == 1 else params.rstrip(", ")})),'
        if len(one) <= 100:
            lines.append(one)
            continue
        lines.append(
            f'    "{f["name"]}": (\n        {result},\n        ({params.rstrip(", ")}),\n    ),'
        )
    lines.append("}\n")
    return "\n".join(lines).rstrip("\n") + "\n"


def main():
    made = text(json.loads(API.read_text(encoding="utf-8")))
    if "--check" in sys.argv:
        if OUT.read_text(encoding="utf-8") != made:
            sys.exit("microsandbox/_ffi.py is not what api.json says: run tools/gen_ffi.py")
        return
    OUT.write_text(made, encoding="utf-8")


main()
