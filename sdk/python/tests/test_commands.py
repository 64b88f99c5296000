"""Commands: run, followed, fed, stopped; and no loop ever waits for them."""
import asyncio
import gc
import threading
import time

import pytest

from microsandbox import (
    ExecFailedError,
    ExecTimeoutError,
    InvalidConfigError,
    OperationTimeoutError,
    Stdin,
)


def running(box, word):
    """Commands of the guest with a word in them."""
    return box.shell(f"ps | grep -v grep | grep -c '{word}'").stdout_text.strip()


def gone(box, word, seconds=60):
    end = time.monotonic() + seconds
    while running(box, word) != "0":
        assert time.monotonic() < end, f"{word} still runs"
        time.sleep(0.1)


def test_both_surfaces_run_commands(box, live, run):
    async def main():
        sandbox = await live()
        return await sandbox.exec("sh", ["-c", "echo out; echo err >&2; exit 3"])

    a, b = run(main), box.exec("sh", ["-c", "echo out; echo err >&2; exit 3"])
    assert a == b
    assert (a.stdout_text, a.stderr_text, a.exit_code, a.success) == ("out\n", "err\n", 3, False)


def test_output_past_the_limit_is_cut_and_said(box):
    o = box.exec("seq", ["100000"], max_output=10)
    assert (len(o.stdout_bytes), o.truncated_stdout, o.truncated_stderr, o.success) == (10, True, False, True)


def test_input_that_is_large_comes_back(box, live, run):
    data = bytes(range(256)) * 8192  # 2 MiB

    async def main():
        return await (await live()).exec("cat", stdin=data)

    assert run(main).stdout_bytes == data
    assert box.exec("cat", stdin=data).stdout_bytes == data


def test_input_that_nobody_reads_is_dropped(box):
    assert box.exec("true", stdin=b"x" * 3_000_000).success


def test_a_pipe_of_a_collected_command_is_refused(box):
    with pytest.raises(InvalidConfigError, match="exec_stream"):
        box.exec("cat", stdin=Stdin.pipe())


def test_time_limits_kill(box, live, run):
    async def main(limit):
        with pytest.raises(ExecTimeoutError) as e:
            await (await live()).shell("echo so far; sleep 1001", timeout=limit)
        return e.value.output.stdout_text

    # A busy host may need longer for the first word.
    assert "so far\n" in (run(main, limit) for limit in (0.5, 5, 30))
    with pytest.raises(ExecTimeoutError):
        box.exec("sleep", ["1001"], timeout=0.2)
    handle = box.exec_stream("sleep", ["1001"], timeout=0.3)
    with pytest.raises(ExecTimeoutError):
        handle.wait()
    gone(box, "sleep 1001")


def test_what_never_ran(box):
    with pytest.raises(ExecFailedError) as e:
        box.exec("no-such-program")
    assert (e.value.stage, e.value.errno) == ("exec", 2)
    events = list(box.exec_stream("no-such-program"))
    assert [x.event_type for x in events] == ["failed"] and events[0].errno == 2
    with pytest.raises(ExecFailedError):
        box.exec_stream("no-such-program").wait()


def test_cancellation_kills_the_command(box, live, run):
    async def main():
        sandbox = await live()
        task = asyncio.ensure_future(sandbox.exec("sleep", ["1002"]))
        await asyncio.sleep(0.5)
        start = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - start < 10  # of 1002
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(sandbox.exec("sleep", ["1002"]), 0.3)

    run(main)
    gone(box, "sleep 1002")


def test_a_cancelled_stream_goes_on_when_it_is_asked_again(live, run):
    async def main():
        handle = await (await live()).shell_stream("read x; echo late", stdin=Stdin.pipe())
        assert (await handle.recv()).event_type == "started"
        task = asyncio.ensure_future(handle.recv())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(OperationTimeoutError):
            await handle.recv(timeout=0.01)
        await handle.take_stdin().write(b"\n")
        return [e.event_type for e in [x async for x in handle]]

    assert run(main) == ["stdout", "exited"]


def test_a_dropped_stream_is_killed(box, live, run):
    async def main():
        handle = await (await live()).exec_stream("sleep", ["1003"])
        await handle.recv()
        task = asyncio.ensure_future(handle.wait())
        await asyncio.sleep(0.1)
        task.cancel()
        del handle, task
        gc.collect()

    run(main)
    gone(box, "sleep 1003")


def test_reading_writing_and_waiting_at_once(live, run):
    data = b"0123456789abcdef" * 65536  # 1 MiB

    async def main():
        handle = await (await live()).exec_stream("cat", stdin=Stdin.pipe())
        sink = handle.take_stdin()
        assert handle.take_stdin() is None

        async def write():
            async with sink:
                for at in range(0, len(data), 10_000):
                    await sink.write(data[at : at + 10_000])

        async def read():
            return b"".join([e.data async for e in handle])

        _, got, code = await asyncio.gather(write(), read(), handle.wait())
        assert got == data and code == 0

    run(main)


