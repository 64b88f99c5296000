#!/usr/bin/env python3
"""Make a small OCI layout from Debian's busybox-static: the demo's image.

    tools/demo-image.py OUTDIR [NAME]

No registry, root or network. The result is a pure function of the busybox
binary: one gzip layer with busybox, its applets as links, and the few files
that a root file system needs.
"""
import io
import os
import subprocess
import sys
import tarfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "tests", "images"))
import oci  # noqa: E402

BUSYBOX = next((p for p in ("/usr/bin/busybox", "/bin/busybox")
                if os.path.exists(p)), None)
FOLDERS = ["bin", "dev", "etc", "home", "proc", "root", "run", "sbin", "sys",
           "tmp", "usr", "usr/bin", "usr/sbin", "var", "var/tmp"]
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n"
                  "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/os-release": 'ID=microsandbox-demo\nNAME="microsandbox demo"\n',
}


def entry(name, mode, kind=tarfile.REGTYPE, size=0, link=""):
    t = tarfile.TarInfo(name)
    t.mode, t.type, t.size, t.linkname = mode, kind, size, link
    t.uname = t.gname = "root"
    return t


def layer():
    with open(BUSYBOX, "rb") as f:
        binary = f.read()
    applets = subprocess.run([BUSYBOX, "--list-full"], check=True,
                             capture_output=True, text=True).stdout.split()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for d in FOLDERS:
            mode = {"root": 0o700}.get(d, 0o1777 if d.endswith("tmp")
                                       else 0o755)
            tar.addfile(entry(d, mode, tarfile.DIRTYPE))
        tar.addfile(entry("bin/busybox", 0o755, size=len(binary)),
                    io.BytesIO(binary))
        for name in sorted(set(applets)):
            if name != "bin/busybox" and os.path.dirname(name) in FOLDERS:
                tar.addfile(entry(name, 0o777, tarfile.SYMTYPE,
                                  link="/bin/busybox"))
        for name, text in FILES.items():
            data = text.encode()
            tar.addfile(entry(name, 0o644, size=len(data)), io.BytesIO(data))
    return out.getvalue()


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if not BUSYBOX:
        sys.exit("demo-image: no busybox; apt-get install busybox-static")
    folder = sys.argv[1]
    name = sys.argv[2] if len(sys.argv) > 2 else "microsandbox/demo:latest"
    layout = oci.Layout(folder)
    layout.image(name, [layer()], {"Cmd": ["/bin/sh"], "Env": [
        "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]})
    layout.manifests[-1]["annotations"]["io.containerd.image.name"] = \
        "docker.io/" + name
    layout.finish()


if __name__ == "__main__":
    main()
