"""The peer machine: Debian's cloud kernel in the same QEMU, for comparing boots.

That kernel has every driver as a module and finds virtio-mmio devices by ACPI
only. So the peer gets: our initramfs with the modules it needs and a loader in
front, QEMU's microvm with acpi=on and rtc=on instead of off, a command line
without our own words, and everything else as it is: the same QEMU, devices,
agent and msb. What is compared is the kernel.
"""
import gzip
import lzma
import os
import pathlib
import shutil
import stat
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tools"))
import mkinitramfs  # noqa: E402

WANTED = ["virtio_mmio", "virtio_blk", "virtio-rng", "overlay", "erofs",
          "ext4", "vmw_vsock_virtio_transport"]
CMDLINE = ("loglevel=5 panic=-1 reboot=t tsc=reliable "
           "rcupdate.rcu_expedited=1 rdinit=/loader")


class Missing(Exception):
    """Why there is no peer to compare with."""


def cache():
    base = os.environ.get("MSB_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")),
        "microsandbox")
    path = pathlib.Path(base) / "bench"
    path.mkdir(parents=True, exist_ok=True)
    return path


def fetch():
    """The unpacked kernel package of linux-image-cloud-amd64's dependency."""
    r = subprocess.run(["apt-cache", "depends", "linux-image-cloud-amd64"],
                       capture_output=True, text=True)
    names = [line.split()[-1] for line in r.stdout.splitlines()
             if "Depends: linux-image-" in line]
    if not names:
        raise Missing("apt knows no linux-image-cloud-amd64")
    final = cache() / names[0]
    if final.is_dir():
        return final
    tmp = cache() / f"{names[0]}.{os.getpid()}.tmp"
    tmp.mkdir()
    try:
        r = subprocess.run(["apt-get", "download", "-q", names[0]], cwd=tmp,
                           capture_output=True, text=True)
        debs = list(tmp.glob("*.deb"))
        if r.returncode != 0 or not debs:
            raise Missing(f"apt-get download {names[0]}: {r.stderr.strip()}")
        subprocess.run(["dpkg", "-x", debs[0], tmp / "x"], check=True)
        (tmp / "x").rename(final)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    return final


def modules(root):
    """Paths of the wanted modules and what they need, in loading order."""
    base = next((root / "lib/modules").iterdir())
    files = {}
    for path in base.rglob("*.ko*"):
        files[path.name.split(".ko")[0].replace("-", "_")] = path
    order = []

    def visit(name):
        name = name.replace("-", "_")
        if name not in files or files[name] in order:
            return  # built in
        info = subprocess.run(["/sbin/modinfo", "-F", "depends", files[name]],
                              capture_output=True, text=True, check=True)
        soft = subprocess.run(["/sbin/modinfo", "-F", "softdep", files[name]],
                              capture_output=True, text=True, check=True)
        pre = soft.stdout.replace("pre:", "").split("post:")[0].split()
        for needed in [d for d in info.stdout.strip().split(",") if d] + pre:
            visit(needed)
        order.append(files[name])

    for name in WANTED + ["crc32c_generic"]:
        visit(name)
    return order


def content(path):
    opener = {".xz": lzma.open, ".gz": gzip.open}.get(path.suffix, open)
    with opener(path, "rb") as f:
        return f.read()


def make(build, out):
    """A folder for MSB_RUNTIME."""
    if not os.path.exists("/sbin/modinfo"):
        raise Missing("modinfo (package kmod) is not installed")
    root = fetch()
    out = pathlib.Path(out)
    out.mkdir()
    loader = out / "loader"
    subprocess.run(["musl-gcc", "-static", "-Os", "-o", loader,
                    TOP / "tests/bench/loader.c"], check=True)
    mods = modules(root)
    entries = [("loader", stat.S_IFREG | 0o755, loader.read_bytes()),
               ("modules", stat.S_IFDIR | 0o755, b""),
               ("modules/order", stat.S_IFREG | 0o644, "".join(
                   p.name.split(".ko")[0] + ".ko\n" for p in mods).encode())]
    entries += [("modules/" + p.name.split(".ko")[0] + ".ko",
                 stat.S_IFREG | 0o644, content(p)) for p in mods]
    ours = (build / "initramfs.cpio").read_bytes()
    (out / "initramfs.cpio").write_bytes(ours + cpio(entries))
    (out / "vmlinux").symlink_to(next((root / "boot").glob("vmlinuz-*")))
    tsc = out / "tsc"
    subprocess.run(["cc", "-O2", "-o", tsc, TOP / "kernel/bench/tsc.c"],
                   check=True)
    khz = subprocess.run([tsc], check=True, stdout=subprocess.PIPE,
                         text=True).stdout.strip()
    (out / "cmdline").write_text(f"{CMDLINE} tsc_early_khz={khz}\n")
    (out / "msb-vmm").write_bytes(other_board((build / "msb-vmm").read_bytes()))
    (out / "msb-vmm").chmod(0o755)
    return {"MSB_RUNTIME": str(out)}


def other_board(program):
    """msb-vmm with the board that this kernel needs. It is edited, as nothing
    but QEMU itself can be started in the jail: no wrapper."""
    ours, theirs = b"rtc=off,isa-serial=on,acpi=off", b"acpi=on,rtc=on,isa-serial=true"
    if program.count(ours) != 1:
        raise Missing("msb-vmm's board is not the known one")
    return program.replace(ours, theirs)


def cpio(entries):
    """A newc archive, as a second one behind ours."""
    out = b"".join(mkinitramfs.entry(i, *e) for i, e in enumerate(entries, 1))
    return out + mkinitramfs.entry(0, "TRAILER!!!", 0)
