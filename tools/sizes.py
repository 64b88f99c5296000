#!/usr/bin/env python3
"""Functions of more than 80 lines and files of more than 900 fail.

Counts clang-formatted C: a function's body opens with `{` in column 0 behind a
line that is not a type or a table, and ends with `}` in column 0.
--self-test proves that both limits are found.
"""
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FUNCTION_MAX, FILE_MAX = 80, 900


def check_text(name, text):
    lines = text.splitlines()
    found = []
    if len(lines) > FILE_MAX:
        found.append(f"{name}: {len(lines)} lines, the limit is {FILE_MAX}")
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            if number - start - 1 > FUNCTION_MAX:
                found.append(f"{name}:{start}: function of "
                             f"{number - start - 1} lines, the limit is "
                             f"{FUNCTION_MAX}")
            start = None
    return found


def self_test():
    body = "int f(void)\n{\n" + "\tx();\n" * (FUNCTION_MAX + 1) + "}\n"
    fine = "int f(void)\n{\n" + "\tx();\n" * FUNCTION_MAX + "}\n"
    long = "int x;\n" * (FILE_MAX + 1)
    ok = (len(check_text("a.c", body)) == 1 and not check_text("a.c", fine)
          and len(check_text("a.c", long)) == 1)
    return 0 if ok else 1


def main():
    if "--self-test" in sys.argv:
        return self_test()
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard",
                            "src", "include"], cwd=TOP, capture_output=True,
                           text=True, check=True).stdout.split()
    found = []
    for f in sorted(files):
        if f.endswith((".c", ".h")) and os.path.exists(os.path.join(TOP, f)):
            with open(os.path.join(TOP, f), encoding="utf-8") as fh:
                found += check_text(f, fh.read())
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
