"""Machines that outlive who started them: build/msb-vmm's listening socket, lock, record of the end, time limits."""
import json
import os
import signal
import socket
import time

import pytest

from lib import proto, vmm
from lib.vmm import Client, Machine, Vmm, is_gone, wait_until


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return vmm.root_disk(tmp_path_factory.mktemp("root"))


@pytest.fixture
def machine(root, tmp_path):
    machines = []

    def make(**settings):
        machines.append(Machine(tmp_path, root, **settings))
        return machines[-1]

    yield make
    for m in machines:
        m.close()


def test_it_outlives_its_creator_and_serves_others(machine):
    m = machine()
    m.vmm.ready()
    m.leave()
    first, second = Client(m.path), Client(m.path)
    for c in (first, second):
        assert c.ready()["jail"]
    assert first.exec(["echo", "one"]) == (0, b"one\n", b"")
    first.close()
    assert second.exec(["echo", "two"]) == (0, b"two\n", b"")
    assert m.lives() and not is_gone(m.vmm.pid)
    second.send("VMM_STOP", timeout_ms=5000)
    assert second.expect("VMM_EXITED")["reason"] == "poweroff"
    assert m.vmm.wait() == 0
    assert not m.lives()
    end = json.loads(m.end.read_text())
    assert end["reason"] == "poweroff" and end["message"] == ""
    assert abs(end["ended_ms"] / 1000 - time.time()) < 60


def test_who_joins_while_it_starts_hears_the_rest(machine):
    m = machine()
    c = Client(m.path)
    c.ready()
    m.vmm.ready()
    assert c.exec(["true"])[0] == 0


def test_an_attached_one_dies_with_its_creator_whoever_else_is_there(machine):
    m = machine(detached=False)
    m.vmm.ready()
    c = Client(m.path)
    c.ready()
    m.leave()
    assert c.recv() is None
    m.vmm.wait()
    assert not m.lives()
    assert json.loads(m.end.read_text())["reason"] == "killed"


def test_anybody_may_detach_it(machine):
    m = machine(detached=False)
    m.vmm.ready()
    c = Client(m.path)
    c.ready()
    c.send("VMM_DETACH", zero=0)
    c.ask("VMM_PING", "VMM_PONG", cookie=1)  # in order: it was heard
    m.leave()
    assert c.exec(["echo", "on"]) == (0, b"on\n", b"")


def test_one_that_nobody_could_reach_cannot_be_detached(root):
    m = Vmm(vmm.INITRAMFS, [("root", True, root)])
    m.send("VMM_DETACH", zero=0)
    m.ready()
    m.control.close()
    assert m.wait() == 0
    m.close()


@pytest.mark.parametrize("garbage", [b"", b"x", b"\0" * 8, b"\xff" * 256, b"y" * 4096,
                                     proto.encode("VMM_EXITED", reason="", message="", console=b"", exit_code=0)])
def test_a_client_that_breaks_the_rules_goes_alone(machine, garbage):
    m = machine()
    m.vmm.ready()
    bad, good = Client(m.path), Client(m.path)
    bad.ready()
    good.ready()
    if garbage:
        bad.control.send(garbage)
    else:
        bad.control.shutdown(socket.SHUT_WR)
    assert bad.recv() is None
    assert good.exec(["echo", "x"]) == (0, b"x\n", b"")


def test_there_is_a_limit_of_clients_and_room_again(machine):
    m = machine()
    m.vmm.ready()
    clients = [Client(m.path) for _ in range(63)]
    for c in clients:
        c.ready()
    late = Client(m.path)
    assert late.recv() is None
    clients[5].close()

    def joins():
        c = Client(m.path)
        heard = c.recv()
        if heard:
            clients.append(c)
        return heard

    wait_until(joins, 20, "no room after one left")
    assert clients[0].exec(["echo", "x"]) == (0, b"x\n", b"")
    for c in clients:
        c.close()


def test_nobody_for_so_long_ends_it(machine):
    m = machine(idle_timeout_s=2)
    m.vmm.ready()
    m.leave()
    c = Client(m.path)
    c.ready()
    start = time.monotonic()
    assert c.exec(["sleep", "3"])[0] == 0  # a session counts as need
    assert m.lives()
    assert c.expect("VMM_EXITED")["reason"] == "idle_timeout"
    assert time.monotonic() - start > 4.5
    m.vmm.wait()
    assert json.loads(m.end.read_text())["reason"] == "idle_timeout"


def test_touch_holds_it(machine):
    m = machine(idle_timeout_s=4)
    m.vmm.ready()
    for _ in range(6):
        time.sleep(1)
        m.vmm.send("VMM_TOUCH", zero=0)
    assert m.lives()
    assert m.vmm.expect("VMM_EXITED")["reason"] == "idle_timeout"


def test_its_age_ends_it_whoever_works_in_it(machine):
    m = machine(max_duration_s=2)
    m.vmm.ready()
    session = m.vmm.run(["sleep", "100"])
    assert m.vmm.expect("VMM_EXITED")["reason"] == "max_duration"
    session.sock.close()


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_signals(machine, sig):
    m = machine()
    m.vmm.ready()
    m.leave()
    os.kill(m.vmm.pid, sig)
    m.vmm.wait()
    assert not m.lives()
    text = m.end.read_text()
    assert text == "" if sig == signal.SIGKILL else json.loads(text)["reason"] == "poweroff"


def test_a_failed_start_is_written_down(machine, root):
    m = machine(boot_timeout_ms=100)
    assert m.vmm.failed()["stage"] == "boot"
    assert json.loads(m.end.read_text())["reason"] == "failed"
    assert not m.lives()


@pytest.mark.parametrize("key", ["listen_fd", "lock_fd", "end_fd"])
def test_a_descriptor_of_the_wrong_kind_is_named(root, key):
    wrong = os.open("/dev/null", os.O_RDWR)
    m = Vmm(vmm.INITRAMFS, [("root", True, root)], files={key: wrong})
    assert key in m.failed()["message"]
    m.close()
