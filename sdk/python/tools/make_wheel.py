#!/usr/bin/env python3
"""make_wheel.py BUNDLE OUT: a wheel of the package with a runtime folder in it.

A wheel is a zip file with a list of what is in it: no compiler, no other package is needed, and
the same input gives the same bytes.
"""
import base64
import hashlib
import pathlib
import re
import stat
import sys
import zipfile

HERE = pathlib.Path(__file__).resolve().parent.parent
TAG = "py3-none-manylinux_2_36_x86_64"
TIME = (2020, 1, 1, 0, 0, 0)


def version():
    return re.search(r'^version = "(.+)"$', (HERE / "pyproject.toml").read_text(), re.M)[1]


def metadata():
    text = (HERE / "pyproject.toml").read_text(encoding="utf-8")
    classifiers = re.search(r"^classifiers = \[\n(.*?)^\]", text, re.M | re.S)[1]
    lines = [
        "Metadata-Version: 2.1",
        "Name: microsandbox",
        f"Version: {version()}",
        "Summary: " + re.search(r'^description = "(.+)"$', text, re.M)[1],
        "License: Apache-2.0",
        "Requires-Python: " + re.search(r'^requires-python = "(.+)"$', text, re.M)[1],
        *("Classifier: " + c for c in re.findall(r'"(.+)"', classifiers)),
        "Description-Content-Type: text/markdown",
        "",
        (HERE / "README.md").read_text(encoding="utf-8"),
    ]
    return "\n".join(lines).encode()


class Wheel:
    def __init__(self, path):
        self.zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6)
        self.record = []

    def add(self, name, data, mode=0o644):
        info = zipfile.ZipInfo(name, TIME)
        info.external_attr = (stat.S_IFREG | mode) << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        self.zip.writestr(info, data)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        self.record.append(f"{name},sha256={digest},{len(data)}")

    def close(self, name):
        self.record.append(f"{name},,")
        info = zipfile.ZipInfo(name, TIME)
        info.external_attr = (stat.S_IFREG | 0o644) << 16
        self.zip.writestr(info, "\n".join(self.record) + "\n")
        self.zip.close()


def sources():
    for path in sorted((HERE / "microsandbox").rglob("*")):
        inside = path.relative_to(HERE)
        if inside.parts[1] != "runtime" and path.suffix in (".py", ".typed"):
            yield str(inside), path


def main():
    bundle, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    if not (bundle / "libmicrosandbox.so.0").exists():
        sys.exit(f"make_wheel.py: {bundle} has no libmicrosandbox.so.0")
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"microsandbox-{version()}-{TAG}.whl"
    wheel = Wheel(path)
    for name, source in sources():
        wheel.add(name, source.read_bytes())
    for source in sorted(bundle.rglob("*")):
        if source.is_file():  # a link's target, too: wheels have no links
            mode = 0o755 if source.stat().st_mode & 0o100 else 0o644
            name = f"microsandbox/runtime/{source.relative_to(bundle)}"
            wheel.add(name, source.read_bytes(), mode)
    info = f"microsandbox-{version()}.dist-info"
    head = f"Wheel-Version: 1.0\nGenerator: make_wheel\nRoot-Is-Purelib: false\nTag: {TAG}\n"
    wheel.add(f"{info}/METADATA", metadata())
    wheel.add(f"{info}/WHEEL", head.encode())
    wheel.add(f"{info}/entry_points.txt", b"[console_scripts]\nmsb = microsandbox._cli:main\n")
    wheel.add(f"{info}/licenses/LICENSE", (HERE.parent.parent / "LICENSE").read_bytes())
    wheel.close(f"{info}/RECORD")
    print(path)


main()
