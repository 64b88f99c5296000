"""A running sandbox's files through the library (ctypes): each function, its errors, and guests that mean no good."""
import ctypes as c
import errno
import os
import stat
import time

import pytest

from lib.cli import Cli

IMAGE = "test/busybox:1"
NO_FOLLOW, RECURSIVE, APPEND, EXCLUSIVE, FORCE, NO_REPLACE = 1, 2, 4, 8, 16, 32
READ, WRITE = 1, 2


class Error(c.Structure):
    _fields_ = [("code", c.c_int32), ("sys_errno", c.c_int32), ("message", c.c_char * 1024), ("hint", c.c_char * 512)]


class Info(c.Structure):
    _fields_ = [("size", c.c_size_t), ("path", c.c_char_p), ("target", c.c_char_p), ("mode", c.c_uint32),
                ("uid", c.c_uint32), ("gid", c.c_uint32), ("nlink", c.c_uint32), ("rdev", c.c_uint32),
                ("size_bytes", c.c_uint64), ("mtime_s", c.c_int64), ("mtime_ns", c.c_uint32)]


class Opts(c.Structure):
    _fields_ = [("size", c.c_size_t), ("mode", c.c_int32), ("flags", c.c_uint32), ("permissions", c.c_uint32),
                ("offset", c.c_uint64), ("length", c.c_uint64)]


class Refused(Exception):
    pass


class Files:
    """The functions with exceptions. Strings of errors are long enough whatever their real bounds are."""

    def __init__(self, lib, sandbox):
        self.lib, self.sb = lib, sandbox

    def call(self, name, *args):
        e = c.create_string_buffer(4096)
        f = getattr(self.lib, name)
        f.restype = c.c_int64
        r = f(*args, e)
        if (r if name == "msb_file_get" else c.c_int32(r).value) < 0:
            code, sys_errno = c.c_int32.from_buffer(e).value, c.c_int32.from_buffer(e, 4).value
            self.lib.msb_code_name.restype = c.c_char_p
            raise Refused(self.lib.msb_code_name(code).decode(), errno.errorcode.get(sys_errno),
                          e.raw[8:].split(b"\0")[0].decode())
        return r

    def do(self, name, *args):
        args = [a.encode() if isinstance(a, str) else c.c_uint32(a) if isinstance(a, int) else a for a in args]
        return self.call("msb_file_" + name, self.sb, *args)

    def stat(self, path, flags=0):
        i = Info(size=c.sizeof(Info))
        self.do("stat", path, flags, c.byref(i))
        return i

    def list(self, path):
        p = c.c_void_p()
        self.do("list", path, c.byref(p))
        self.lib.msb_file_list_count.restype = c.c_size_t
        self.lib.msb_file_list_get.restype = c.POINTER(Info)
        found = [self.lib.msb_file_list_get(p, c.c_size_t(i)).contents.path
                 for i in range(self.lib.msb_file_list_count(p))]
        self.lib.msb_file_list_free(p)
        return found

    def read(self, path, most=0):
        data, n = c.c_void_p(), c.c_size_t()
        self.do("read", path, c.c_size_t(most), c.byref(data), c.byref(n))
        out = c.string_at(data, n.value)
        assert c.string_at(data.value + n.value, 1) == b"\0"
        self.lib.msb_free(data)
        return out

    def write(self, path, content, mode=0, flags=0):
        self.do("write", path, content, c.c_size_t(len(content)), mode, flags)

    def open(self, path, mode, **kw):
        f, o = c.c_void_p(), Opts(size=c.sizeof(Opts), mode=mode, **kw)
        self.do("open", path, c.byref(o), c.byref(f))
        return f

    def get(self, f, n=1 << 16):
        b = c.create_string_buffer(n)
        got = self.call("msb_file_get", f, b, c.c_size_t(n))
        return b.raw[:got]

    def put(self, f, content):
        self.call("msb_file_put", f, content, c.c_size_t(len(content)))

    def finish(self, f):
        self.call("msb_file_finish", f)

    def close(self, f):
        self.lib.msb_file_close.restype = None
        self.lib.msb_file_close(f)


@pytest.fixture(scope="module")
def cli(build_dir, busybox_image, tmp_path_factory):
    x = Cli(build_dir, tmp_path_factory.mktemp("files") / "home")
    x.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    x.ok("create", "-q", "-n", "box", IMAGE)
    yield x
    x("rm", "-q", "-f", "box")


