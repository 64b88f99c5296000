"""Images and guests that mean harm, through the real registry, msb and machines.

Every refusal has a clear text and the right exit code, and leaves nothing: no
process (conftest.py looks after each test), nothing in the store, and a canary
folder on the host that stays as it was. Bad servers and archives are in
test_pull.py, failing machines in test_run.py and test_vmm.py.
"""
import gzip
import json
import os
import pathlib
import resource
import subprocess
import tarfile
import time
import zlib

import oci
import pytest
from build import TarWriter

from conftest import need
from lib.registry import assert_store_clean

SYM, HARD, CHR = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE
ESCAPES = "\033]0;evil\007\033[31m"


@pytest.fixture(scope="session")
def base_layer(busybox_image):
    """The tar with busybox that hostile layers are put on."""
    index = json.loads((busybox_image / "index.json").read_text())

    def blob(entry):
        return (busybox_image / "blobs" / entry["digest"].replace(":", "/")
                ).read_bytes()
    return gzip.decompress(
        blob(json.loads(blob(index["manifests"][0]))["layers"][0]))


@pytest.fixture
def canary(tmp_path):
    """A folder of the host that attacks aim at; unchanged afterwards."""
    folder = tmp_path / "canary"
    folder.mkdir()
    (folder / "file").write_text("host")
    before = state(folder)
    yield folder
    assert state(folder) == before


def state(folder):
    return [(str(p), p.lstat().st_mode, p.lstat().st_mtime_ns,
             p.lstat().st_ctime_ns, p.lstat().st_nlink,
             p.read_bytes() if p.is_file() else b"")
            for p in sorted([folder, *folder.rglob("*")])]


def layer(*entries):
    """A tar of (name, kind, link or data) tuples, or of dicts for add()."""
    t = TarWriter()
    for e in entries:
        if isinstance(e, dict):
            t.add(**e)
        elif e[1] in (SYM, HARD):
            t.add(e[0], kind=e[1], link=e[2])
        elif e[1] == tarfile.DIRTYPE:
            t.dir(e[0])
        else:
            t.add(e[0], e[2])
    return t.bytes()


def reg(name, data=b"evil"):
    return (name, tarfile.REGTYPE, data)


def load(msb, folder, layers, config=None, **override):
    layout = oci.Layout(folder)
    layout.image("evil:1", layers, config or {"Cmd": ["/bin/sh"]}, **override)
    return msb("load", "-q", "-i", layout.finish(), "-t", "evil:1")


def refused(msb, r, *words, parts=False):
    """One clear message, no crash, no half image."""
    assert r.returncode == 1, (r.returncode, r.err)
    assert r.err.startswith("error: ") and "\033" not in r.err, r.err
    for word in words:
        assert word in r.err, r.err
    assert_store_clean(msb.home, parts=parts)
    assert msb.ok("image", "ls", "--format", "json").strip() in ("[]", "")


def run(msb, *command, code=0, **kw):
    r = msb("run", "-q", "evil:1", "--", *command, **kw)
    assert r.returncode == code, (r.returncode, r.out, r.err)
    return r.out


# -- layers that want out -----------------------------------------------------

LONG = "a/" * 300 + "b"
REFUSED = {
    "dot-dot": [reg("../escape")],
    "dot-dot inside": [reg("a/../../escape")],
    "absolute dot-dot": [reg("/../escape")],
    "dot-dot folder": [("..", tarfile.DIRTYPE, "")],
    "hard link to dot-dot": [("h", HARD, "../../../../etc/passwd")],
    "hard link to nothing": [("h", HARD, "no/such/file")],
    "hard link to itself": [("h", HARD, "h")],
    "hard link to the root": [("h", HARD, "/")],
    "whiteout of dot-dot": [reg("a/.wh...", b"")],
    "whiteout of dot": [reg("a/.wh..", b"")],
    "whiteout of nothing": [reg("a/.wh.", b"")],
    "whiteout as a folder": [reg("a/.wh.b/c", b"")],
    "overlay's whiteout": [dict(name="bin/sh", kind=CHR, dev=(0, 0))],
    "huge device number": [dict(name="d", kind=CHR, dev=(5000, 1))],
    "root as a file": [reg("./", b"x")],
    "too deep": [reg(LONG)],
    "part too long": [reg("n" * 256)],
}


@pytest.mark.parametrize("entries", REFUSED.values(), ids=REFUSED.keys())
def test_layers_that_are_refused(msb, base_layer, tmp_path, canary, entries):
    r = load(msb, tmp_path / "evil", [base_layer, layer(*entries)])
    refused(msb, r)
    assert len(r.err.splitlines()) <= 3


