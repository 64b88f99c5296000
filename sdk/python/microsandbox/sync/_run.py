"""How a plain program waits: for calls in threads, for descriptors, for each other.

The main thread never waits in C: a call runs in another thread, so that Ctrl-C ends it.
"""

from __future__ import annotations

import queue
import select
import threading
import time
from threading import Lock
from time import sleep

from .. import _pool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Generic, Optional, TypeVar

    T = TypeVar("T")
else:
    T = None

    class _Generic:
        def __class_getitem__(cls, _):
            return cls

    Generic = {T: _Generic}


class Task(Generic[T]):
    """A call in a thread."""

    def __init__(
        self,
        function: Callable[..., T],
        *args: Any,
        undo: Optional[Callable[[T], object]] = None,
    ) -> None:
        self._undo = undo
        self._ended = threading.Lock()
        self._ended.acquire()
        self._job = _pool.submit(function, args, self._ended.release)

    def cancel(self) -> None:
        """End what it waits for; result() raises what comes of that."""
        self._job.cancel()

    def _wait(self) -> None:
        self._ended.acquire()
        self._ended.release()

    def result(self) -> T:
        """Wait for it. Ctrl-C cancels the call."""
        try:
            self._wait()
        except BaseException:
            self._job.cancel()
            self._wait()
            if self._undo is not None and self._job.error is None:
                self._undo(self._job.value)
            raise
        value: T = self._job.result()
        return value


def run(function: Callable[..., T], *args: Any) -> T:
    """A call that waits. Only the main thread can be interrupted."""
    if threading.current_thread() is not threading.main_thread():
        return function(*args)
    task: Task[T] = Task(function, *args)
    return task.result()


def start(
    function: Callable[..., T], *args: Any, undo: Optional[Callable[[T], object]] = None
) -> Task[T]:
    """A call that goes on beside."""
    return Task(function, *args, undo=undo)


def wait_readable(fd: int, timeout: Optional[float] = None) -> bool:
    """False: not within the time. Signals are handled meanwhile."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(None if timeout is None else timeout * 1000))


def watch(fd: int, step: Callable[[], bool], timeout: Optional[float]) -> bool:
    """Call step() whenever there is something to read, until it is True. False: the time was
    over before."""
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        left = None if end is None else end - time.monotonic()
        if left is not None and left <= 0:
            return False
        if wait_readable(fd, left) and step():
            return True


class Turn:
    """Who waits for news of a command: one at a time, the others for what that one tells.

    What one takes may be what another waits for: all look again at each news, before anybody
    waits for the next.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held = False
        self.news = 0  # how many there were

    def take(self, seen: int) -> bool:
        """True: it is ours. False: there are more news than those seen."""
        with self._changed:
            while self._held and self.news == seen:
                self._changed.wait()
            if self.news != seen:
                return False
            self._held = True
            return True

    def leave(self, news: bool) -> None:
        """To the next one; with news they all look."""
        with self._changed:
            self._held = False
            self.news += news
            self._changed.notify_all()


class Channel(Generic[T]):
    """Values from any thread for one reader; None is the end."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Optional[T]] = queue.SimpleQueue()

    def put(self, value: Optional[T]) -> None:
        self._queue.put(value)

    def get(self) -> Optional[T]:
        return self._queue.get()


__all__ = ["Channel", "Lock", "Task", "Turn", "run", "sleep", "start", "wait_readable", "watch"]
