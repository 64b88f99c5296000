"""The guest's agent under load: it answers at once. Driven at msb-vmm."""
import threading
import time

import pytest

from lib import vmm
from lib.vmm import Vmm

LIMIT = 3  # seconds: on a busy host under emulation the usual answer takes 0.05
PINGS = 30


@pytest.mark.parametrize("init", [[], ["/bin/init"]], ids=["process 1", "beside an init"])
def test_ping_is_answered_while_the_guest_is_busy(tmp_path, init):
    """Eight loops on one CPU, three commands that write as fast as they are read, one that nobody reads."""
    m = Vmm(vmm.INITRAMFS, [("root", True, vmm.root_disk(tmp_path))], init=init)
    m.ready()
    busy = [m.run(["sh", "-c", "while :; do :; done"]) for _ in range(8)]
    floods = [m.run(["cat", "/dev/zero"]) for _ in range(4)]
    assert [s.recv()["type"] for s in busy + floods] == ["STARTED"] * 12
    over = threading.Event()

    def drain(session):
        while not over.is_set() and session.recv():
            time.sleep(0.001)

    readers = [threading.Thread(target=drain, args=(s,)) for s in floods[1:]]
    for r in readers:
        r.start()
    try:
        for cookie in range(1, PINGS + 1):
            start = time.monotonic()
            m.send("VMM_PING", cookie=cookie)
            assert m.expect("VMM_PONG", LIMIT)["cookie"] == cookie
            assert time.monotonic() - start < LIMIT
    finally:
        over.set()
        for r in readers:
            r.join()
        m.close()