def test_names_with_escapes_are_shown_escaped(msb, tmp_path):
    r = load(msb, tmp_path / "evil", [layer(reg("../" + ESCAPES))])
    refused(msb, r, "evil")
    assert "\007" not in r.err


def test_links_that_lead_out_stay_inside(msb, base_layer, tmp_path, canary):
    """What docker does: links are resolved in the image, never on the host."""
    out, deep = str(canary), "../" * 40
    first = layer(
        ("out", SYM, out), ("up", SYM, deep), ("etc/self", SYM, "self"),
        reg("/absolute", b"absolute"),
        # a link first, then names that go through it
        reg("out/file", b"through a link"), reg("up/landed", b"at the root"),
        reg("out/.wh.gone", b""))
    second = layer(reg("out/later", b"through the lower's link"),
                   ("hard", HARD, "absolute"))
    r = load(msb, tmp_path / "evil", [base_layer, first, second])
    assert r.returncode == 0, r.err
    got = run(msb, "sh", "-c", f"cat {out}/file {out}/later /landed /absolute;"
              "readlink /up | wc -c; stat -c %h /hard; echo x >/out/file;"
              f"rm -rf {out}/* && echo removed")
    assert got == ("through a linkthrough the lower's linkat the rootabsolute"
                   f"{len(deep) + 1}\n2\nremoved\n")


def test_link_loops_end(msb, base_layer, tmp_path):
    r = load(msb, tmp_path / "evil", [base_layer, layer(
        ("loop", SYM, "loop"), reg("loop/x"))])
    refused(msb, r, "loop")
    links = [(f"l{i}", SYM, f"l{i + 1}") for i in range(1000)]
    r = load(msb, tmp_path / "many", [base_layer, layer(
        *links, reg("l0/x"))])
    refused(msb, r)


def test_overlay_attributes_of_an_image_have_no_effect(msb, base_layer,
                                                       tmp_path):
    """They would let an image hide and redirect what lies below."""
    evil = layer(
        dict(name="etc", kind=tarfile.DIRTYPE, mode=0o755, xattrs={
            "trusted.overlay.opaque": "y", "user.overlay.opaque": "y",
            "trusted.overlay.redirect": "/root"}),
        dict(name="meta", data=b"own data", xattrs={
            "trusted.overlay.metacopy": "",
            "trusted.overlay.redirect": "/etc/passwd", "user.kept": "1"}))
    r = load(msb, tmp_path / "evil", [base_layer, evil])
    assert r.returncode == 0, r.err
    out = run(msb, "sh", "-c", "cat /meta; echo; head -c4 /etc/passwd; chmod 700 "
              "/meta; cat /meta; mv /etc /moved && ls /moved")
    assert out.startswith("own data\nrootown data") and "passwd" in out


# -- bombs --------------------------------------------------------------------

