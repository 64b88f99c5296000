"""Sessions that are left with build/msb-vmm and taken back, the log that they go into, ping and numbers."""
import contextlib
import errno
import json
import os
import socket
import time

import pytest

from lib import proto, vmm
from lib.vmm import Client, Machine, wait_until

STDOUT, STDERR, OUTPUT, CONSOLE, SYSTEM = 1, 2, 4, 8, 16


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return vmm.root_disk(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def shared(root, tmp_path_factory):
    """One machine for all tests that do not end it."""
    m = Machine(tmp_path_factory.mktemp("shared"), root)
    m.vmm.ready()
    yield m
    m.close()


@pytest.fixture
def client(shared):
    c = Client(shared.path)
    c.ready()
    yield c
    c.close()


@pytest.fixture
def machine(root, tmp_path):
    machines = []

    def make(**settings):
        machines.append(Machine(tmp_path, root, **settings))
        machines[-1].engine = machines[-1].vmm.expect("VMM_STARTED")
        machines[-1].vmm.expect("VMM_READY")
        return machines[-1]

    yield make
    for m in machines:
        m.close()


def sh(line, script, **values):
    """A command that has started."""
    s = line.run(["sh", "-c", script], **values)
    started = s.recv()
    assert started["type"] == "STARTED", started
    return s


def rest_of(stream):
    """(output, exit code) of a session to its end."""
    out = b""
    while True:
        m = stream.recv()
        assert m, "no EXITED"
        if m["type"] == "EXITED":
            stream.sock.close()
            return out, m["code"] if not m["signo"] else 128 + m["signo"]
        out += m.get("data", b"")


def stranger():
    """A stream that is no session of the guest's, and our end of it."""
    ours, theirs = socket.socketpair()
    return ours, proto.Stream(theirs)


def test_a_kept_command_goes_on_and_the_log_has_all_of_it(shared, client):
    s = sh(client, "for i in 1 2 3; do echo out $i; sleep 0.3; done; echo bad >&2; exit 3")
    assert client.keep(s, 11) == 0
    wait_until(lambda: b"exited with code 3" in shared.log(SYSTEM, 11), 20, "it did not end")
    assert shared.log(STDOUT, 11) == b"out 1\nout 2\nout 3\n"
    assert shared.log(STDERR, 11) == b"bad\n"
    assert shared.lives()
    assert client.take(11) == (errno.ENOENT, None)


def test_output_of_a_terminal_is_marked_so(shared, client):
    assert client.keep(sh(client, "echo x; sleep 0.2; echo y", tty=1), 12, tty=1) == 0
    wait_until(lambda: b"exited with code 0" in shared.log(SYSTEM, 12), 20, "it did not end")
    assert shared.log(OUTPUT, 12).replace(b"\r", b"") == b"x\ny\n"


def test_it_is_taken_back_with_input_and_output_whole(shared, client):
    s = sh(client, "cat; exit 4", want_stdin=1)
    s.send("STDIN", data=b"one\n")
    assert client.keep(s, 13, want_stdin=1, unacked=4) == 0
    wait_until(lambda: shared.log(STDOUT, 13) == b"one\n", 20, "its output is not in the log")
    other = Client(shared.path)
    other.ready()
    taken, s = other.take()  # the only one
    assert (taken["session"], taken["is_main"], taken["want_stdin"], taken["unacked"]) == (13, 0, 1, 0)
    assert other.take(13) == (errno.ENOENT, None)
    s.send("STDIN", data=b"two\n")
    s.send("STDIN", data=b"")
    assert rest_of(s) == (b"two\n", 4)
    other.close()


def test_a_frame_that_was_cut_is_put_together(shared, client):
    ours, s = stranger()
    frame = proto.encode("STDOUT", data=b"0123456789")
    s.data = frame[:7]
    assert client.keep(s, 14) == 0
    ours.sendall(frame[7:] + frame + frame[:11])
    wait_until(lambda: shared.log(STDOUT, 14) == b"0123456789" * 2, 10, "it is not whole")
    taken, s = client.take(14)
    assert taken["rest"] == frame[:11]
    ours.sendall(frame[11:])
    assert s.recv()["data"] == b"0123456789"


def test_input_that_the_command_takes_later_is_counted(client):
    s = sh(client, "sleep 1; cat > /dev/null; sleep 100", want_stdin=1)
    for _ in range(4):
        s.send("STDIN", data=bytes(32768))
    unacked, end = 4 * 32768, time.monotonic() + 30
    while unacked == 4 * 32768:
        assert time.monotonic() < end, "nothing is counted"
        assert client.keep(s, 15, want_stdin=1, unacked=unacked) == 0
        time.sleep(2)
        taken, s = client.take(15)
        unacked = taken["unacked"]
    assert unacked < 4 * 32768
    s.sock.close()


FRAMES = {
    "nothing known": b"garbage that is no frame",
    "too long": b"\xff\xff\x0f\0\x15\0\0\0",
    "a length that lies": proto.frame(21, b"\xff\xff\0\0x"),
    "not of an agent": proto.encode("STDIN", data=b"x"),
    "twice started": proto.encode("STARTED", pid=1),
    "confirms too much": proto.encode("STDIN_ACK", count=5),
    "no exit code": proto.encode("EXITED", code=256, signo=0),
    "no signal": proto.encode("EXITED", code=0, signo=65),
}


@pytest.mark.parametrize("what", FRAMES)
def test_a_breach_ends_that_session_only(shared, client, what):
    session = 100 + list(FRAMES).index(what)
    ours, s = stranger()
    assert client.keep(s, session, unacked=4) == 0
    ours.sendall(proto.encode("STDOUT", data=b"before") + FRAMES[what])
    ours.settimeout(10)
    try:
        assert ours.recv(1) == b""
    except ConnectionResetError:
        pass
    assert shared.log(STDOUT, session) == b"before"
    assert client.ask("VMM_PING", "VMM_PONG", cookie=3)["cookie"] == 3


def test_what_cannot_be_kept_is_refused_and_closed(client):
    def refused(error, session, **values):
        ours, s = stranger()
        assert client.keep(s, session, **values) == error
        ours.settimeout(10)
        assert ours.recv(1) == b""

    refused(errno.EINVAL, 0)
    refused(errno.EINVAL, 20, unacked=proto.STDIN_WINDOW + 1)
    mine, s = stranger()
    assert client.keep(s, 21, is_main=0) == 0
    refused(errno.EEXIST, 21)
    wrong = proto.Stream(socket.socketpair(type=socket.SOCK_SEQPACKET)[0])
    assert client.keep(wrong, 22) == errno.EINVAL
    file = proto.Stream(socket.socket(fileno=os.dup(client.control.fileno())))
    assert client.keep(file, 23) == errno.EINVAL
    taken, s = client.take(21)
    assert taken["session"] == 21
    mine.close()
    s.sock.close()


def test_there_is_a_limit_and_room_again(client):
    kept = []
    for i in range(64):
        kept.append(stranger())
        assert client.keep(kept[i][1], 1000 + i) == 0
    ours, s = stranger()
    assert client.keep(s, 2000) == errno.EMFILE
    assert client.take() == (errno.ENOENT, None)  # which one?
    kept[5][0].close()
    wait_until(lambda: client.keep(stranger()[1], 2001) == 0, 10, "no room after one ended")
    for mine, _ in kept:
        mine.close()
    ours.close()


def test_ping_answers_who_asked(shared, client):
    other = Client(shared.path)
    other.ready()
    assert client.ask("VMM_PING", "VMM_PONG", cookie=2 ** 64 - 1)["cookie"] == 2 ** 64 - 1
    for i in range(40):
        assert other.ask("VMM_PING", "VMM_PONG", cookie=i)["cookie"] == i
    with pytest.raises(TimeoutError):
        client.recv(0.2)
    other.close()


def test_numbers_grow_with_what_is_done(client):
    a = client.stats()
    assert a["cookie"] == 7 and a["cpus"] == 1 and a["memory_bytes"] == 256 << 20 and a["sessions"] == 0
    assert 0 < a["memory_resident_bytes"] <= 257 << 20 and a["uptime_ns"] > 0 and a["disk_reads"] > 0
    s = sh(client, "dd if=/dev/zero of=/tmp/x bs=1M count=40 2>/dev/null; cat /bin/busybox | md5sum; cat", want_stdin=1)
    assert s.recv()["type"] == "STDOUT"
    b = client.stats()
    assert b["sessions"] == 1
    assert b["memory_resident_bytes"] >= a["memory_resident_bytes"] + (20 << 20)
    for key in ("cpu_ns", "uptime_ns", "time_ns"):
        assert b[key] > a[key], key
    assert b["cpu_ns"] - a["cpu_ns"] < 8 * (b["time_ns"] - a["time_ns"])
    s.sock.close()
    client.exec(["rm", "/tmp/x"])
    # The guest gives it back by itself; how much is seen as it shrinks.
    wait_until(lambda: client.stats()["memory_resident_bytes"] < b["memory_resident_bytes"] - (20 << 20), 60,
               "the memory does not come back")
    assert client.stats()["memory_returned_bytes"] >= 20 << 20


def test_the_log_is_bounded(shared, client):
    assert client.keep(sh(client, "head -c 20000000 /dev/zero; echo end"), 30) == 0
    wait_until(lambda: b"exited with code 0" in shared.log(SYSTEM, 30), 60, "it did not end")
    assert all(8 << 20 >= p.stat().st_size for p in shared.logs)
    assert shared.log(STDOUT, 30).endswith(b"end\n")


def test_the_machine_ends_with_its_main_command(machine):
    m = machine()
    s = sh(m.vmm, "sleep 4; echo done; exit 7")
    assert m.vmm.keep(s, 5, is_main=1) == 0
    assert m.vmm.keep(stranger()[1], 6, is_main=1) == errno.EBUSY
    m.leave()
    c = Client(m.path)
    c.ready()
    exited = c.expect("VMM_EXITED", 60)
    assert (exited["reason"], exited["exit_code"]) == ("exited", 7)
    end = m.ended()
    assert (end["reason"], end["message"], end["exit_code"]) == ("exited", "", 7)
    assert m.log(STDOUT, 5) == b"done\n"
    marks = m.log(SYSTEM).decode().splitlines()
    assert marks[:3] == ["detached", f"started engine={m.engine['engine']} accel={m.engine['accel']}", "ready"], marks
    assert marks[3:] == ["kept as the main command", "kept as the main command", "cannot be kept: Device or resource busy",
                         "exited with code 7", "stopping: exited", "ended: exited"], marks


def test_it_ends_with_it_also_while_somebody_has_it(machine):
    m = machine()
    s = sh(m.vmm, "read x; exit 9", want_stdin=1)
    assert m.vmm.keep(s, 5, is_main=1, want_stdin=1) == 0
    taken, s = m.vmm.take()
    assert taken["is_main"] == 1
    assert m.vmm.keep(s, 5, is_main=1, want_stdin=1) == 0  # there and back
    taken, s = m.vmm.take(5)
    s.send("STDIN", data=b"go\n")
    assert rest_of(s) == (b"", 9)
    end = m.ended()
    assert (end["reason"], end["exit_code"]) == ("exited", 9)


def test_it_ends_when_who_took_the_main_one_dies(machine):
    m = machine()
    s = sh(m.vmm, "echo $$; exec sleep 1000")
    assert m.vmm.keep(s, 5, is_main=1) == 0
    m.leave()
    c = Client(m.path)
    c.ready()
    _, s = c.take()
    c.close()
    time.sleep(1)
    assert m.lives()  # its line is not the session
    s.sock.close()
    end = m.ended()
    assert (end["reason"], end["exit_code"]) == ("poweroff", -1)


def test_a_stop_is_called_so_and_has_the_code(machine):
    m = machine()
    s = sh(m.vmm, "sleep 1000")
    assert m.vmm.keep(s, 5, is_main=1) == 0
    m.vmm.send("VMM_STOP", timeout_ms=5000)
    exited = m.vmm.expect("VMM_EXITED", 60)
    assert exited["reason"] == "poweroff" and exited["exit_code"] == 143


def test_a_ping_is_no_need(machine):
    m = machine(idle_timeout_s=2)
    pings, begin = 0, time.monotonic()
    with contextlib.suppress(ConnectionError):
        while pings < 50:
            m.vmm.send("VMM_PING", cookie=pings)
            m.vmm.send("VMM_STATS", cookie=pings)
            pings += 1
            time.sleep(0.2)
    assert pings < 50 and time.monotonic() - begin > 1.5
    assert m.ended()["reason"] == "idle_timeout"


def test_a_kept_session_is_need_enough(machine):
    m = machine(idle_timeout_s=2)
    assert m.vmm.keep(sh(m.vmm, "sleep 5"), 5) == 0
    m.leave()
    time.sleep(4)
    assert m.lives()
    assert m.ended()["reason"] == "idle_timeout"


def test_the_console_is_in_the_log_by_lines(machine):
    m = machine(cmdline=vmm.cmdline().replace("loglevel=5", "loglevel=7"))
    assert m.vmm.exec(["sh", "-c", "echo one line > /dev/kmsg; sleep 1"])[0] == 0
    wait_until(lambda: b"one line" in m.log(CONSOLE), 10, "it is not there")
    lines = [data for source, _, data in vmm.records(*m.logs) if source == CONSOLE]
    assert all(data.endswith(b"\n") for data in lines), lines
    assert json.loads(m.end.read_text() or "{}") == {}
