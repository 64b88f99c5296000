#!/usr/bin/env python3
"""Check every #include "folder/x.h" under src/ against src/LAYERS.

--self-test proves that a forbidden include is found.
"""
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<(microsandbox\.h)>)')


def read_rules(path):
    rules = {}
    for line in open(path, encoding="utf-8"):
        line = line.split("#")[0].strip()
        if line:
            folder, _, allowed = line.partition(":")
            rules[folder] = set(allowed.split())
    return rules


def check_text(folder, name, text, rules):
    """Forbidden steps of one file as lines 'name:line: ...'."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        m = INCLUDE.match(line)
        if not m:
            continue
        name_in = m.group(1) or m.group(2)
        target = name_in.partition("/")[0]
        if name_in == "microsandbox.h":
            target = "include"
        elif "/" not in name_in or target not in rules:
            continue
        if target != folder and target not in rules[folder]:
            found.append(f"{name}:{number}: {folder} may not include {target}")
    return found


def check_tree(rules):
    found = []
    src = os.path.join(TOP, "src")
    for folder in sorted(os.listdir(src)):
        if not os.path.isdir(os.path.join(src, folder)):
            continue
        if folder not in rules:
            found.append(f"src/{folder}: has no row in src/LAYERS")
            continue
        for root, _, files in os.walk(os.path.join(src, folder)):
            for f in sorted(files):
                if f.endswith((".c", ".h")):
                    path = os.path.join(root, f)
                    text = open(path, encoding="utf-8").read()
                    found += check_text(folder, os.path.relpath(path, TOP),
                                        text, rules)
    return found


def self_test(rules):
    bad = '#include <stdio.h>\n#include "vmm/qemu.h"\n#include "base/err.h"\n'
    want = ["x.c:2: lib may not include vmm"]
    ok = check_text("lib", "x.c", bad, rules) == want
    ok = ok and check_text("base", "x.c", '#include <microsandbox.h>', rules)
    return 0 if ok else 1


def main():
    rules = read_rules(os.path.join(TOP, "src", "LAYERS"))
    if "--self-test" in sys.argv:
        return self_test(rules)
    found = check_tree(rules)
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