@pytest.fixture(scope="module")
def files(build_dir, cli):
    lib = c.CDLL(str(build_dir / "libmicrosandbox.so"))
    for name in ("msb_file_list_get", "msb_file_list_count", "msb_file_list_free", "msb_free", "msb_file_close"):
        getattr(lib, name).argtypes = None
    home, sb = c.c_void_p(), c.c_void_p()
    f = Files(lib, sb)
    f.call("msb_home_open", str(cli.home).encode(), c.byref(home))
    f.call("msb_sandbox_open", home, b"box", c.byref(sb))
    yield f
    lib.msb_sandbox_free.restype = lib.msb_home_free.restype = None
    lib.msb_sandbox_free(sb)
    lib.msb_home_free(home)


def sh(cli, script):
    return cli.ok("exec", "box", "--", "sh", "-c", script)


def refused(code, sys_errno, f, *args, **kw):
    with pytest.raises(Refused) as e:
        f(*args, **kw)
    assert e.value.args[:2] == (code, sys_errno), e.value.args
    return e.value.args[2]


def test_write_read_and_stat(cli, files):
    files.write("/tmp/f", b"\0content\xff", 0o640)
    assert files.read("/tmp/f") == b"\0content\xff"
    i = files.stat("/tmp/f")
    assert (i.path, stat.S_ISREG(i.mode), i.mode & 0o7777, i.size_bytes) == (b"/tmp/f", True, 0o640, 9)
    assert abs(i.mtime_s - time.time()) < 3600
    files.write("tmp/f", b"+", flags=APPEND)
    assert sh(cli, "wc -c </tmp/f").strip() == "10"
    sh(cli, "chown 5:6 /tmp/f; chmod 604 /tmp/f; ln -s f /tmp/l")
    files.write("/tmp/l", b"new")
    i = files.stat("/tmp/l")
    assert (i.uid, i.gid, i.mode & 0o777, i.size_bytes) == (5, 6, 0o604, 3)
    i = files.stat("/tmp/l", NO_FOLLOW)
    assert stat.S_ISLNK(i.mode) and i.target == b"f"
    files.write("/tmp/empty", b"")
    assert files.read("/tmp/empty") == b""
    refused("exists", "EEXIST", files.write, "/tmp/f", b"", flags=EXCLUSIVE)
    refused("not_found", "ENOENT", files.write, "/no/f", b"")
    refused("not_found", "ENOENT", files.read, "/no")
    refused("io", "EISDIR", files.read, "/tmp")
    refused("no_space", "ENOSPC", files.read, "/tmp/f", 2)
    assert files.read("/proc/version").startswith(b"Linux")


def test_names(cli, files):
    files.do("mkdir", "/tmp/d/e/f", 0o700, RECURSIVE)
    files.do("mkdir", "/tmp/d/e/f", 0, RECURSIVE)
    refused("exists", "EEXIST", files.do, "mkdir", "/tmp/d", 0, 0)
    files.write("/tmp/d/b\n", b"")
    files.write("/tmp/d/a", b"x")
    assert files.list("/tmp/d") == [b"a", b"b\n", b"e"]
    refused("not_found", "ENOTDIR", files.list, "/tmp/d/a")
    files.do("rename", "/tmp/d/a", "/tmp/d/z", 0)
    refused("exists", "EEXIST", files.do, "rename", "/tmp/d/z", "/tmp/d/b\n", NO_REPLACE)
    files.do("chmod", "/tmp/d/z", 0o4750)
    files.do("chown", "/tmp/d/z", 7, 8, 0)
    files.do("symlink", "z", "/tmp/d/s")
    assert sh(cli, "stat -c '%a %u:%g' /tmp/d/z; readlink /tmp/d/s").split() == ["750", "7:8", "z"]
    files.do("copy", "/tmp/d", "/tmp/copy")
    assert files.list("/tmp/copy") == [b"b\n", b"e", b"s", b"z"]
    refused("invalid", "EINVAL", files.do, "copy", "/tmp/d", "/tmp/d/e")
    refused("io", "ENOTEMPTY", files.do, "remove", "/tmp/d", 0)
    files.do("remove", "/tmp/d/z", 0)
    files.do("remove", "/tmp/d", RECURSIVE)
    refused("not_found", "ENOENT", files.do, "remove", "/tmp/d", RECURSIVE)
    files.do("remove", "/tmp/d", FORCE)
    for root in ("/", "", ".", "/tmp/..", "//"):
        refused("invalid", "EINVAL", files.do, "remove", root, RECURSIVE | FORCE)
    sh(cli, "mkdir /tmp/m; mount -t tmpfs t /tmp/m; echo x >/tmp/m/f")
    refused("busy", "EBUSY", files.do, "remove", "/tmp/m", RECURSIVE)
    assert sh(cli, "cat /tmp/m/f; umount /tmp/m") == "x\n"
    assert sh(cli, "echo alive") == "alive\n"