def zero_members(mib):
    """MIB of zeros as gzip, 64 MiB a member: quick to make, 1:1000."""
    c = zlib.compressobj(9, wbits=31)
    member = c.compress(bytes(64 << 20)) + c.flush()
    return member * (mib // 64)


def bomb(folder, compressed_zeros, compress, media):
    """A layer that is one file of 64 GiB, packed very small."""
    info = tarfile.TarInfo("zeros")
    info.size = 64 << 30
    head = compress(info.tobuf())
    layout = oci.Layout(folder)
    entry = layout.add(head + compressed_zeros, oci.OCI + media)
    layout.image("evil:1", [], layers=[entry],
                 diff_ids=["sha256:" + "0" * 64])
    return layout.finish()


@pytest.mark.parametrize("how", ["gzip", "zstd"])
def test_zip_bomb(msb, tmp_path, how):
    if how == "gzip":
        path = bomb(tmp_path / "b", zero_members(4096), gzip.compress,
                    "layer.v1.tar+gzip")
    else:
        need("zstd")

        def zstd(data):
            return subprocess.run(["zstd", "-q", "-c"], input=data, check=True,
                                  stdout=subprocess.PIPE).stdout
        path = bomb(tmp_path / "b", zstd(bytes(1 << 30)) * 4, zstd,
                    "layer.v1.tar+zstd")
    start = time.monotonic()
    r = msb("load", "-q", "-i", path, "-t", "evil:1")
    assert time.monotonic() - start < 60
    refused(msb, r, "times")


def test_announced_sizes_cost_no_memory(msb, tmp_path):
    """A file of 2^62 bytes, an extended header of 1 GiB, 200,000 headers."""
    huge = tarfile.TarInfo("huge")
    huge.size = 1 << 62
    pax = tarfile.TarInfo("PaxHeader")
    pax.type, pax.size = tarfile.XHDTYPE, 1 << 30
    many = b"".join(tarfile.TarInfo(f"empty/{i}").tobuf(tarfile.USTAR_FORMAT)
                    for i in range(200_000)) + bytes(1024)
    for i, tar in enumerate((huge.tobuf(tarfile.GNU_FORMAT) + bytes(4096),
                             pax.tobuf(tarfile.GNU_FORMAT) + bytes(4096))):
        refused(msb, load(msb, tmp_path / f"e{i}", [tar]))
    r = load(msb, tmp_path / "many", [many])
    assert r.returncode == 0, r.err
    script = "import resource,subprocess,sys; r=subprocess.run(sys.argv[1:])" \
        ".returncode; print(resource.getrusage(resource.RUSAGE_CHILDREN)" \
        ".ru_maxrss); sys.exit(r)"
    out = subprocess.run(
        ["/usr/bin/python3", "-c", script, msb.msb, "load", "-q", "-i",
         tmp_path / "many", "-t", "evil:2"], env=dict(
             msb.environment(None), MSB_HOME=str(tmp_path / "other")),
        stdout=subprocess.PIPE, text=True, check=True).stdout
    assert int(out.split()[-1]) < 256 * 1024, out


# -- a registry whose disk was changed ----------------------------------------

def stored(registry, digest):
    hexa = digest.removeprefix("sha256:")
    return (registry.storage / "docker/registry/v2/blobs/sha256" / hexa[:2] /
            hexa / "data")


def flip(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:]


@pytest.mark.parametrize("what", ["layer", "config", "manifest"])
@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_damaged_blobs_of_a_real_registry(msb, registry, base_layer, tmp_path,
                                          what, how):
    layout = oci.Layout(tmp_path / "l")
    unique = f"{what}-{how}"
    manifest = layout.image("x", [base_layer, layer(reg("x", unique.encode()))],
                            {"Cmd": ["/bin/sh"], "Labels": {"x": unique}})
    ref = registry.push(layout.finish(), "x", f"damaged/{unique}:1")
    digest = {"layer": manifest["layers"][1], "config": manifest["config"],
              "manifest": layout.manifests[0]}[what]["digest"]
    path = stored(registry, digest)
    data = path.read_bytes()
    damaged = {"flipped": flip(data), "cut": data[:len(data) // 2]}
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(damaged[how])
    refused(msb, msb("pull", "-q", ref), parts=True)
    path.write_bytes(data)
    msb.ok("pull", "-q", ref)
    assert msb.ok("run", "-q", ref, "--", "cat", "/x") == unique


# -- full disks ---------------------------------------------------------------

@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=192m,mode=700",
                        "none", folder], capture_output=True)
    if r.returncode:
        pytest.skip("needs the right to mount")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_the_guest_fills_the_hosts_disk(msb, busybox_image, small_disk):
    env = {"MSB_HOME": str(small_disk)}
    msb.ok("load", "-q", "-i", busybox_image, "-t", "b:1", env=env)
    r = msb("run", "-q", "b:1", "--", "sh", "-c", "dd if=/dev/zero of=/big "
            "bs=1M count=300 && sync /big && cat /big | wc -c", env=env)
    assert r.returncode != 0 and r.out == "", (r.returncode, r.out, r.err)
    assert "error" in (r.out + r.err).lower()
    # the disk is free again and the next machine is fine
    assert msb.ok("run", "-q", "b:1", "--", "echo", "next", env=env) == "next\n"
    st = os.statvfs(small_disk)
    assert st.f_bavail * st.f_frsize > 64 << 20
    (small_disk / "filler").write_bytes(b"x" * (st.f_bavail * st.f_frsize))
    r = msb("run", "-q", "b:1", "--", "echo", "full", env=env)
    # with no room for a single block, msb says so or the guest may still run
    assert (r.returncode == 0 and r.out == "full\n") or \
        (r.returncode == 125 and "space" in r.err), (r.returncode, r.err)


# -- images that trip up the guest's own init ---------------------------------

def odd(*gone, **entries):
    """The base's names removed, and replaced by something odd."""
    return layer(*[reg(f"{os.path.dirname(n)}/.wh.{os.path.basename(n)}"
                       .lstrip("/"), b"") for n in gone]), layer(
        *entries.pop("entries"))


ODD_ETC = {
    "hosts is a folder": [("etc/hosts", tarfile.DIRTYPE, "")],
    "hosts is a fifo": [dict(name="etc/hosts", kind=tarfile.FIFOTYPE)],
    "hosts links to itself": [("etc/hosts", SYM, "hosts")],
    "hosts links to a device": [("etc/hosts", SYM, "/dev/ttyS0")],
    "hostname is a device": [dict(name="etc/hostname", kind=CHR, dev=(1, 5))],
    "resolv.conf dangles": [("etc/resolv.conf", SYM, "../run/no/such")],
    "passwd is a fifo": [dict(name="etc/passwd", kind=tarfile.FIFOTYPE)],
    "passwd is endless": [("etc/passwd", SYM, "/dev/zero")],
    "group is 64 MiB": [reg("etc/group", b"x" * (64 << 20))],
    "etc is a link to the root": [reg(".wh.etc", b""), ("etc", SYM, "/")],
    "etc is a file": [reg(".wh.etc", b""), reg("etc")],
    "tmp is a file": [reg(".wh.tmp", b""), reg("tmp")],
}


@pytest.mark.parametrize("entries", ODD_ETC.values(), ids=ODD_ETC.keys())
def test_odd_files_where_init_looks_do_no_harm(msb, base_layer, tmp_path,
                                               entries):
    r = load(msb, tmp_path / "evil", [base_layer, layer(*entries)])
    assert r.returncode == 0, r.err
    assert run(msb, "echo", "fine", timeout=60) == "fine\n"
    # by name: found, or a clear refusal, never a hang
    r = msb("run", "-q", "-u", "nobody", "evil:1", "--", "id", "-u", timeout=60)
    assert (r.returncode, r.out) == (0, "65534\n") or (
        r.returncode == 125 and r.err.startswith("error: ")), r.err


ODD_MOUNTS = {
    "proc is a file": [reg(".wh.proc", b""), reg("proc")],
    "dev is a file": [reg(".wh.dev", b""), reg("dev")],
    "sys is a dangling link": [reg(".wh.sys", b""), ("sys", SYM, "no/where")],
    "proc links to etc": [reg(".wh.proc", b""), ("proc", SYM, "etc")],
    "dev links to proc": [reg(".wh.dev", b""), ("dev", SYM, "proc")],
}


@pytest.mark.parametrize("entries", ODD_MOUNTS.values(), ids=ODD_MOUNTS.keys())
def test_mount_points_that_are_none(msb, base_layer, tmp_path, entries):
    """The machine runs, or says why it cannot; it never hangs."""
    r = load(msb, tmp_path / "evil", [base_layer, layer(*entries)])
    assert r.returncode == 0, r.err
    r = msb("run", "-q", "evil:1", "--", "echo", "fine", timeout=60)
    assert (r.returncode, r.out) == (0, "fine\n") or (
        r.returncode == 125 and "could not start" in r.err), r.err


COMMANDS = {
    "no such file": ("/no/such", 127),
    "a folder": ("/etc", 126),
    "not executable": ("/etc/passwd", 126),
    "below a file": ("/etc/passwd/x", 127),
    "a link to itself": ("/loop", 126),
    "no program": ("/garbage", 126),
    "another machine's": ("/arm", 126),
    "without its interpreter": ("/script", 127),
    "an empty file": ("/empty", (126, 0)),
}


def test_commands_that_cannot_run(msb, base_layer, tmp_path):
    elf = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00" + bytes(200)
    files = [dict(name=n, data=d, mode=0o755) for n, d in (
        ("garbage", b"\1\2\3\4" * 64), ("arm", elf),
        ("script", b"#!/no/interpreter\n"), ("empty", b""))]
    r = load(msb, tmp_path / "evil", [base_layer, layer(
        ("loop", SYM, "loop"), *files)])
    assert r.returncode == 0, r.err
    for what, (path, code) in COMMANDS.items():
        r = msb("run", "-q", "evil:1", "--", path)
        codes = code if isinstance(code, tuple) else (code,)
        assert r.returncode in codes, (what, r.returncode, r.err)
        assert r.returncode == 0 or path in r.err.splitlines()[0], (what, r.err)


CONFIGS = {
    "entrypoint missing": ({"Entrypoint": ["/no/such"]}, 127),
    "user unknown": ({"User": "no-such-user"}, 125),
    "user out of range": ({"User": "4294967296"}, 125),
    "user is an option": ({"User": "-rf"}, 125),
    "workdir is a file": ({"WorkingDir": "/etc/passwd"}, 125),
    "workdir climbs": ({"WorkingDir": "../../.."}, (0, 125)),
    "workdir loops": ({"WorkingDir": "/loop"}, 125),
    "variable without a name": ({"Env": ["=x"]}, (0, 125, 1)),
    "escapes": ({"Entrypoint": ["/" + ESCAPES]}, 127),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_configs_that_cannot_run(msb, base_layer, tmp_path, config):
    settings, codes = config
    codes = codes if isinstance(codes, tuple) else (codes,)
    r = load(msb, tmp_path / "evil", [base_layer, layer(("loop", SYM, "loop"))],
             dict({"Cmd": ["/bin/true"]}, **settings))
    if r.returncode == 0:
        r = msb("run", "-q", "evil:1", timeout=60)
    assert r.returncode in codes, (r.returncode, r.err)
    assert r.returncode == 0 or r.err.startswith("error: "), r.err
    assert "\033" not in r.err and "\007" not in r.err


# -- commands that attack their machine ---------------------------------------

@pytest.fixture(scope="module")
def box(build_dir, busybox_image, tmp_path_factory):
    from lib.cli import Cli
    c = Cli(build_dir, tmp_path_factory.mktemp("box") / "home")
    c.ok("load", "-q", "-i", busybox_image, "-t", "evil:1")
    return c


def test_memory_hog_is_killed_and_the_machine_answers(box):
    r = box("run", "-q", "-m", "96", "evil:1", "--", "sh", "-c",
            "tail /dev/zero; echo code $?")
    assert r.returncode == 0 and r.out.splitlines()[-1] == "code 137", r.err


def test_fork_bomb_ends_with_the_time_limit(box):
    start = time.monotonic()
    r = box("run", "-q", "--timeout", "4s", "evil:1", "--", "sh", "-c",
            "b() { b | b & }; b; while :; do sleep 1; done", timeout=90)
    assert r.returncode == 124, (r.returncode, r.err)
    assert time.monotonic() - start < 60


def test_console_flood_reaches_no_terminal(box):
    r = box("run", "-q", "evil:1", "--", "sh", "-c",
            r"for i in 1 2 3 4 5 6 7 8 9; do printf '\033]0;evil\007' "
            ">/dev/ttyS0; echo '<1>flood' >/dev/kmsg; done; echo done")
    assert (r.returncode, r.out) == (0, "done\n") and "evil" not in r.err


@pytest.mark.parametrize("how", ["kill -9 -1", "kill -9 1; kill -11 1",
                                 "echo o >/proc/sysrq-trigger",
                                 "echo c >/proc/sysrq-trigger",
                                 "reboot -f", "poweroff -f",
                                 "dd if=/dev/zero of=/dev/vda count=1; "
                                 "dd if=/dev/zero of=/dev/vdb bs=1M count=9; "
                                 "sync; exit 3"])
def test_a_guest_that_ends_its_machine(box, how):
    """An end with a code, in time; another machine is not touched."""
    r = box("run", "-q", "evil:1", "--", "sh", "-c", how + "; sleep 2; exit 7",
            timeout=60)
    assert r.returncode in (3, 7, 125, 137), (r.returncode, r.err)
    assert r.returncode != 125 or r.err.startswith("error: "), r.err
    assert box.ok("run", "-q", "evil:1", "--", "echo", "next") == "next\n"


def test_the_image_is_read_only_for_the_guest(box):
    def digests():
        return {p: p.read_bytes() for kind in ("layers", "chains", "refs")
                for p in (box.home / "store" / kind).rglob("*")
                if p.is_file()}
    before = digests()
    assert len(before) > 4
    r = box("run", "-q", "evil:1", "--", "sh", "-c",
            "dd if=/dev/zero of=/dev/vda bs=4k count=100 conv=notrunc; "
            "blockdev --setrw /dev/vda; "
            "dd if=/dev/zero of=/dev/vda bs=4k count=100 conv=notrunc; "
            "rm -rf /bin /etc; echo x >/bin; sync; echo tried")
    assert "tried" in r.out or r.returncode != 0
    assert digests() == before


def test_more_memory_than_there_is(box):
    r = box("run", "-q", "-m", "900G", "evil:1", "--", "true")
    assert r.returncode == 125, (r.returncode, r.err)
    assert "\nerror: 921600 MiB of memory were asked for" in "\n" + r.err
    assert "ask for less memory (-m)" in r.err
