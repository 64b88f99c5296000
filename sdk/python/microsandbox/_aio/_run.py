"""How asyncio waits: for calls in threads, for descriptors, for each other."""

from __future__ import annotations

import select
import threading
import time
from collections import deque

from .. import _pool

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from typing import Any, Callable, Generic, Optional, TypeVar

    T = TypeVar("T")
else:
    T = None

    class _Generic:
        def __class_getitem__(cls, _):
            return cls

    Generic = {T: _Generic}

    class _Lazy:
        """asyncio, when it is needed: who has a loop has it already."""

        def __getattr__(self, name):
            global asyncio
            import asyncio

            return getattr(asyncio, name)

    asyncio = _Lazy()

SLICE = 0.05  # where a loop cannot watch descriptors, how late we may see an end


class Task(Generic[T]):
    """A call in a thread."""

    def __init__(
        self,
        function: Callable[..., T],
        *args: Any,
        undo: Optional[Callable[[T], object]] = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._future = self._loop.create_future()
        self._undo = undo
        self._ended = False
        self._job = _pool.submit(function, args, self._finished)

    def _finished(self) -> None:  # in the thread
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            pass  # the loop was closed: nobody waits any more

    def _wake(self) -> None:
        self._ended = True
        if not self._future.done():
            self._future.set_result(None)

    @property
    def cancelled(self) -> bool:
        return self._job.cancelled

    def cancel(self) -> None:
        """End what it waits for; result() raises what comes of that."""
        self._job.cancel()

    async def result(self) -> T:
        """Wait for it. When the task that waits is cancelled, so is the call, really: the
        cancellation goes on when the call has ended, which takes 0.2 s at most."""
        if not self._ended:
            try:
                await self._future
            except asyncio.CancelledError:
                self._job.cancel()
                await self._until_ended()
                await self._undone()
                raise
        value: T = self._job.result()
        return value

    async def _until_ended(self) -> None:
        while not self._ended:
            self._future = self._loop.create_future()
            try:
                await self._future
            except asyncio.CancelledError:
                pass  # it is being cancelled

    async def _undone(self) -> None:
        """It was done before the cancellation came: what it made is not wanted."""
        if self._undo is None or self._job.error is not None:
            return
        undo: Task[object] = Task(self._undo, self._job.value)
        await undo._until_ended()


async def run(function: Callable[..., T], *args: Any) -> T:
    """A call that waits, in a thread."""
    task: Task[T] = Task(function, *args)
    return await task.result()


def start(
    function: Callable[..., T], *args: Any, undo: Optional[Callable[[T], object]] = None
) -> Task[T]:
    """A call that goes on beside."""
    return Task(function, *args, undo=undo)


async def sleep(seconds: float) -> None:
    await asyncio.sleep(seconds)


def _set(future: asyncio.Future[bool], value: bool) -> None:
    if not future.done():
        future.set_result(value)


async def wait_readable(fd: int, timeout: Optional[float] = None) -> bool:
    """False: not within the time."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[bool] = loop.create_future()
    try:
        loop.add_reader(fd, _set, future, True)
    except NotImplementedError:
        return await _poll_in_thread(fd, timeout)
    timer = loop.call_later(timeout, _set, future, False) if timeout is not None else None
    try:
        return await future
    finally:
        loop.remove_reader(fd)
        if timer is not None:
            timer.cancel()


def _step(future: asyncio.Future[bool], step: Callable[[], bool]) -> None:
    if future.done():
        return
    try:
        if step():
            future.set_result(True)
    except BaseException as e:  # belongs to who waits
        future.set_exception(e)


async def watch(fd: int, step: Callable[[], bool], timeout: Optional[float]) -> bool:
    """Call step() whenever there is something to read, until it is True. False: the time was
    over before."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[bool] = loop.create_future()
    try:
        loop.add_reader(fd, _step, future, step)
    except NotImplementedError:
        return await _watch_in_thread(fd, step, timeout)
    timer = loop.call_later(timeout, _set, future, False) if timeout is not None else None
    try:
        return await future
    finally:
        loop.remove_reader(fd)
        if timer is not None:
            timer.cancel()


async def _watch_in_thread(fd: int, step: Callable[[], bool], timeout: Optional[float]) -> bool:
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        left = None if end is None else end - time.monotonic()
        if left is not None and left <= 0:
            return False
        if await _poll_in_thread(fd, left) and step():
            return True


async def _poll_in_thread(fd: int, timeout: Optional[float]) -> bool:
    """For loops that watch no descriptors."""
    tasks: list[Task[bool]] = []

    def poll() -> bool:
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        end = None if timeout is None else time.monotonic() + timeout
        while not (tasks and tasks[0].cancelled):
            left = SLICE if end is None else min(SLICE, end - time.monotonic())
            if poller.poll(max(0.0, left) * 1000):
                return True
            if end is not None and time.monotonic() >= end:
                break
        return False

    tasks.append(start(poll))
    return await tasks[0].result()


class Lock:
    """One at a time, first come, first served; of any loop."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        self._waiters: deque[asyncio.Future[bool]] = deque()

    async def __aenter__(self) -> None:
        with self._guard:
            if not self._held:
                self._held = True
                return
            future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            self._waiters.append(future)
        try:
            await future
        except asyncio.CancelledError:
            with self._guard:
                waiting = future in self._waiters
                if waiting:
                    self._waiters.remove(future)
            if not waiting:  # it was ours already
                self._release()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._release()

    def _release(self) -> None:
        with self._guard:
            while self._waiters:
                future = self._waiters.popleft()
                try:
                    future.get_loop().call_soon_threadsafe(_set, future, True)
                    return
                except RuntimeError:
                    continue  # its loop was closed
            self._held = False


class Turn:
    """Who waits for news of a command: one at a time, the others for what that one tells.

    What one takes may be what another waits for: all look again at each news, before anybody
    waits for the next.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        self._given: Optional[asyncio.Future[bool]] = None  # who got it from another one last
        self._waiters: deque[asyncio.Future[bool]] = deque()
        self.news = 0  # how many there were

    async def take(self, seen: int) -> bool:
        """True: it is ours. False: there are more news than those seen."""
        with self._guard:
            if self.news != seen:
                return False
            if not self._held:
                self._held = True
                return True
            future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            self._waiters.append(future)
        try:
            return await future
        except asyncio.CancelledError:
            with self._guard:
                waiting = future in self._waiters
                if waiting:
                    self._waiters.remove(future)
            if not waiting and self._given is future:  # it was ours already
                self.leave(False)
            raise

    def leave(self, news: bool) -> None:
        """To the next one; with news they all look."""
        with self._guard:
            self._held = False
            self.news += news
            while self._waiters:
                future = self._waiters.popleft()
                try:
                    future.get_loop().call_soon_threadsafe(_set, future, not news)
                except RuntimeError:
                    continue  # its loop was closed
                if not news:
                    self._held, self._given = True, future
                    return


class Channel(Generic[T]):
    """Values from any thread for one reader; None is the end."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Optional[T]] = asyncio.Queue()

    def put(self, value: Optional[T]) -> None:
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, value)
        except RuntimeError:
            pass  # nobody reads any more

    async def get(self) -> Optional[T]:
        return await self._queue.get()


__all__ = ["Channel", "Lock", "Task", "Turn", "run", "sleep", "start", "wait_readable", "watch"]