def test_streams(cli, files):
    f = files.open("/tmp/big", WRITE, permissions=0o600)
    block = os.urandom(1 << 20)
    for _ in range(8):
        files.put(f, block)
    assert "big" not in sh(cli, "ls /tmp")
    files.finish(f)
    files.close(f)
    assert sh(cli, "stat -c '%a %s' /tmp/big") == f"600 {8 << 20}\n"
    f = files.open("/tmp/big", READ, offset=(1 << 20) - 10, length=20)
    assert files.get(f) == block[-10:] + block[:10] and files.get(f) == b"" and files.get(f) == b""
    files.close(f)
    f = files.open("/tmp/dropped", WRITE)
    files.put(f, block)
    files.close(f)
    end = time.monotonic() + 30
    while sh(cli, "ls -A /tmp | grep -c msb- || true") != "0\n":
        assert time.monotonic() < end
    assert "dropped" not in sh(cli, "ls /tmp")


def test_what_would_never_end(cli, files):
    sh(cli, "cd /tmp; mkfifo p; ln -s p lp; mknod z c 1 5; ln -s /proc/1/root/etc/passwd root")
    for path in ("/tmp/p", "/tmp/lp", "/tmp/z", "/dev/zero"):
        assert "not a regular file" in refused("invalid", "EINVAL", files.read, path)
        refused("invalid", "EINVAL", files.write, path, b"x")
        refused("invalid", "EINVAL", files.write, path, b"x", flags=APPEND)
    # the guest's own /proc, never ours
    assert files.read("/tmp/root") == files.read("/etc/passwd")
    sh(cli, "truncate -s 1099511627776 /tmp/huge; printf end | dd of=/tmp/huge bs=1 seek=1099511627000 conv=notrunc")
    refused("no_space", "ENOSPC", files.read, "/tmp/huge")
    f = files.open("/tmp/huge", READ, offset=1099511627000 - 5, length=10)
    assert files.get(f) == b"\0" * 5 + b"end\0\0" and files.get(f) == b""
    files.close(f)
    sh(cli, "(while [ ! -e /tmp/stop ]; do echo 0123456789 >>/tmp/grows; done) >/dev/null 2>&1 & "
            "until [ -s /tmp/grows ]; do sleep 0.1; done")
    for _ in range(5):
        assert files.read("/tmp/grows").startswith(b"0123456789\n")
    files.write("/tmp/stop", b"")


def test_a_full_disk(cli, files):
    sh(cli, "mkdir -p /tmp/s; mount -t tmpfs -o size=64k t /tmp/s")
    files.write("/tmp/s/f", b"old")
    f = files.open("/tmp/s/f", WRITE)
    with pytest.raises(Refused) as e:
        for _ in range(100):
            files.put(f, b"x" * 65536)
        files.finish(f)
    assert e.value.args[:2] == ("no_space", "ENOSPC")
    files.close(f)
    assert files.read("/tmp/s/f") == b"old"
    sh(cli, "umount /tmp/s")


def test_a_single_file_that_is_mounted_is_written_to(cli, files):
    sh(cli, "echo below >/tmp/below; echo over >/tmp/over; mount -o bind /tmp/over /tmp/below")
    files.write("/tmp/below", b"written")
    assert sh(cli, "cat /tmp/over; umount /tmp/below; cat /tmp/below") == "writtenbelow\n"


def test_when_the_sandbox_has_gone(cli, build_dir, files):
    lib, home, sb = files.lib, c.c_void_p(), c.c_void_p()
    cli.ok("create", "-q", "-n", "brief", IMAGE)
    f = Files(lib, sb)
    f.call("msb_home_open", str(cli.home).encode(), c.byref(home))
    f.call("msb_sandbox_open", home, b"brief", c.byref(sb))
    stream = f.open("/bin/busybox", READ)
    assert len(f.get(stream, 100)) == 100
    cli.ok("kill", "-q", "brief")
    with pytest.raises(Refused) as e:
        while f.get(stream):
            pass
    assert e.value.args[0] == "gone", e.value.args
    refused("gone", "ESHUTDOWN", f.stat, "/")
    f.close(stream)
    lib.msb_sandbox_free(sb)
    lib.msb_home_free(home)
    cli.ok("rm", "-q", "-f", "brief")
