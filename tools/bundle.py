#!/usr/bin/python3
"""Make a folder that runs on any x86-64 Linux with glibc 2.36 or newer, wherever it is put.

    bundle.py --build BUILD OUT      replaces OUT; prints a table of files and sizes

OUT gets libmicrosandbox.so.0, msb, msb-vmm, msb-tls, the guest's kernel and agent, and every shared library that these
need and glibc is not, also those that are loaded later (libcurl, libpsl). The SDKs' packages carry such a folder; the
library finds its parts beside itself. mke2fs and QEMU stay the host's: `msb doctor` names them.

What we load must not meet what the host's program has, in either direction:
- Bundled libraries get the prefix "libmsb-" in their file name and soname. A Python that has loaded our libssl.so.3
  would else believe that it has its own, and fail to import ssl.
- Programs such as node export the symbols of an OpenSSL, a zlib and an SQLite that they have inside, which go before
  those of any library. So libmicrosandbox and libcurl are linked with static ones here, which are nobody else's.
- That libcurl is linked without what only its other protocols need (LDAP, RTMP, SSH) and without Kerberos: ten
  libraries less in the host's process. src/image asks it for http and https alone; calls to the others fail.
"""
import argparse
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

PREFIX = "libmsb-"
PROGRAMS = ("libmicrosandbox.so.0", "msb", "msb-vmm", "msb-tls")
DATA = ("vmlinux", "initramfs.cpio", "cmdline")
CURL, LATER = "libmsb-curl.so.4", ("libpsl.so.5",)  # dlopen()ed in src/lib
STATIC = {"crypto", "ssl", "sqlite3", "z", "zstd"}  # those that Debian compiles for shared objects, too
WITHOUT = r"(?:gss|GSS|ldap|ber|RTMP|libssh2)_\w+"
GLIBC = {"libc.so.6", "libm.so.6", "libresolv.so.2", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1",
         "ld-linux-x86-64.so.2"}
GLIBC_MAX = (2, 36)
TOP = pathlib.Path(__file__).resolve().parent.parent


def run(*args):
    return subprocess.run(args, check=True, stdout=subprocess.PIPE, text=True).stdout


def archives(names):
    """Static libraries: {name: path}."""
    found = {n: pathlib.Path(run("cc", f"-print-file-name=lib{n}.a").strip()).resolve() for n in names}
    for name, path in found.items():
        if not path.is_file():
            sys.exit(f"bundle: lib{name}.a is not on this host")
    return found


def link_library(build, out):
    """As the build does, but with static libraries."""
    args = shlex.split(run("ninja", "-C", build, "-t", "commands", "libmicrosandbox.so.0.1.0").splitlines()[-1])
    static = archives(STATIC)
    linked = [str(static.get(pathlib.Path(a).name[3:-3], a)) if a.endswith(".so") else a
              for a in args if not a.endswith("/libcurl.so")]
    linked[linked.index("-o") + 1] = str(out.resolve())
    subprocess.run([*linked, "-lm"], cwd=build, check=True)


def link_curl(out, tmp):
    """libcurl with its own OpenSSL. What it is linked without gives GSS_S_FAILURE, or 0."""
    static = archives(("curl", "ssl", "crypto", "zstd", "z"))
    missing = sorted(set(re.findall(rf"^ +U ({WITHOUT})$", run("nm", "--quiet", static["curl"]), re.M)))
    stubs = [f".globl {n}\n{n}: mov ${0xd0000 if n.startswith('gss') else 0}, %eax; ret\n" for n in missing]
    (tmp / "stubs.s").write_text("".join(stubs) + '.section .note.GNU-stack,""\n')
    (tmp / "curl.map").write_text("{ global: curl_*; local: *; };\n")
    host = host_libraries()
    shared = [host[n] for n in needed(host["libcurl.so.4"]) if re.match(r"lib(nghttp2|idn2|psl|brotlidec)\.", n)]
    subprocess.run(["cc", "-shared", "-o", out, "-Wl,--no-undefined,--as-needed,-z,relro,-z,now,--build-id=none",
                    f"-Wl,-soname,{CURL},--version-script={tmp}/curl.map", tmp / "stubs.s", "-Wl,--whole-archive", static.pop("curl"),
                    "-Wl,--no-whole-archive", *static.values(), *shared], check=True)


def needed(path):
    return [n for n in run("patchelf", "--print-needed", path).split() if n not in GLIBC]


def host_libraries():
    """Where the loader has which library: {soname: path}."""
    found = {}
    for line in run("/sbin/ldconfig", "-p").splitlines():
        m = re.match(r"\s+(\S+) \(libc6,x86-64[^)]*\) => (\S+)", line)
        if m:
            found.setdefault(m[1], pathlib.Path(m[2]))
    return found


def closure(roots):
    """All libraries below @roots: {soname: path}."""
    host, found, todo = host_libraries(), {}, list(LATER)
    for root in roots:
        todo += needed(root)
    while todo:
        name = todo.pop()
        if name in found or name in PROGRAMS:
            continue
        if name not in host:
            sys.exit(f"bundle: {name} is not on this host")
        found[name] = host[name].resolve()
        todo += needed(found[name])
    return found


def put(source, target, mode):
    shutil.copyfile(source, target)
    os.chmod(target, mode)


