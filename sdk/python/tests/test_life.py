"""Sandboxes come and go: by whom they are dropped, cancelled, killed, forked, left open."""
import asyncio
import gc
import os
import pathlib
import signal
import socket
import threading
import time

import pytest
from conftest import machines

import microsandbox
from microsandbox import (
    GoneError,
    InvalidConfigError,
    OperationCancelledError,
    Sandbox,
    SandboxAlreadyExistsError,
    SandboxNotFoundError,
    SandboxNotRunningError,
    SandboxStillRunningError,
    sync,
)


def none_left(before, seconds=30):
    end = time.monotonic() + seconds
    while set(machines()) - set(before):
        assert time.monotonic() < end, "a machine is left"
        time.sleep(0.05)


def test_a_block_leaves_nothing(image, run):
    before = machines()

    async def main():
        async with await Sandbox.create("block", image=image, memory=64) as sandbox:
            assert sandbox.state == "running" and sandbox.owns_lifecycle
            with pytest.raises(SandboxAlreadyExistsError):
                await Sandbox.create("block", image=image, memory=64)
            with pytest.raises(SandboxStillRunningError):
                await Sandbox.remove("block")
        with pytest.raises(GoneError):
            await sandbox.exec("true")
        with pytest.raises(SandboxNotFoundError):
            await Sandbox.inspect("block")

    run(main)
    none_left(before)


def test_a_kept_one_comes_back(image, run):
    async def main():
        first = await Sandbox.create("kept", image=image, memory=64, labels={"a": "b"})
        await first.fs.write("/root/x", "kept")
        end = asyncio.ensure_future(first.wait())
        await first.stop()
        assert (await end).state == "stopped"
        with pytest.raises(SandboxNotRunningError):
            await first.exec("true")
        record = await Sandbox.get("kept")
        assert record.status == "stopped" and record.labels == {"a": "b"}
        for labels, count in (({"a": "b"}, 1), (["a"], 1), ({"a": "c"}, 0), (["a=b", "c"], 0)):
            assert len(await Sandbox.list_with(labels=labels)) == count
        async with await record.start() as again:
            assert await again.fs.read_text("/root/x") == "kept"
            snapshot = None
            with pytest.raises(SandboxStillRunningError):
                snapshot = await again.snapshot("snap")
            assert snapshot is None
        assert (await record.refresh()).status == "stopped"
        assert (await record.snapshot("snap")).source_sandbox == "kept"
        async with await Sandbox.create("forked", from_snapshot="snap", memory=64) as other:
            assert await other.fs.read_text("/root/x") == "kept"
        await microsandbox.Snapshot.remove("snap")
        await record.remove()

    run(main)


def test_a_detached_one_lives_on_without_its_handle(image):
    sandbox = sync.Sandbox.create("apart", image=image, memory=64, detached=True)
    assert not sandbox.owns_lifecycle
    sandbox.close()
    del sandbox
    gc.collect()
    with sync.Sandbox.open("apart") as again:
        assert again.exec("echo", ["there"]).stdout_text == "there\n"
    assert sync.Sandbox.get("apart").status == "running"
    sync.Sandbox.remove("apart", force=True)


def test_handles_go_in_any_order(image):
    """A sandbox with commands, files and logs of it; each order of dropping them."""
    before = machines()
    for order in range(3):
        sandbox = sync.Sandbox.create(image=image, memory=64)
        command = sandbox.exec_stream("sleep", ["100"])
        file = sandbox.fs.read_stream("/bin/busybox")
        file.read(10)
        sink = sandbox.fs.write_stream("/tmp/never")
        sink.write(b"x")
        logs = sandbox.log_stream(follow=True)
        handles = [sandbox, command, file, sink, logs]
        del sandbox, command, file, sink, logs
        if order == 1:
            handles.reverse()
        if order == 2:  # a ring, dropped by the collector in another thread
            handles.append(handles)
            del handles
            t = threading.Thread(target=gc.collect)
            t.start()
            t.join()
        else:
            while handles:
                handles.pop()
        none_left(before)


def test_death_in_mid_stream(image, run):
    async def main():
        sandbox = await Sandbox.create(image=image, memory=64)
        info = await Sandbox.inspect(sandbox.name)
        handle = await sandbox.shell_stream("while :; do echo x; sleep 0.05; done")
        waits = [
            asyncio.ensure_future(sandbox.exec("sleep", ["100"])),
            asyncio.ensure_future(sandbox.shell("cat", stdin=microsandbox.Stdin.null())),
        ]
        sink = await sandbox.fs.write_stream("/tmp/f")
        seen = 0
        with pytest.raises(SandboxNotRunningError):
            async for event in handle:
                seen += event.event_type == "stdout"
                if seen == 3:
                    os.kill(info.pid, signal.SIGKILL)
                    seen = 4
        assert seen >= 4
        with pytest.raises(SandboxNotRunningError):
            await waits[0]
        assert (await waits[1]).success  # it had ended before
        with pytest.raises(GoneError):
            await sink.write(b"x" * (1 << 20))
            await sink.close()
        with pytest.raises(GoneError):
            await sandbox.exec("true")
        with pytest.raises(GoneError):
            await sandbox.metrics()
        assert [m async for m in sandbox.metrics_stream(0)] == []
        assert sandbox.state == "crashed"  # as on record
        await sandbox.close()

    run(main)


