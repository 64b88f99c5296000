#!/usr/bin/python3
"""Build the image of tests/e2e/test_secret_clients.py, once, and print its OCI layout.

A Debian with the programs that speak TLS: curl, wget, git, openssl, Node.js, Python with requests, httpx (and h2),
aiohttp and pip. The folder of Java's key store is there as Debian's own package has it, so that a Java of the host can
be tried, too.

Kept under ~/.cache/microsandbox/test-images/tls-<hash of this script>. Needs root and mmdebstrap.
"""
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/images"))

from oci import Layout  # noqa: E402

PACKAGES = ["ca-certificates", "curl", "wget", "git", "openssl", "nodejs", "python3-requests", "python3-httpx", "python3-h2",
            "python3-aiohttp", "python3-websockets", "python3-pip", "netcat-openbsd", "procps", "busybox-static"]
SLIM = [f"--dpkgopt=path-exclude=/usr/share/{d}/*" for d in ("man", "doc", "locale", "info")]
CACERTS = pathlib.Path("/etc/ssl/certs/java/cacerts")


def run(*cmd):
    r = subprocess.run([str(c) for c in cmd], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if r.returncode != 0:
        sys.exit(f"{' '.join(map(str, cmd))}:\n{r.stdout[-4000:]}")


def build(final):
    work = final.with_suffix(".tmp")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    print("building the image for TLS", file=sys.stderr, flush=True)
    hooks = ["--customize-hook=mkdir -p \"$1/etc/ssl/certs/java\"",
             f"--customize-hook=upload {CACERTS} /etc/ssl/certs/java/cacerts"] if CACERTS.exists() else []
    run("mmdebstrap", "--variant=minbase", *SLIM, *hooks, "--include=" + ",".join(PACKAGES), "bookworm", work / "root.tar")
    layout = Layout(work / "layout")
    layout.image("latest", [(work / "root.tar").read_bytes()],
                 {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]})
    layout.finish()
    (work / "root.tar").unlink()
    (work / "layout").rename(final)
    shutil.rmtree(work)


def main():
    base = pathlib.Path(os.environ.get("MSB_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "microsandbox"))
    key = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()[:20]
    final = base / "test-images" / f"tls-{key}"
    final.parent.mkdir(parents=True, exist_ok=True)
    with open(final.parent / "tls.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not final.is_dir():
            build(final)
    print(final)


if __name__ == "__main__":
    main()
