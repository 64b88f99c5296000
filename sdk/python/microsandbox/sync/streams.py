"""What goes on by itself: metrics, logs, the progress of a creation."""
# Written by tools/make_sync.py from ../_aio/streams.py. Do not edit.

from __future__ import annotations

from .. import _check as check
from .. import _ffi, _native, _ops, _ops_files
from .._pack import sized
from ..errors import GoneError, MicrosandboxError
from ._run import Channel, Task, run, sleep, start, wait_readable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Callable, Generator, Sequence
    from typing import Any, Optional

    from ..results import LogEntry, Metrics, PullEvent
    from ..types import LogReadSource, Seconds, StrPath
    from .sandbox import Sandbox


class MetricsStream:
    """Metrics of a sandbox, one sample after each interval, until it ends."""

    def __init__(self, sandbox: Sandbox, interval: Seconds) -> None:
        self._sandbox = sandbox
        self._interval = check.seconds(interval, "interval")
        self._before: Optional[Metrics] = None


    def __iter__(self) -> Iterator[Metrics]:
        return self

    def __next__(self) -> Metrics:
        if self._before is not None:
            sleep(self._interval)
        try:
            self._before = run(_ops.metrics, self._sandbox._handle, self._before)
        except GoneError:
            raise StopIteration from None
        return self._before


def log_options(
    sources: Optional[Sequence[LogReadSource]],
    tail: Optional[int],
    since: Optional[float],
    until: Optional[float],
    session: Optional[int],
    follow: bool,
    since_ms: Optional[float] = None,
    until_ms: Optional[float] = None,
) -> _ffi.msb_log_opts:
    o = sized(_ffi.msb_log_opts)
    for source in check.sequence(sources, "sources") if sources is not None else ():
        o.sources |= check.choice(source, "sources", _ops_files.READ_SOURCES)
    if tail is not None:
        o.tail = check.integer(tail, "tail", 1, check.U64)
    since = since if since_ms is None else check.seconds(since_ms, "since_ms") / 1000
    until = until if until_ms is None else check.seconds(until_ms, "until_ms") / 1000
    if since is not None:
        o.since_ms = check.milliseconds(since, "since", check.I64)
    if until is not None:
        o.until_ms = check.milliseconds(until, "until", check.I64)
    if session is not None:
        o.session = check.integer(session, "session", 1, check.U64)
    o.follow = int(check.flag(follow, "follow"))
    return o


class LogStream:
    """Entries of the logs, oldest first; when following, until the machine has ended."""

    def __init__(self, home: Optional[StrPath], name: bytes, options: _ffi.msb_log_opts) -> None:
        self._home = home
        self._name = name
        self._options = options
        self._logs: Optional[_native.Handle] = None
        self._batch: list[LogEntry] = []
        self._at = 0
        self._ended = False


    def __iter__(self) -> Iterator[LogEntry]:
        return self

    def __next__(self) -> LogEntry:
        while self._at >= len(self._batch):
            if self._ended:
                self.close()
                raise StopIteration
            self._read()
        self._at += 1
        return self._batch[self._at - 1]

    def _read(self) -> None:
        if self._logs is None:
            self._logs = run(_ops_files.logs_open, self._home, self._name, self._options)
        self._batch, ended = run(_ops_files.logs_next, self._logs)
        self._at = 0
        if self._batch:
            return
        if ended or not self._options.follow:
            self._ended = True
        else:
            wait_readable(_ops_files.logs_fd(self._logs), 1.0)

    def close(self) -> None:
        self._ended = True
        if self._logs is not None:
            run(self._logs.close)

    def __enter__(self) -> LogStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class PullSession:
    """A creation that tells how far the pull has come."""

    def __init__(
        self,
        create: Callable[[Callable[[PullEvent], object]], _native.Handle],
        made: Callable[[_native.Handle], Sandbox],
        undo: Callable[[_native.Handle], object],
    ) -> None:
        self._channel: Channel[PullEvent] = Channel()
        self._made = made
        self._undo = undo
        self._sandbox: Optional[Sandbox] = None

        def work() -> _native.Handle:
            try:
                return create(self._channel.put)
            finally:
                self._channel.put(None)

        self._task: Task[_native.Handle] = start(work, undo=undo)

    @property
    def progress(self) -> PullProgress:
        """Events of the pull, until the creation has ended."""
        return PullProgress(self._channel)

    def result(self) -> Sandbox:
        """The sandbox, once it is ready."""
        if self._sandbox is None:
            self._sandbox = self._made(self._task.result())
        return self._sandbox

    def cancel(self) -> None:
        """End it; result() raises."""
        self._task.cancel()

    def __enter__(self) -> PullSession:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None and self._sandbox is None:
            self.cancel()
            try:
                made = self._task.result()
            except MicrosandboxError:
                return
            run(self._undo, made)  # it was faster


class PullProgress:
    """An iterator of pull events."""

    def __init__(self, channel: Channel[PullEvent]) -> None:
        self._channel = channel

    def __iter__(self) -> Iterator[PullEvent]:
        return self

    def __next__(self) -> PullEvent:
        event = self._channel.get()
        if event is None:
            self._channel.put(None)  # for who asks again
            raise StopIteration
        return event