def test_three_threads_read_write_and_wait(box):
    """What one takes of the command's news is what another one waits for."""
    data = b"0123456789abcdef" * 65536  # 1 MiB
    for _ in range(10):
        handle = box.exec_stream("cat", stdin=Stdin.pipe())
        sink, events, got, codes = handle.take_stdin(), iter(handle), [], []

        def write():
            with sink:
                for at in range(0, len(data), 10_000):
                    sink.write(data[at : at + 10_000])

        work = (write, lambda: got.extend(e.data for e in events), lambda: codes.append(handle.wait()))
        threads = [threading.Thread(target=w, daemon=True) for w in work]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
            assert not t.is_alive(), "one waits for what another one took"
        assert b"".join(got) == data and codes == [0]


def test_wait_after_a_broken_off_iteration(box):
    handle = box.shell_stream("echo a; seq 20000; exit 4")
    for event in handle:
        if event.event_type == "stdout":
            break
    assert handle.wait() == 4 and handle.wait() == 4
    assert [e.event_type for e in handle] == ["exited"] and list(handle) == []


def test_signals_and_terminals(box):
    handle = box.exec_stream("sh", ["-c", "stty size; read x; stty size"], tty=True, stdin=Stdin.pipe(), rows=30, cols=99)
    sink, seen = handle.take_stdin(), ""
    for event in handle:
        seen += event.text
        if "30 99" in seen and "40 50" not in seen and "done" not in seen:
            handle.resize(40, 50)
            sink.write("\n")
            seen += "done"
    assert "40 50" in seen and handle.tty
    handle = box.exec_stream("sleep", ["1004"])
    handle.recv()
    handle.signal(15)
    assert handle.wait() == 128 + 15 and handle.exit_code == 143


def test_detach_and_attach(box):
    handle = box.shell_stream("read x; echo got $x; exit 5", stdin=Stdin.pipe())
    session = handle.detach()
    back = box.attach_session(session)
    assert back.id == session
    back.kill()
    assert back.wait() == 137


def test_the_loop_goes_on_while_commands_run(live, run):
    async def main():
        sandbox, late, stop = await live(), [], False

        async def tick():
            while not stop:
                before = time.monotonic()
                await asyncio.sleep(0.01)
                late.append(time.monotonic() - before - 0.01)

        ticker = asyncio.ensure_future(tick())
        await asyncio.gather(
            sandbox.exec("sleep", ["0.5"]),
            sandbox.exec("cat", stdin=b"x" * 4_000_000),
            sandbox.fs.write("/tmp/f", b"x" * 4_000_000),
            sandbox.metrics(),
            sandbox.ping(),
        )
        stop = True
        await ticker
        return sorted(late)

    late = run(main)
    assert late[len(late) // 2] < 0.05, late
    assert late[-1] < 0.5, late  # a host that emulates its guest is busy, but nothing waits


def test_loops_one_after_another_and_beside_each_other(live, run):
    async def main():
        return (await (await live()).exec("echo", ["x"])).stdout_text

    assert [run(main) for _ in range(3)] == ["x\n"] * 3
    got = []
    threads = [threading.Thread(target=lambda: got.append(asyncio.run(main()))) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert got == ["x\n"] * 4


class NoReaders(asyncio.SelectorEventLoop):
    """A loop that cannot watch descriptors of others."""

    def add_reader(self, *_):
        raise NotImplementedError

    def _make_self_pipe(self):
        import socket

        self._ssock, self._csock = socket.socketpair()
        self._ssock.setblocking(False)
        self._csock.setblocking(False)
        self._internal_fds += 1
        self._add_reader(self._ssock.fileno(), self._read_from_self)


def test_a_loop_that_watches_no_descriptors(box):
    from microsandbox import Sandbox

    async def main():
        sandbox = await Sandbox.open(box.name)
        assert (await sandbox.exec("cat", stdin=b"abc")).stdout_text == "abc"
        handle = await sandbox.shell_stream("echo 1; sleep 0.3; echo 2")
        assert "".join([e.text async for e in handle]) == "1\n2\n"
        with pytest.raises(ExecTimeoutError):
            await sandbox.exec("sleep", ["1005"], timeout=0.3)
        task = asyncio.ensure_future(sandbox.exec("sleep", ["1005"]))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    loop = NoReaders()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
    gone(box, "sleep 1005")


def test_many_commands_at_once(box, live, run):
    async def main():
        sandbox = await live()
        outs = await asyncio.gather(*(sandbox.exec("echo", [str(i)]) for i in range(20)))
        return [o.stdout_text for o in outs]

    assert run(main) == [f"{i}\n" for i in range(20)]
    got = [None] * 8

    def work(i):
        got[i] = box.exec("echo", [str(i)]).stdout_text

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert got == [f"{i}\n" for i in range(8)]


def test_logs_and_metrics_are_streams(box, live, run):
    async def main():
        sandbox = await live()
        stream = sandbox.log_stream(follow=True)
        await sandbox.exec("echo", ["a line for the log"])
        async with stream:
            async for entry in stream:
                if entry.text == "a line for the log\n":
                    break
        samples = []
        async for m in sandbox.metrics_stream(0.1):
            samples.append(m)
            if len(samples) == 3:
                break
        async for m in await sandbox.metrics_stream(interval=0):  # as the peer has it
            samples.append(m)
            break
        return samples

    samples = run(main)
    assert [s.time_ns for s in samples] == sorted(s.time_ns for s in samples)
    assert all(s.cpu_percent >= 0 and s.memory_bytes > 0 for s in samples)
    assert any(e.text == "a line for the log\n" for e in box.logs(tail=100))