def copy_libraries(libraries, out):
    for name, path in libraries.items():
        put(path, out / renamed(name), 0o644)
        run("strip", "--strip-unneeded", out / renamed(name))
        run("patchelf", "--set-soname", renamed(name), out / renamed(name))


def renamed(name):
    return PREFIX + name.removeprefix("lib")


def relink(path):
    """Let an ELF file find the others beside itself, by their new names."""
    changes = []
    for name in needed(path):
        if name not in PROGRAMS:
            changes += ["--replace-needed", name, renamed(name)]
    # One run each: patchelf 0.14 mixes up the two in one.
    if changes:
        run("patchelf", *changes, path)
    run("patchelf", "--remove-rpath", path)
    run("patchelf", "--set-rpath", "$ORIGIN", path)


KERNEL = """vmlinux is Linux {version}, under the GNU General Public License, version 2 (GPL-2.txt).
Its source is https://cdn.kernel.org/pub/linux/kernel/; the folder kernel/ of microsandbox's source has the version, the
configuration, the edits and the program that builds it. Whoever passes vmlinux on passes that on too.
"""


def licences(libraries, out):
    """The copyright file of each Debian package that a library came from; the agent has musl in it."""
    out.mkdir()
    for package in sorted({owner(path) for path in libraries} | {"musl"}):
        text = pathlib.Path("/usr/share/doc") / package / "copyright"
        if not text.exists():
            sys.exit(f"bundle: {text} is missing: {package} cannot be passed on without it")
        put(text, out / f"{package}.txt", 0o644)
    put(TOP / "LICENSE", out / "microsandbox.txt", 0o644)
    for name in ("GPL-2", "GPL-3", "LGPL-2.1", "LGPL-3"):  # the others refer to these
        put(f"/usr/share/common-licenses/{name}", out / f"{name}.txt", 0o644)
    (out / "linux.txt").write_text(KERNEL.format(version=(TOP / "kernel/VERSION").read_text().split()[0]))


def owner(path):
    # Before the merge of /usr, packages say /lib for what is /usr/lib.
    for name in (str(path), str(path).removeprefix("/usr")):
        p = subprocess.run(["dpkg-query", "-S", name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if p.returncode == 0:
            return p.stdout.split(":")[0]
    sys.exit(f"bundle: no package owns {path}")


def check(out, places):
    """Nothing may need more than glibc, or know @places of this machine."""
    names = {p.name for p in out.iterdir()}
    for path in sorted(p for p in out.iterdir() if p.is_file()):
        data = path.read_bytes()
        # A compiler that was called from elsewhere writes ../../PLACE, which finds nothing.
        known = re.search(rb"(?<!\.)(%s)[^\0]*" % b"|".join(re.escape(os.fsencode(p)) for p in places), data)
        if known:
            sys.exit(f"bundle: {path.name} names a place of this machine: {known[0][:80]!r}")
        if data[:4] != b"\x7fELF" or path.name in DATA:
            continue
        missing = [n for n in needed(path) if n not in names]
        if missing:
            sys.exit(f"bundle: {path.name} needs {missing}")
        wants = max(tuple(map(int, v.split("."))) for v in
                    re.findall(r"GLIBC_(\d+\.\d+)", run("readelf", "-V", path)) + ["0.0"])
        if wants > GLIBC_MAX:
            sys.exit(f"bundle: {path.name} needs glibc {wants[0]}.{wants[1]}")


def table(out):
    files = sorted((p for p in out.rglob("*") if p.is_file()), key=lambda p: -p.stat().st_size)
    shown = [p for p in files if p.parent == out]
    for p in shown:
        print(f"{p.stat().st_size:>10}  {p.name}")
    print(f"{sum(p.stat().st_size for p in files if p not in shown):>10}  licenses/ ({len(files) - len(shown)} files)")
    print(f"{sum(p.stat().st_size for p in files):>10}  together")


def make(build, out, tmp):
    out.mkdir()
    for name in PROGRAMS:
        put((build / name).resolve(), out / name, 0o755)
    link_library(build, out / "libmicrosandbox.so.0")
    link_curl(out / CURL, tmp)
    for name in DATA:
        put((build / name).resolve(), out / name, 0o644)
    own = [out / name for name in (*PROGRAMS, CURL)]
    for path in own:
        run("strip", "--strip-unneeded", path)
    libraries = closure(own)
    copy_libraries(libraries, out)
    for path in out.iterdir():
        if path.name not in DATA:
            relink(path)
    licences([*libraries.values(), *archives({*STATIC, "curl"}).values()], out / "licenses")
    check(out, [TOP, build.resolve(), pathlib.Path.home() / ".cache"])


def main():
    p = argparse.ArgumentParser(usage="bundle.py [--build BUILD] OUT")
    p.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    p.add_argument("out", type=pathlib.Path)
    args = p.parse_args()
    if not shutil.which("patchelf"):
        sys.exit("bundle: patchelf is not installed (Debian: apt install patchelf)")
    if args.out.exists() and not (args.out / "libmicrosandbox.so.0").exists() and any(args.out.iterdir()):
        sys.exit(f"bundle: {args.out} is something else and stays")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".bundle", dir=args.out.parent) as tmp:
        make(args.build.resolve(), pathlib.Path(tmp) / "rt", pathlib.Path(tmp))
        shutil.rmtree(args.out, ignore_errors=True)
        (pathlib.Path(tmp) / "rt").rename(args.out)
    table(args.out)


if __name__ == "__main__":
    main()
