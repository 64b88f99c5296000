"""The raw layer is what api.json says, and the twin is what asyncio's says."""
import ctypes
import json
import subprocess
import sys

from conftest import PACKAGE

from microsandbox import _ffi

API = json.loads((PACKAGE.parent / "api.json").read_text())


def test_every_struct_has_the_layout_that_the_compiler_gave_it():
    for s in API["structs"]:
        ours = getattr(_ffi, s["name"])
        assert ctypes.sizeof(ours) == s["size"], s["name"]
        assert [f[0] for f in ours._fields_] == [m["name"] for m in s["members"]], s["name"]
        for m in s["members"]:
            field = getattr(ours, m["name"])
            assert (field.offset, field.size) == (m["offset"], m["size"]), (s["name"], m["name"])


def test_every_function_is_bound_and_in_the_library():
    from microsandbox._native import lib

    assert set(_ffi.FUNCTIONS) == {f["name"] for f in API["functions"]}
    for f in API["functions"]:
        assert len(_ffi.FUNCTIONS[f["name"]][1]) == len(f["params"]), f["name"]
        assert lib.has(f["name"]), f["name"]


def test_every_number_is_the_header_s():
    for e in API["enums"]:
        for name, value in e["values"].items():
            assert getattr(_ffi, name) == value, name
    for name, value in API["constants"].items():
        assert getattr(_ffi, name) == value, name


def test_each_code_has_a_type_and_its_name():
    from microsandbox import errors
    from microsandbox._native import lib

    codes = next(e for e in API["enums"] if e["name"] == "msb_code")["values"].values()
    for code in codes:
        if code:
            error = errors.make(code, "x")
            assert error.code == code
            assert error.code_name == lib.msb_code_name(code).decode()
    newer = errors.make(99, "x")
    assert (newer.code, newer.code_name, type(newer)) == (99, "unknown", errors.MicrosandboxError)


def test_what_is_generated_is_current():
    for tool in ("gen_ffi.py", "make_sync.py"):
        subprocess.run([sys.executable, PACKAGE / "tools" / tool, "--check"], check=True)


def test_both_surfaces_have_the_same_names():
    import microsandbox
    from microsandbox import sync

    assert microsandbox.__all__ == sync.__all__
    for name in sync.__all__:
        ours, twin = getattr(microsandbox, name), getattr(sync, name)
        if isinstance(ours, type):
            public = {n for n in dir(ours) if not n.startswith("_")}
            assert public == {n for n in dir(twin) if not n.startswith("_")}, name
