"""Commands: run to their end, or followed event by event."""
# Written by tools/make_sync.py from ../_aio/exec.py. Do not edit.

from __future__ import annotations

from .. import _check as check
from .. import _native
from .._exec import KEPT, MAX_OUTPUT, PIECE, Collector, Command, Deadline, Feeder, Plan
from ..errors import ExecFailedError, ExecTimeoutError, OperationTimeoutError
from ._run import Turn, sleep, wait_readable, watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Callable, Optional, Union

    from ..results import ExecEvent, ExecOutput
    from ..types import Data, Seconds


KILL_SECONDS = 5.0  # from SIGKILL to the news of it
PAUSE = 0.01
NEVER = Deadline(None)


def run_command(sandbox: _native.Handle, plan: Plan, limit: int = MAX_OUTPUT) -> ExecOutput:
    """Start it, feed it, collect what it writes. Whoever is cancelled in here kills it."""
    command = Command.start(sandbox, plan)
    deadline = Deadline(plan.timeout)
    collector, feeder = Collector(limit), Feeder(plan.input)
    command.collector = collector

    def step() -> bool:
        command.drain()
        feeder.feed(command)  # behind that: what was taken may be that there is room again
        return command.ended

    try:
        feeder.feed(command)
        if not watch(command.fd, step, deadline.left()):
            raise timed_out(plan.timeout, collector.output(command))
        command.raise_failure()
        return collector.output(command)
    finally:
        command.close()


def timed_out(timeout: Optional[float], output: Optional[ExecOutput]) -> ExecTimeoutError:
    error = ExecTimeoutError(f"the command was killed after {timeout:g} s")
    error.output = output
    return error


