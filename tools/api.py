#!/usr/bin/env python3
"""Tell what the public header declares, as JSON: sdk/api.json.

api.py            write sdk/api.json
api.py --check    fail when it is not what the header says
api.py --bound    fail when a function is neither bound by an SDK (its name
                  occurs in the SDK's sources) nor in the SDK's MISSING file

Generators of raw bindings and tests of struct layouts read it. It is made
with clang, whose word on types, sizes and offsets counts.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
API = os.path.join(TOP, "sdk/api.json")
HEADER = os.path.join(TOP, "include/microsandbox.h")
# What the sources of an SDK are: those that can mention a function.
SDKS = {"python": (".py",), "node": (".c", ".ts", ".h"), "go": (".go",),
        "rust": (".rs",), "ruby": (".c", ".rb", ".h")}


def ast():
    out = subprocess.run(["clang", "-std=gnu17", "-fsyntax-only", "-Xclang",
                          "-ast-dump=json", HEADER], check=True,
                         capture_output=True).stdout
    return json.loads(out)["inner"]


def spelled(kind):
    return kind["qualType"].replace("struct ", "struct ").strip()


def constants():
    """Names and values of the macros that are numbers."""
    text = ""
    for folder, _, names in sorted(os.walk(os.path.join(TOP, "include"))):
        for n in sorted(names):
            with open(os.path.join(folder, n), encoding="utf-8") as f:
                text += f.read()
    return [n for n in re.findall(r"^#define (MSB_[A-Z0-9_]+)\s+\S", text, re.M)
            if not n.endswith("_INIT") and n not in ("MSB_API", "MSB_DEFAULT_PATH")]


def ask_compiler(structs, names):
    """Sizes, offsets and constants, from a program."""
    lines = ["#include <stdio.h>", "#include <stddef.h>",
             f'#include "{HEADER}"', "int main(void) {"]
    for s in structs:
        lines.append(f'printf("S {s["name"]} %zu\\n", sizeof(struct {s["name"]}));')
        for m in s["members"]:
            lines.append(f'printf("M {s["name"]} {m["name"]} %zu %zu\\n", '
                         f'offsetof(struct {s["name"]}, {m["name"]}), '
                         f'sizeof(((struct {s["name"]} *)0)->{m["name"]}));')
    for n in names:
        lines.append(f'printf("C {n} %llu\\n", (unsigned long long)({n}));')
    lines.append("return 0; }")
    with tempfile.TemporaryDirectory() as tmp:
        source = os.path.join(tmp, "a.c")
        with open(source, "w", encoding="utf-8") as f:
            f.write("\n".join(lines))
        subprocess.run(["cc", "-w", "-o", f"{tmp}/a", source], check=True)
        return subprocess.run([f"{tmp}/a"], check=True, text=True,
                              capture_output=True).stdout.splitlines()


def read():
    functions, structs, enums, opaque, callbacks = [], [], [], set(), []
    for node in ast():
        name = node.get("name", "")
        if not name.startswith("msb_"):
            continue
        inner = node.get("inner", [])
        if node["kind"] == "FunctionDecl":
            params = [{"name": p.get("name", ""), "type": spelled(p["type"])}
                      for p in inner if p["kind"] == "ParmVarDecl"]
            whole = node["type"]["qualType"]
            functions.append({"name": name, "returns": whole[:whole.index("(")].strip(),
                              "params": params})
        elif node["kind"] == "RecordDecl":
            if not node.get("completeDefinition"):
                opaque.add(name)
                continue
            structs.append({"name": name, "members": [
                {"name": m["name"], "type": spelled(m["type"])}
                for m in inner if m["kind"] == "FieldDecl"]})
        elif node["kind"] == "EnumDecl":
            value, values = -1, {}
            for c in inner:
                said = re.search(r'"value": "(-?\d+)"', json.dumps(c))
                value = int(said.group(1)) if said else value + 1
                values[c["name"]] = value
            enums.append({"name": name, "values": values})
        elif node["kind"] == "TypedefDecl":
            callbacks.append({"name": name, "type": node["type"]["qualType"]})
    names = constants()
    numbers = {}
    layout = {s["name"]: s for s in structs}
    for line in ask_compiler(structs, names):
        kind, first, *rest = line.split()
        if kind == "S":
            layout[first]["size"] = int(rest[0])
        elif kind == "M":
            m = next(m for m in layout[first]["members"] if m["name"] == rest[0])
            m["offset"], m["size"] = int(rest[1]), int(rest[2])
        else:
            numbers[first] = int(rest[0])
    return {"functions": functions, "structs": structs, "enums": enums,
            "opaque": sorted(opaque - set(layout)), "callbacks": callbacks,
            "constants": numbers}


def text():
    return json.dumps(read(), indent=1) + "\n"


def sources(folder, ends):
    for top, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if f not in
                      ("node_modules", "target", "tests", "test", "build",
                       "dist", "__pycache__", ".venv", "conformance")]
        for n in names:
            if n.endswith(ends):
                with open(os.path.join(top, n), encoding="utf-8") as f:
                    yield f.read()


def bound():
    """Say what an SDK neither binds nor names with a reason; the count."""
    with open(API, encoding="utf-8") as f:
        functions = [f["name"] for f in json.load(f)["functions"]]
    faults = 0
    for sdk, ends in SDKS.items():
        folder = os.path.join(TOP, "sdk", sdk)
        words = set(re.findall(r"\bmsb_\w+", "\n".join(sources(folder, ends))))
        missing = {}
        path = os.path.join(folder, "MISSING")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                for line in f:
                    if line.strip() and not line.startswith("#"):
                        name, _, why = line.strip().partition(" ")
                        missing[name] = why.strip()
        for name in functions:
            if name not in words and name not in missing:
                print(f"sdk/{sdk}: {name} is neither bound nor in MISSING")
                faults += 1
        for name, why in missing.items():
            if not why or name not in functions or name in words:
                print(f"sdk/{sdk}/MISSING: {name}: "
                      + ("no reason" if not why else "it is bound, or no function"))
                faults += 1
        print(f"sdk/{sdk}: {len(functions) - len(missing)} of {len(functions)} bound")
    return faults


def main():
    if "--bound" in sys.argv:
        return 1 if bound() else 0
    if "--check" in sys.argv:
        with open(API, encoding="utf-8") as f:
            same = f.read() == text()
        if not same:
            print("sdk/api.json is not what the header says: run tools/api.py")
        return 0 if same else 1
    with open(API, "w", encoding="utf-8") as f:
        f.write(text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
