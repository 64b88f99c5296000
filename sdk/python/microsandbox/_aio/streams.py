"""What goes on by itself: metrics, logs, the progress of a creation."""

from __future__ import annotations

from .. import _check as check
from .. import _ffi, _native, _ops, _ops_files
from .._pack import sized
from ..errors import GoneError, MicrosandboxError
from ._run import Channel, Task, run, sleep, start, wait_readable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Sequence
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

    def __await__(self) -> Generator[Any, None, MetricsStream]:  # async only
        return self  # async only
        yield  # async only

    def __aiter__(self) -> AsyncIterator[Metrics]:
        return self

    async def __anext__(self) -> Metrics:
        if self._before is not None:
            await sleep(self._interval)
        try:
            self._before = await run(_ops.metrics, self._sandbox._handle, self._before)
        except GoneError:
            raise StopAsyncIteration from None
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

    def __await__(self) -> Generator[Any, None, LogStream]:  # async only
        return self  # async only
        yield  # async only

    def __aiter__(self) -> AsyncIterator[LogEntry]:
        return self

    async def __anext__(self) -> LogEntry:
        while self._at >= len(self._batch):
            if self._ended:
                await self.close()
                raise StopAsyncIteration
            await self._read()
        self._at += 1
        return self._batch[self._at - 1]

    async def _read(self) -> None:
        if self._logs is None:
            self._logs = await run(_ops_files.logs_open, self._home, self._name, self._options)
        self._batch, ended = await run(_ops_files.logs_next, self._logs)
        self._at = 0
        if self._batch:
            return
        if ended or not self._options.follow:
            self._ended = True
        else:
            await wait_readable(_ops_files.logs_fd(self._logs), 1.0)

    async def close(self) -> None:
        self._ended = True
        if self._logs is not None:
            await run(self._logs.close)

    async def __aenter__(self) -> LogStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


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

    async def result(self) -> Sandbox:
        """The sandbox, once it is ready."""
        if self._sandbox is None:
            self._sandbox = self._made(await self._task.result())
        return self._sandbox

    def cancel(self) -> None:
        """End it; result() raises."""
        self._task.cancel()

    async def __aenter__(self) -> PullSession:
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        if kind is not None and self._sandbox is None:
            self.cancel()
            try:
                made = await self._task.result()
            except MicrosandboxError:
                return
            await run(self._undo, made)  # it was faster


class PullProgress:
    """An iterator of pull events."""

    def __init__(self, channel: Channel[PullEvent]) -> None:
        self._channel = channel

    def __aiter__(self) -> AsyncIterator[PullEvent]:
        return self

    async def __anext__(self) -> PullEvent:
        event = await self._channel.get()
        if event is None:
            self._channel.put(None)  # for who asks again
            raise StopAsyncIteration
        return event
