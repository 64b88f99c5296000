#!/usr/bin/python3
"""Build what shares are tried with, once, and print the folder.

    share.erofs   a Debian with stress-ng, fio, dbench, git, npm, pip, SQLite,
                  clients and servers of the network,
                  and PostgreSQL, as a root disk; and in its /opt:
        tree.tar    15,000 files of the kernel's source
        repo.git    the same as a repository
        npm, wheels what `npm ci` and `pip install` need without a network
        regress     PostgreSQL's own regression tests
    linux.tar     the kernel's whole source, not compressed

Kept under ~/.cache/microsandbox/test-images/share-<hash of this script>. Needs
root, mmdebstrap and mkfs.erofs; all that is fetched comes from Debian, npm and
PyPI. The kernel's source is the one kernel/build.sh has fetched.
"""
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

TOP = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = ["stress-ng", "fio", "dbench", "git", "npm", "python3-pip",
            "python3-venv", "sqlite3", "postgresql-15", "attr", "acl", "tar",
            "procps", "ca-certificates", "strace", "busybox-static",
            # of the network, for tests/e2e/test_clients.py
            "curl", "wget", "bind9-dnsutils", "iperf3", "nginx-light",
            "netcat-openbsd", "python3-requests", "python3-aiohttp",
            "python3-websockets", "iputils-ping", "openssl"]
NPM = ["express@4.21.2", "lodash@4.17.21", "mocha@10.8.2"]
PIP = ["requests==2.32.3", "flask==3.0.3", "pyyaml==6.0.2", "numpy==1.26.4"]
TREE = ["include", "fs", "kernel", "mm", "lib", "net", "block", "crypto",
        "init", "ipc", "security", "sound", "arch/x86", "scripts", "samples",
        "drivers/net", "drivers/usb"]
TREE_FILES = 15000
SLIM = [f"--dpkgopt=path-exclude=/usr/share/{d}/*"
        for d in ("man", "locale", "info")]
REGRESS = """
set -e
cd "$1/tmp"
echo 'deb-src http://deb.debian.org/debian bookworm main' \\
    >"$1/etc/apt/sources.list.d/src.list"
chroot "$1" sh -c 'apt-get -q update && cd /tmp && apt-get -q \\
    --download-only source postgresql-15'
v=$(ls postgresql-15_*.dsc)
v=${v#*_}
v=${v%.dsc}
# All of the tests' version: each has its own answers.
chroot "$1" apt-get -q -y --no-install-recommends --allow-downgrades install \\
    gcc libc6-dev postgresql-15="$v" postgresql-client-15="$v" \\
    postgresql-server-dev-15="$v"
mkdir source && tar -xf postgresql-15_*.orig.tar.* -C source --strip 1
mkdir -p "$1/opt/regress" && cp -r source/src/test/regress/. "$1/opt/regress"
chroot "$1" sh -c 'cd /opt/regress && gcc -O2 -fPIC -shared -o regress.so \\
    -I"$(pg_config --includedir-server)" regress.c && \\
    cp "$(dirname "$(pg_config --pgxs)")/../test/regress/pg_regress" .'
chroot "$1" sh -c 'apt-get -q -y purge gcc libc6-dev \\
    postgresql-server-dev-15 && apt-get -q -y autoremove --purge'
rm -rf "$1"/tmp/* "$1/etc/apt/sources.list.d/src.list"
"""


def run(*cmd, **kw):
    r = subprocess.run([str(c) for c in cmd], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, **kw)
    if r.returncode != 0:
        sys.exit(f"{' '.join(map(str, cmd))}:\n{r.stdout[-4000:]}")


def cache():
    return pathlib.Path(os.environ.get("MSB_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")),
        "microsandbox"))


def linux(work):
    """linux.tar; gives its unpacked subset."""
    found = sorted((cache() / "kernel/source").glob("linux-source-*.tar.xz"))
    if not found:
        sys.exit("no kernel source there: run kernel/build.sh first")
    with open(work / "linux.tar", "wb") as out:
        subprocess.run(["xz", "-dc", found[-1]], stdout=out, check=True)
    tree, left = work / "tree", TREE_FILES
    with tarfile.open(work / "linux.tar") as tar:
        for m in tar:
            name = m.name.split("/", 1)[-1]
            if left and m.isreg() and any(
                    name.startswith(t + "/") for t in TREE):
                m.name, left = name, left - 1
                tar.extract(m, tree)
    assert left == 0, left
    return tree


def repository(tree, opt):
    run("tar", "-C", tree, "-cf", opt / "tree.tar", ".")
    env = dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null",
               **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
                  for what, value in (("NAME", "t"), ("EMAIL", "t@t"),
                                      ("DATE", "2025-01-01T00:00:00Z"))})

    def git(*words):
        run("git", "-C", tree, *words, env=env)
    git("init", "-q", "-b", "main")
    (tree / ".git/info/exclude").write_text("")
    git("add", "-f", ".")
    git("commit", "-q", "-m", "all")
    run("git", "clone", "-q", "--bare", tree, opt / "repo.git", env=env)
    git("--git-dir", opt / "repo.git", "gc", "-q")


def into_chroot(root, work):
    """What npm and pip need later."""
    shutil.copy("/etc/ssl/certs/ca-certificates.crt",
                root / "etc/ssl/certs/ca-certificates.crt")
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    app = root / "opt/npm/app"
    app.mkdir(parents=True)

    def chroot(line):
        run("chroot", root, "env", "-i", "HOME=/root", "PATH=/usr/bin:/bin:"
            "/usr/sbin:/sbin", "NODE_EXTRA_CA_CERTS=/etc/ssl/certs/"
            "ca-certificates.crt", *(f"{k}={v}" for k, v in os.environ.items()
                                     if k.lower().endswith("_proxy")),
            "sh", "-c", line)
    chroot("cd /opt/npm/app && npm init -y && npm install --no-audit "
           f"--no-fund --cache /opt/npm/cache {' '.join(NPM)} && "
           "rm -rf node_modules /opt/npm/cache/_logs")
    chroot("python3 -m pip download --cert /etc/ssl/certs/ca-certificates.crt"
           f" -q -d /opt/wheels {' '.join(PIP)}")
    (work / "regress.sh").write_text(REGRESS)
    run("sh", work / "regress.sh", root)


def build(final):
    work = final.with_suffix(".tmp")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    tree = linux(work)
    print("building the image for shares", file=sys.stderr, flush=True)
    run("mmdebstrap", "--variant=minbase", *SLIM,
        "--include=" + ",".join(PACKAGES),
        "--essential-hook=mkdir -p \"$1/etc/postgresql-common\" && echo "
        "create_main_cluster=false "
        ">\"$1/etc/postgresql-common/createcluster.conf\"",
        "bookworm", work / "root.tar")
    root = work / "root"
    root.mkdir()
    run("tar", "-xpf", work / "root.tar", "-C", root)
    (root / "etc/hostname").write_text("")
    into_chroot(root, work)
    repository(tree, root / "opt")
    for folder in ("var/cache/apt", "var/lib/apt/lists", "root/.npm"):
        shutil.rmtree(root / folder, ignore_errors=True)
    run("mkfs.erofs", work / "share.erofs", root)
    for name in ("root", "tree"):
        shutil.rmtree(work / name)
    for name in ("root.tar", "regress.sh"):
        (work / name).unlink()
    work.rename(final)


def main():
    key = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()[:20]
    final = cache() / "test-images" / f"share-{key}"
    final.parent.mkdir(parents=True, exist_ok=True)
    with open(final.parent / "share.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not final.is_dir():
            build(final)
    print(final)


if __name__ == "__main__":
    main()
