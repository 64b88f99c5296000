"""Threads for calls that wait.

A call runs in a thread of its own, which uses a cancel token of the library's: Job.cancel() ends
what it waits for. The pool grows as it must, so that many calls may wait at once, and threads
that have nothing to do end after a while.
"""

from __future__ import annotations

import queue
import threading
import time
from ctypes import byref, c_void_p

from . import _native
from .errors import MicrosandboxError, NoMemoryError, OperationCancelledError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional

IDLE_SECONDS = 30.0
EXIT_SECONDS = 3.0  # a cancelled call ends within 0.2 s

_lock = threading.Lock()
_idle: list[_Worker] = []
_running: set[Job] = set()
_local = threading.local()


class Job:
    """A call in a thread, and what came of it."""

    __slots__ = ("_args", "_finished", "_function", "_token", "cancelled", "error", "value")

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], finished: Callable[[], None]
    ) -> None:
        self._function = function
        self._args = args
        self._finished = finished  # called in the thread, at the end
        self._token: Optional[int] = None
        self.cancelled = False
        self.value: Any = None
        self.error: Optional[BaseException] = None

    def result(self) -> Any:
        """Once it has finished."""
        if self.error is not None:
            try:
                raise self.error
            finally:
                self.error = None  # or its traceback would hold it, and it the handles below
        return self.value

    def cancel(self) -> None:
        """End what it waits for; it still has to be waited for."""
        with _lock:
            self.cancelled = True
            if self._token:
                _native.lib.msb_cancel_fire(self._token)

    def run(self, worker: _Worker, token: Optional[int]) -> None:
        with _lock:
            self._token = token
            stopped = self.cancelled
        try:
            if stopped:
                raise OperationCancelledError("cancelled before it began")
            self.value = self._function(*self._args)
        except BaseException as e:  # of the caller's thread, to be raised there
            self.error = e
        with _lock:
            self._token = None
            _running.discard(self)
            if token and self.cancelled:
                _native.lib.msb_cancel_reset(token)
            _idle.append(worker)  # before who waits for us goes on, and wants a thread again
        self._function = self._args = None  # type: ignore[assignment]
        finished, self._finished = self._finished, None  # type: ignore[assignment]
        finished()


class _Worker(threading.Thread):
    def __init__(self) -> None:
        super().__init__(name="microsandbox-worker", daemon=True)
        self.jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()

    def _next(self) -> Optional[Job]:
        try:
            return self.jobs.get(timeout=IDLE_SECONDS)
        except queue.Empty:
            with _lock:
                if self in _idle:
                    _idle.remove(self)
                    return None
            return self.jobs.get()  # it was given one just now

    def run(self) -> None:
        token = None
        while True:
            job = self._next()
            if job is None:
                break
            if token is None:  # also when there was no library at the last job
                token = _local.token = _new_token()
            job.run(self, token)
            del job
        if token:
            _native.lib.msb_cancel_use(None)
            _native.lib.msb_cancel_free(token)


def _new_token() -> Optional[int]:
    """A token that the calls of this thread use; none with a library that has none."""
    token = c_void_p()
    try:
        if _native.lib.msb_cancel_new(byref(token), None) < 0:
            return None
        _native.lib.msb_cancel_use(token)
    except MicrosandboxError:
        return None  # an older library, or none at all: the job will say so
    return token.value


class uncancelled:  # noqa: N801
    """In a job: what has to be done although the job was cancelled."""

    def __enter__(self) -> None:
        if getattr(_local, "token", None):
            _native.lib.msb_cancel_use(None)

    def __exit__(self, *_: object) -> None:
        if getattr(_local, "token", None):
            _native.lib.msb_cancel_use(_local.token)


def submit(
    function: Callable[..., Any], args: tuple[Any, ...], finished: Callable[[], None]
) -> Job:
    """Run function(*args) in a thread; finished() is called there when that has ended."""
    _native.check_process()
    job = Job(function, args, finished)
    with _lock:
        worker = _idle.pop() if _idle else None
        _running.add(job)
    if worker is None:
        try:
            worker = _Worker()
            worker.start()
        except (RuntimeError, MemoryError) as e:
            with _lock:
                _running.discard(job)
            raise NoMemoryError(f"cannot start a thread: {e}") from None
    worker.jobs.put(job)
    return job


def _end() -> None:
    """At the interpreter's exit: no call waits any longer."""
    for job in list(_running):
        job.cancel()
    end = time.monotonic() + EXIT_SECONDS
    while _running and time.monotonic() < end:
        time.sleep(0.005)


_native.before_exit.append(_end)
