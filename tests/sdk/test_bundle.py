"""The folder that the SDKs carry (tools/bundle.py): it runs with glibc and nothing else, wherever it is."""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/e2e"))

from lib.cli import Cli  # noqa: E402
from lib.registry import FakeRegistry, make_certificate  # noqa: E402

BUILD = pathlib.Path(os.environ.get("MSB_TEST_BUILD", TOP / "build"))
GLIBC = ("ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6", "libresolv.so.2")


@pytest.fixture(scope="module")
def bare(bundle, tmp_path_factory):
    """A system with glibc, the bundle in /opt/rt, and neither certificates nor a shell."""
    root = tmp_path_factory.mktemp("bare")
    for d in ("lib/x86_64-linux-gnu", "lib64", "opt", "etc/pki/tls/certs", "proc", "dev", "tmp"):
        (root / d).mkdir(parents=True)
    for name in GLIBC:
        shutil.copy(f"/lib/x86_64-linux-gnu/{name}", root / "lib/x86_64-linux-gnu")
    shutil.copy("/lib64/ld-linux-x86-64.so.2", root / "lib64")
    shutil.copytree(bundle, root / "opt/rt")
    return root


def inside(root, *args, **env):
    """Run a program of the bundle with nothing but @root to see."""
    script = 'mount -t proc proc "$0/proc" && touch "$0/dev/null" && mount --bind /dev/null "$0/dev/null" && ' \
             'exec chroot "$0" "$@"'
    rootless = [] if os.geteuid() == 0 else ["--map-root-user"]
    r = subprocess.run(["unshare", "--mount", "--pid", "--fork", *rootless, "sh", "-c", script, root, *args],
                       timeout=60, env={"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "MSB_HOME": "/tmp/home", **env},
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return r.returncode, r.stdout, r.stderr


def test_programs_run_where_only_glibc_is(bare):
    code, out, err = inside(bare, "/opt/rt/msb", "--version")
    assert (code, err) == (0, "") and "0.1.0" in out
    code, out, err = inside(bare, "/opt/rt/msb", "doctor")
    assert code == 1, "no QEMU there"
    for part in ("msb-vmm in /opt/rt", "/opt/rt/vmlinux", "/opt/rt/initramfs.cpio", "msb-tls is there"):
        assert re.search(f"✓ .*{re.escape(part)}", out), (part, out, err)
    assert "✗ qemu" in out or "qemu-system" in out
    assert inside(bare, "/opt/rt/msb", "ls")[0] == 0  # libsqlite3
    for helper in ("msb-vmm", "msb-tls"):  # they want arguments, the loader is content
        code, out, err = inside(bare, f"/opt/rt/{helper}")
        assert code not in (0, 127) and "shared librar" not in err, (helper, err)


def test_a_registry_is_trusted_by_what_another_distribution_trusts(bare, tmp_path):
    pair = make_certificate(str(tmp_path))
    pem = bare / "etc/pki/tls/certs/ca-bundle.crt"
    with FakeRegistry(tls=pair) as fake:
        fake.add("app", "v1", [{"x": b"1"}])
        code, _, err = inside(bare, "/opt/rt/msb", "pull", fake.ref("app"))
        assert code == 1 and "certificate" in err
        shutil.copy(pair[0], pem)
        code, _, err = inside(bare, "/opt/rt/msb", "pull", fake.ref("app"))
        assert code == 0, err
        pem.rename(bare / "tmp/mine.pem")
        code, _, err = inside(bare, "/opt/rt/msb", "pull", "--force", fake.ref("app"), SSL_CERT_FILE="/tmp/mine.pem")
        assert code == 0, err
        code, _, err = inside(bare, "/opt/rt/msb", "pull", "--force", fake.ref("app"), SSL_CERT_FILE="/tmp/none.pem")
        assert code == 1 and "CA" in err, err


def foreign(pid, bundle):
    """Shared libraries of a process that are neither glibc's nor the bundle's."""
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
    files = {line.split(None, 5)[5] for line in maps.splitlines() if ".so" in line}
    return sorted(f for f in files if pathlib.Path(f).name not in GLIBC and not f.startswith(f"{bundle}/"))


def processes(bundle):
    found = {}
    for p in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            exe = os.readlink(p / "exe")
        except OSError:
            continue
        if exe.startswith(f"{bundle}/"):
            found.setdefault(pathlib.Path(exe).name, int(p.name))
    return found


def test_a_machine_runs_from_it(bundle, tmp_path):
    image = subprocess.run([TOP / "tests/images/build.py", "--busybox-only"], check=True, stdout=subprocess.PIPE,
                           text=True).stdout.strip() + "/busybox"
    msb = Cli(bundle, tmp_path / "home", KEY="abc", LD_LIBRARY_PATH=None)
    msb.ok("create", "-q", "--name", "box", "--secret", "KEY@example.com", image)
    try:
        assert msb.ok("exec", "box", "--", "echo", "it runs").strip() == "it runs"
        found = processes(bundle)
        assert {"msb-vmm", "msb-tls"} <= set(found), found
        for name, pid in found.items():
            assert foreign(pid, bundle) == [], name
    finally:
        msb("rm", "-q", "-f", "box")
    end = time.monotonic() + 10
    while processes(bundle) and time.monotonic() < end:
        time.sleep(0.02)
    assert processes(bundle) == {}


def test_libraries_do_not_meet_the_hosts(bundle):
    """A Python that loads ours first still gets its own OpenSSL and SQLite afterwards."""
    program = "import ctypes, sys; l = ctypes.CDLL(sys.argv[1]); l.msb_version.restype = ctypes.c_char_p\n" \
              "print(l.msb_version().decode()); import ssl, sqlite3, zlib\n" \
              "print(*sorted({x.split()[5] for x in open('/proc/self/maps') if '.so' in x}), sep='\\n')"
    r = subprocess.run(["/usr/bin/python3", "-c", program, bundle / "libmicrosandbox.so.0"], check=True,
                       stdout=subprocess.PIPE, text=True).stdout.split()
    assert r[0] == "0.1.0"
    ours = {pathlib.Path(f).name for f in r[1:] if f.startswith(f"{bundle}/")}
    theirs = {pathlib.Path(f).name.split(".so")[0] for f in r[1:] if not f.startswith(f"{bundle}/")}
    assert "libmsb-jansson.so.4" in ours and all(n.startswith(("libmsb-", "libmicrosandbox")) for n in ours)
    assert {"libcrypto", "libssl", "libsqlite3"} <= theirs


POISON = """
#include <dlfcn.h>
#include <microsandbox.h>
#include <stdio.h>
#include <stdlib.h>
#define POISON(name) void name(void); void name(void) { fprintf(stderr, #name "\\n"); abort(); }
POISON(EVP_Digest) POISON(EVP_DigestUpdate) POISON(SSL_CTX_new) POISON(SSL_new) POISON(BIO_new) POISON(ERR_clear_error)
POISON(X509_STORE_new) POISON(inflateInit2_) POISON(inflate) POISON(crc32) POISON(sqlite3_open_v2) POISON(sqlite3_step)
POISON(ZSTD_createDStream) POISON(libssh2_init) POISON(RTMP_Init) POISON(OPENSSL_init_crypto) POISON(RAND_bytes)
int main(int argc, char **argv)
{
	void *l = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	__typeof__(msb_home_open) *open = dlsym(l, "msb_home_open");
	__typeof__(msb_image_pull) *pull = dlsym(l, "msb_image_pull");
	struct msb_pull_opts o = MSB_PULL_OPTS_INIT;
	struct msb_error e = {0};
	struct msb_home *home;
	struct msb_image *image;

	o.ca_certs = argv[4];
	if (open(argv[2], &home, &e) < 0 || pull(home, argv[3], &o, &image, &e) < 0)
		return fprintf(stderr, "%s\\n", e.message), 1;
	return puts("pulled"), argc != 5;
}
"""


def test_what_the_program_exports_does_not_take_its_place(bundle, tmp_path):
    """As node and Electron do: an OpenSSL, a zlib, an SQLite inside that are others'."""
    (tmp_path / "host.c").write_text(POISON)
    subprocess.run(["cc", "-w", "-rdynamic", f"-I{TOP}/include", "-o", tmp_path / "host", tmp_path / "host.c", "-ldl"],
                   check=True)
    pair = make_certificate(str(tmp_path))
    with FakeRegistry(tls=pair) as fake:
        fake.add("app", "v1", [{"x": b"1" * 100_000}])
        r = subprocess.run([tmp_path / "host", bundle / "libmicrosandbox.so.0", tmp_path / "home", fake.ref("app"),
                            pair[0]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (r.returncode, r.stdout, r.stderr) == (0, "pulled\n", "")


def test_what_is_in_it(bundle):
    names = {p.name for p in bundle.iterdir()}
    assert {"libmicrosandbox.so.0", "msb", "msb-vmm", "msb-tls", "vmlinux", "initramfs.cpio", "cmdline",
            "libmsb-curl.so.4", "libmsb-psl.so.5"} <= names
    for p in bundle.iterdir():
        assert not p.is_symlink() and (p.is_dir() or p.stat().st_size)
        if p.name.startswith(("lib", "msb")):
            r = subprocess.run(["readelf", "-dS", p], stdout=subprocess.PIPE, text=True).stdout
            assert "runpath: [$ORIGIN]" in r and ".debug_info" not in r, p.name
    licences = {p.name for p in (bundle / "licenses").iterdir()}
    assert {"microsandbox.txt", "linux.txt", "musl.txt", "libssl3.txt", "libsqlite3-dev.txt", "libcurl4-openssl-dev.txt",
            "GPL-2.txt"} <= licences


def test_what_is_something_else_stays(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/text").write_text("x")
    r = subprocess.run([TOP / "tools/bundle.py", "--build", BUILD, tmp_path / "thesis"], stderr=subprocess.PIPE,
                       text=True)
    assert r.returncode == 1 and "stays" in r.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["thesis"] and (tmp_path / "thesis/text").exists()


def test_the_archive_runs_where_it_is_unpacked(build_dir, bundle, tmp_path):
    """tools/dist.py's: over a prefix of one's own, with its header, its manual and no other libmicrosandbox."""
    subprocess.run([TOP / "tools/dist.py", "--build", build_dir, "--archive-only", "--level", "3", tmp_path / "out"],
                   check=True, stdout=subprocess.DEVNULL)
    (archive,) = (tmp_path / "out").iterdir()
    assert archive.name == "microsandbox-0.1.0-linux-x86_64.tar.zst"
    prefix = tmp_path / "a prefix"
    prefix.mkdir()
    subprocess.run(["tar", "-xf", archive, "--strip-components=1", "-C", prefix], check=True)
    for p in bundle.iterdir():  # made apart from that one
        assert p.is_dir() or p.read_bytes() == (prefix / "lib/microsandbox" / p.name).read_bytes(), p.name
    msb = Cli(prefix / "bin", tmp_path / "home", LD_LIBRARY_PATH=None)
    assert f"msb-vmm in {prefix}/lib/microsandbox" in msb("doctor").out
    assert (prefix / "share/man/man1/msb-run.1").is_file()
    assert (prefix / "share/doc/microsandbox/licenses/linux.txt").is_file()
    program = tmp_path / "v.c"
    program.write_text('#include <microsandbox.h>\n#include <stdio.h>\nint main(void) { puts(msb_version()); }\n')
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "microsandbox"], check=True, stdout=subprocess.PIPE,
                           text=True, env={**os.environ, "PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig")}).stdout
    subprocess.run(["cc", "-o", tmp_path / "v", program, *shlex.split(flags)], check=True)
    assert subprocess.run([tmp_path / "v"], stdout=subprocess.PIPE, text=True).stdout == "0.1.0\n"