class ExecSink:
    """The standard input of a command."""

    def __init__(self, handle: ExecHandle) -> None:
        self._handle = handle

    def write(self, data: Union[Data, str]) -> None:
        """All of it; waits while the command does not take it. After its end it is dropped."""
        self._handle._write(check.data(data, "data"))

    def close(self) -> None:
        """The command reads the end of its input."""
        self._handle._close_stdin()

    def __enter__(self) -> ExecSink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ExecHandle:
    """A command that runs: an iterator of its events.

    Dropping it, or close(), kills the command; detach() lets it go on. One thread at a time gets
    an event; others may write to it, signal it and wait for its end meanwhile.
    """

    def __init__(self, command: Command, plan: Optional[Plan] = None) -> None:
        self._command = command
        self._session, self._tty = command.session, command.tty
        self._turn = Turn()
        self._readers = 0  # iterators that may still want what has been read ahead
        self._pipe = plan is not None and plan.pipe
        self._feeder = Feeder(plan.input if plan else None)
        self._timeout = plan.timeout if plan else None
        self._deadline = Deadline(self._timeout)
        self._late = False

    @property
    def id(self) -> int:
        """Its session, as logs and Sandbox.attach_session() know it."""
        return self._session

    @property
    def tty(self) -> bool:
        return self._tty

    @property
    def exit_code(self) -> Optional[int]:
        """128+n when signal n ended it; None while it is not known."""
        return self._command.exit_code

    # ---- events

    def _pump(self, done: Callable[[], bool], until: Deadline = NEVER) -> bool:
        """Take events until done() or the end; False: neither came in time."""
        command, turn = self._command, self._turn
        while True:
            seen = turn.news  # before we look
            if done() or command.ended:
                break
            if until.over():
                return False
            if not turn.take(seen):
                continue
            news = False
            try:
                self._feeder.feed(command)
                news = command.drain()
                if not news:
                    limit = until.earlier(self._deadline)
                    if not wait_readable(command.fd, limit) and self._deadline.over():
                        self._expire()
            finally:
                turn.leave(news)
        if self._deadline.over() and not command.ended:
            self._expire()
        return True

    def _expire(self) -> None:
        """Its time is over: what comes now is its end."""
        if self._late:  # the guest did not even say that it is dead
            self._command.close()
            return
        self._late, self._deadline = True, Deadline(KILL_SECONDS)
        self._command.kill()

    def recv(self, timeout: Optional[Seconds] = None) -> Optional[ExecEvent]:
        """The next event; None when there will be nothing more. OperationTimeoutError when none
        came within the time."""
        command = self._command
        until = NEVER if timeout is None else Deadline(check.seconds(timeout, "timeout"))
        while True:
            event = command.pop()
            if event is not None:
                return event
            if command.ended:
                break
            if not self._pump(lambda: bool(command.events), until):
                raise OperationTimeoutError("the command has nothing to tell yet")
        if self._late:
            raise timed_out(self._timeout, None)
        if not isinstance(command.error, ExecFailedError):  # of that an event has told
            command.raise_failure()
        return None

    def __iter__(self) -> Iterator[ExecEvent]:
        return _Events(self)

    def wait(self, timeout: Optional[Seconds] = None) -> int:
        """Its exit code, 128+n for signal n. Output that no iterator waits for is dropped.
        OperationTimeoutError when it still runs after `timeout`; it runs on then."""
        command = self._command
        until = NEVER if timeout is None else Deadline(check.seconds(timeout, "timeout"))

        def ready() -> bool:
            if not self._readers:
                command.drop_output()
            return False

        if not self._pump(ready, until):
            raise OperationTimeoutError("the command still runs")
        ready()
        if self._late:
            raise timed_out(self._timeout, None)
        command.raise_failure()
        return command.exit_code if command.exit_code is not None else -1

    def collect(self, max_output: int = MAX_OUTPUT) -> ExecOutput:
        """Wait for its end; what it writes from now on."""
        collector = Collector(check.integer(max_output, "max_output", 1, check.I64))
        command = self._command

        def ready() -> bool:
            collector.take(command)
            return False

        self._pump(ready)
        ready()
        if self._late:
            raise timed_out(self._timeout, collector.output(command))
        command.raise_failure()
        return collector.output(command)

    # ---- input

    def take_stdin(self) -> Optional[ExecSink]:
        """Its input, once, when it was started with Stdin.pipe(); else None."""
        if not self._pipe:
            return None
        self._pipe = False
        return ExecSink(self)

    def _write(self, data: bytes) -> None:
        command, at = self._command, 0
        while at < len(data):
            n = command.write(data[at : at + PIECE])
            at += n
            if n == 0:
                self._pump(lambda: command.writable or command.kept > KEPT)
                if command.kept > KEPT:  # somebody has to read, as with a pipe
                    sleep(PAUSE)

    def _close_stdin(self) -> None:
        if not self._command.ended:
            self._command.quick("msb_exec_close_stdin")

    # ---- control

    def signal(self, number: int) -> None:
        """To the command's process group."""
        n = check.integer(number, "signal", 1, 64)
        if not self._command.ended:
            self._command.quick("msb_exec_signal", n)

    def kill(self) -> None:
        """SIGKILL."""
        self._command.kill()

    def resize(self, rows: int, cols: int) -> None:
        """Of its terminal."""
        r = check.integer(rows, "rows", 1, check.U16)
        c = check.integer(cols, "cols", 1, check.U16)
        if not self._command.ended:
            self._command.quick("msb_exec_resize", r, c)

    def detach(self) -> int:
        """It goes on without this process, its output goes to the logs. Its session."""
        self._pump(lambda: self._command.started)
        self._command.quick("msb_exec_detach")
        self._command.close()
        return self._session

    def close(self) -> None:
        """A command that still runs is killed."""
        if not _native.forked():
            self._command.kill()
            self._command.close()

    def __enter__(self) -> ExecHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Events:
    """An iterator of events: while it is there, nobody drops them."""

    def __init__(self, handle: ExecHandle) -> None:
        self._handle = handle
        handle._readers += 1

    def __iter__(self) -> _Events:
        return self

    def __next__(self) -> ExecEvent:
        event = self._handle.recv()
        if event is None:
            raise StopIteration
        return event

    def __del__(self) -> None:
        self._handle._readers -= 1
