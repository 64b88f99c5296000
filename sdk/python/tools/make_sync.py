#!/usr/bin/env python3
"""Write microsandbox/sync/*.py from microsandbox/_aio/*.py: the same, without await.

make_sync.py            write them
make_sync.py --check    fail when they are not what _aio says

_run.py is written by hand, in both: there they wait in different ways. The list
of names, sync/__init__.py, is made of the package's own.
"""
import pathlib
import re
import sys

PACKAGE = pathlib.Path(__file__).resolve().parent.parent / "microsandbox"
SOURCE, TARGET = PACKAGE / "_aio", PACKAGE / "sync"
BY_HAND = {"__init__.py", "_run.py"}
WORDS = [
    (r"^.*# async only\n", ""),
    (r"^(    )*@async_only\n(.*\n)*?\n", ""),
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"``async with``", "``with``"),
    (r"`async with`", "`with`"),
    (r"__aenter__", "__enter__"),
    (r"__aexit__", "__exit__"),
    (r"__aiter__", "__iter__"),
    (r"__anext__", "__next__"),
    (r"\bAsyncIterator\b", "Iterator"),
    (r"\bStopAsyncIteration\b", "StopIteration"),
    (r"\bOne task at a time\b", "One thread at a time"),
]
# What brackets are left around.
TIDY = [
    (r"\((run\((?:[^()]|\([^()]*\))*\))\)\[0\]", r"\1[0]"),
    (r"\*\((run\((?:[^()]|\([^()]*\))*\))\)", r"*\1"),
    (r"\((self\.read\(path\))\)\.decode", r"\1.decode"),
    (r"\((self\.stat\(path, follow_symlinks=False\))\)\.target", r"\1.target"),
]
NAMES = [
    (
        r'\A"""(.|\n)*?"""\n',
        '''"""microsandbox for plain programs: as microsandbox, without async and await.

A call that waits does that in another thread, so that Ctrl-C ends it.
"""

# Written by tools/make_sync.py from ../__init__.py. Do not edit.
''',
    ),
    (r"from \._aio\.", "from ."),
    (r'"\._aio\.', '".'),
    (r"from \.(errors|names|policy|results|types) ", r"from ..\1 "),
    (r'"\.(errors|names|policy|results|types)"', r'"..\1"'),
    (r"^__version__ = .*\n", ""),
]


def replaced(path, rules):
    text = path.read_text(encoding="utf-8")
    for pattern, replacement in rules:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text


def made(path):
    head, rest = replaced(path, WORDS + TIDY).split("\n", 1)
    return f"{head}\n# Written by tools/make_sync.py from ../_aio/{path.name}. Do not edit.\n{rest}"


def main():
    faults = 0
    texts = {p.name: made(p) for p in sorted(SOURCE.glob("*.py")) if p.name not in BY_HAND}
    texts["__init__.py"] = replaced(PACKAGE / "__init__.py", NAMES)
    for name, text in texts.items():
        target = TARGET / name
        if "--check" in sys.argv:
            if not target.exists() or target.read_text(encoding="utf-8") != text:
                print(f"{target} is not what _aio says: run tools/make_sync.py")
                faults += 1
        else:
            target.write_text(text, encoding="utf-8")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