def test_a_cancelled_creation_leaves_nothing(image, run):
    before = machines()

    async def main():
        start = time.monotonic()
        sandbox = await Sandbox.create(image=image, memory=64)
        whole = time.monotonic() - start  # of a creation on this host, now; the next one may be much quicker
        await sandbox.close()
        cut = 0
        for part in (0, 0.02, 0.05, 0.1, 0.3, 0.6, 0.9):
            task = asyncio.ensure_future(Sandbox.create("cut", image=image, memory=64))
            await asyncio.sleep(part * whole)
            start = time.monotonic()
            task.cancel()
            try:
                sandbox = await task
            except asyncio.CancelledError:
                cut += 1
                assert time.monotonic() - start < 10
            else:
                await sandbox.remove_persisted()  # it was quicker
            with pytest.raises(SandboxNotFoundError):
                await Sandbox.inspect("cut")
        assert cut >= 3

    run(main)
    none_left(before)


class SlowRegistry(threading.Thread):
    """Takes connections and never answers."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.asked = threading.Event()
        self.open = []

    def run(self):
        while True:
            try:
                self.open.append(self.socket.accept()[0])
            except OSError:
                return
            self.asked.set()


@pytest.fixture
def slow_registry():
    registry = SlowRegistry()
    registry.start()
    yield registry
    registry.socket.close()
    for s in registry.open:
        s.close()


def test_a_cancelled_pull_ends_at_once(slow_registry, run):
    async def main():
        reference = f"127.0.0.1:{slow_registry.port}/a/b"
        task = asyncio.ensure_future(microsandbox.Image.pull(reference, insecure=True))
        while not slow_registry.asked.is_set():
            await asyncio.sleep(0.01)
        start = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - start < 10  # it never answers
        assert not [i for i in await microsandbox.Image.list() if i.reference.startswith("127")]

    run(main)


def test_ctrl_c_ends_what_the_plain_surface_waits_for(slow_registry, program):
    code = """
        import os, signal, sys, threading, time
        from microsandbox.sync import Image, Sandbox
        def interrupt():
            time.sleep(1)
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=interrupt, daemon=True).start()
        start = time.monotonic()
        try:
            Image.pull(sys.argv[1], insecure=True)
        except KeyboardInterrupt:
            print("pull", time.monotonic() - start < 15)
        with Sandbox.create(image=os.environ["MSB_TEST_IMAGE"], memory=64) as sandbox:
            threading.Thread(target=interrupt, daemon=True).start()
            try:
                sandbox.exec("sleep", ["100"])
            except KeyboardInterrupt:
                print("exec", sandbox.exec("echo", ["on"]).stdout_text.strip())
            threading.Thread(target=interrupt, daemon=True).start()
            try:
                sandbox.wait()
            except KeyboardInterrupt:
                print("wait", sandbox.state)
    """
    said = program(code, f"127.0.0.1:{slow_registry.port}/a/b").stdout.splitlines()
    assert said == ["pull True", "exec on", "wait running"]


def test_progress_and_who_stops_it(image, run, tmp_path):
    class Enough(Exception):
        pass

    def stop(event):
        raise Enough(event.event_type)

    home = str(tmp_path / "home")
    with pytest.raises(Enough):
        sync.Image.pull(image, progress=stop, home=home)
    assert sync.Image.list(home=home) == []
    seen = []
    sync.Image.pull(image, progress=seen.append, home=home)
    assert seen[-1].event_type == "done" and seen[0].reference

    async def main():
        session = Sandbox.create_with_progress(image=image, memory=64, pull_policy="always")
        async with session:
            events = [e.event_type async for e in session.progress]
            sandbox = await session.result()
        assert await session.result() is sandbox
        await sandbox.close()
        return events

    assert run(main)[-1] == "done"
    with sync.Sandbox.create_with_progress(image=image, memory=64) as session:
        assert list(session.progress)
        session.result().close()
    with pytest.raises(RuntimeError), sync.Sandbox.create_with_progress(image=image, memory=64):
        raise RuntimeError("nobody wants it any more")
    with pytest.raises(OperationCancelledError):
        session = sync.Sandbox.create_with_progress(image=image, memory=64)
        session.cancel()
        session.result()


def test_an_exit_with_everything_open(program, image):
    before = machines()
    code = """
        import asyncio, os, sys
        from microsandbox import Sandbox
        from microsandbox import sync
        image = os.environ["MSB_TEST_IMAGE"]
        kept = sync.Sandbox.create("left", image=image, memory=64)
        other = sync.Sandbox.create(image=image, memory=64)
        command = kept.exec_stream("sleep", ["1000"])
        logs = kept.log_stream(follow=True)
        import threading
        threading.Thread(target=lambda: other.exec("sleep", ["1000"]), daemon=True).start()
        threading.Thread(target=lambda: next(logs), daemon=True).start()
        async def main():
            asyncio.ensure_future((await Sandbox.open("left")).exec("sleep", ["1000"]))
            asyncio.ensure_future((await Sandbox.open("left")).wait())
            await asyncio.sleep(0.5)
        asyncio.run(main())
        task = asyncio.new_event_loop()
        print("open", flush=True)
    """
    start = time.monotonic()
    r = program(code)
    assert r.stdout == "open\n" and r.stderr == "", r.stderr
    assert time.monotonic() - start < 60
    none_left(before)
    assert sync.Sandbox.get("left").status in ("stopped", "crashed")
    sync.Sandbox.remove("left")
    assert sync.Sandbox.list() == []


def test_a_fork_is_noticed(program):
    before = machines()
    code = """
        import asyncio, gc, os, sys
        import microsandbox
        from microsandbox import errors, sync
        sandbox = sync.Sandbox.create(image=os.environ["MSB_TEST_IMAGE"], memory=64)
        command = sandbox.exec_stream("sleep", ["1000"])
        pid = os.fork()
        if pid == 0:
            said = []
            for call in (lambda: sandbox.exec("true"), lambda: sync.Sandbox.list(), lambda: sandbox.state,
                         lambda: asyncio.run(microsandbox.Sandbox.list()), lambda: command.signal(9)):
                try:
                    call()
                except errors.ForkedError as e:
                    said.append(e.hint != "")
            del command
            sandbox.close()
            del sandbox
            gc.collect()
            os.write(1, repr(said).encode() + b"\\n")
            sys.exit(0)  # with its atexit functions
        assert os.waitpid(pid, 0)[1] == 0
        print(sandbox.exec("echo", ["lives"]).stdout_text, command.id > 0, flush=True)
    """
    said = program(code).stdout.split("\n", 1)
    assert said[0] == "[True, True, True, True, True]" and said[1].startswith("lives"), said
    none_left(before)


def test_errors_hold_no_handles(image):
    """An exception that somebody keeps must not keep a machine."""
    before, kept = machines(), []

    def work():
        sandbox = sync.Sandbox.create(image=image, memory=64)
        try:
            sandbox.exec("no-such-program")
        except microsandbox.ExecFailedError as e:
            kept.append(e.with_traceback(None))
        sandbox.close()

    work()
    none_left(before)
    assert kept


def test_home_is_an_option(image, tmp_path):
    home = tmp_path / "other"
    with sync.Sandbox.create("there", image=image, memory=64, home=home) as sandbox:
        assert [s.name for s in sync.Sandbox.list(home=home)] == ["there"]
        assert "there" not in [s.name for s in sync.Sandbox.list()]
        assert sandbox.logs() == []
    assert sync.home_path(home=home) == str(home)
    with pytest.raises(InvalidConfigError):
        sync.Sandbox.list(home="")


def test_many_sandboxes_of_one_process(image, run, capsys):
    """8, or MSB_TEST_MANY."""
    count = int(os.environ.get("MSB_TEST_MANY", "8"))
    before = machines()

    async def main():
        start = time.monotonic()
        gate = asyncio.Semaphore(8)  # boots at once: they are emulated

        async def one(i):
            async with gate:
                return await Sandbox.create(image=image, memory=64, boot_timeout=600)

        boxes = await asyncio.gather(*(one(i) for i in range(count)))
        made = time.monotonic() - start
        outs = await asyncio.gather(*(b.exec("echo", [str(i)]) for i, b in enumerate(boxes)))
        assert [o.stdout_text for o in outs] == [f"{i}\n" for i in range(count)]
        status = pathlib.Path("/proc/self/status").read_text()
        memory = next(x for x in status.splitlines() if x.startswith("VmRSS"))
        threads = next(x for x in status.splitlines() if x.startswith("Threads"))
        resident = [(await b.metrics()).memory_resident_bytes >> 20 for b in boxes]
        del outs
        start = time.monotonic()
        await asyncio.gather(*(b.close() for b in boxes))
        print(f"{count} sandboxes: made in {made:.1f} s, closed in {time.monotonic() - start:.1f} s, "
              f"this process: {memory.split()[1]} KiB, {threads.split()[1]} threads; "
              f"a guest holds {sum(resident) // count} MiB")

    asyncio.run(main())
    with capsys.disabled():
        print("\n" + capsys.readouterr().out.strip())
    none_left(before, 60)
