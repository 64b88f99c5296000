#!/usr/bin/python3
"""Write what is passed on: packages of the SDKs that carry the runtime, and an archive for everybody else.

    dist.py [--build BUILD] [--archive-only] [--level N] OUT      prints a table of files and sizes

The runtime is what tools/bundle.py makes. Each sdk/LANG/package.sh RUNTIME OUT writes its own package. The archive,
microsandbox-VERSION-linux-x86_64.tar.zst, has msb, the library with its header and pkg-config file, manual and
completions; it runs where it is unpacked. The same tree and the same Debian give the same archive.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent
VERSION = re.search(r"version: '([^']+)'", (TOP / "meson.build").read_text())[1]
NAME = f"microsandbox-{VERSION}-linux-x86_64"
PACKAGED = ("python", "node", "ruby")  # Go and Rust use the sources

README = f"""microsandbox {VERSION}: run commands in their own small virtual machines

Needs Linux on x86-64 with glibc 2.36 or newer (Debian 12, Ubuntu 23.04, Fedora 37), e2fsprogs, and QEMU 7.2 or newer
(qemu-system-x86) where there is no KVM. bin/msb doctor says what is missing.

It runs from here: bin/msb run alpine -- uname -a
To install it, unpack it over a prefix: tar -xf {NAME}.tar.zst --strip-components=1 -C ~/.local
To remove it, remove bin/msb, lib/microsandbox, include/microsandbox*, lib/pkgconfig/microsandbox.pc and what
share/ has of msb.

C programs: PKG_CONFIG_PATH=PREFIX/lib/pkgconfig pkg-config --cflags --libs microsandbox
share/doc/microsandbox/licenses has the licences of all that is in here.
"""

PKG_CONFIG = f"""prefix=${{pcfiledir}}/../..
includedir=${{prefix}}/include
libdir=${{prefix}}/lib/microsandbox

Name: microsandbox
Description: run commands in their own small virtual machines
Version: {VERSION}
Libs: -L${{libdir}} -lmicrosandbox -Wl,-rpath,${{libdir}}
Cflags: -I${{includedir}}
"""


def copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    os.chmod(target, 0o644)


def lay_out(runtime, build, root):
    """The archive's tree in @root."""
    own = root / "lib/microsandbox"
    shutil.copytree(runtime, own)
    (own / "libmicrosandbox.so").symlink_to("libmicrosandbox.so.0")
    doc = root / "share/doc/microsandbox"
    doc.mkdir(parents=True)
    (own / "licenses").rename(doc / "licenses")
    (doc / "README").write_text(README)
    (root / "bin").mkdir()
    (root / "bin/msb").symlink_to("../lib/microsandbox/msb")
    (root / "lib/pkgconfig").mkdir()
    (root / "lib/pkgconfig/microsandbox.pc").write_text(PKG_CONFIG)
    for header in (TOP / "include").rglob("*.h"):
        copy(header, root / "include" / header.relative_to(TOP / "include"))
    manual = build / "src/cli/manual"
    for page in manual.glob("*.1"):
        copy(page, root / "share/man/man1" / page.name)
    for made, place in (("msb", "bash-completion/completions"), ("_msb", "zsh/site-functions"),
                        ("msb.fish", "fish/vendor_completions.d")):
        copy(manual / made, root / "share" / place / made)


def archive(runtime, build, out, level):
    date = subprocess.run(["git", "-C", TOP, "log", "-1", "--format=%ct"], stdout=subprocess.PIPE, text=True)
    with tempfile.TemporaryDirectory() as tmp:
        lay_out(runtime, build, pathlib.Path(tmp) / NAME)
        subprocess.run(["tar", "--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner",
                        "--mode=go=rX,u+w", f"--mtime=@{date.stdout.strip() or 0}",
                        f"--use-compress-program=zstd -T0 -{level}", f"--file={out / NAME}.tar.zst", "-C", tmp, NAME], check=True)


def table(out):
    for path in sorted(out.iterdir()):
        print(f"{path.stat().st_size:>10}  {path.name}")


def main():
    p = argparse.ArgumentParser(usage="dist.py [--build BUILD] [--archive-only] [--level N] OUT")
    p.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    p.add_argument("--archive-only", action="store_true")
    p.add_argument("--level", type=int, default=19, help="of zstd")
    p.add_argument("out", type=pathlib.Path)
    args = p.parse_args()
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as tmp:
        runtime = pathlib.Path(tmp) / "runtime"
        subprocess.run([TOP / "tools/bundle.py", "--build", args.build, runtime], check=True, stdout=subprocess.DEVNULL)
        if not args.archive_only:
            for language in PACKAGED:
                script = TOP / "sdk" / language / "package.sh"
                if script.exists():
                    subprocess.run([script, runtime, out], check=True, stdout=sys.stderr)
        archive(runtime, args.build.resolve(), out, args.level)
    table(out)


if __name__ == "__main__":
    main()
