"""The library: where it is, its errors, its handles, and its end.

Handles are freed by a thread of their own, since that may block and a garbage collection may
come in any thread; at the interpreter's exit all that is open is closed.
"""

from __future__ import annotations

import atexit
import itertools
import os
import queue
import threading
from ctypes import CDLL, byref

from . import _ffi
from .errors import (
    ForkedError,
    GoneError,
    LibraryNotFoundError,
    UnsupportedError,
    make,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, NoReturn, Optional

SONAME = "libmicrosandbox.so.0"
RUNTIME = os.path.join(os.path.dirname(os.path.abspath(__file__)), "runtime", SONAME)

_load_lock = threading.Lock()
_pid = os.getpid()  # of the process that may use the library


def candidates() -> list[str]:
    """Where the library may be; what the user says is not guessed around."""
    said = os.environ.get("MICROSANDBOX_LIBRARY")
    if said:
        return [said]
    return [RUNTIME, SONAME] if os.path.exists(RUNTIME) else [SONAME]


def _open() -> CDLL:
    tried = []
    for path in candidates():
        try:
            return CDLL(path)
        except OSError as e:
            tried.append(str(e))
    raise LibraryNotFoundError(
        "cannot load libmicrosandbox: " + "; ".join(tried),
        hint="install the wheel of this platform, or set MICROSANDBOX_LIBRARY to the path of "
        + SONAME,
    )


class Library:
    """Functions of the library, loaded when the first of them is asked for."""

    _cdll: Optional[CDLL] = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in _ffi.FUNCTIONS:
            raise AttributeError(name)
        if self._cdll is None:
            with _load_lock:
                if self._cdll is None:
                    self._cdll = _open()
                    atexit.register(_at_exit)
        try:
            function: Callable[..., Any] = getattr(self._cdll, name)
        except AttributeError:
            raise UnsupportedError(
                f"this libmicrosandbox has no {name}(): it is older than the package"
            ) from None
        function.restype, function.argtypes = _ffi.FUNCTIONS[name]  # type: ignore[attr-defined]
        self.__dict__[name] = function
        return function

    def has(self, name: str) -> bool:
        """Whether it has the function: an older one may not."""
        try:
            getattr(self, name)
        except UnsupportedError:
            return False
        return True


lib = Library()


def check_process() -> None:
    """Raise in a process that was forked after the library was loaded."""
    if os.getpid() != _pid:
        raise ForkedError(
            "this process was forked: microsandbox works in the process that imported it",
            hint="use the 'spawn' start method of multiprocessing, or import it in the child only",
        )


def forked() -> bool:
    """Whether handles are another process's: then they are not closed here."""
    return os.getpid() != _pid


def raise_error(error: _ffi.msb_error, kind: str = "") -> NoReturn:
    """Raise what the library filled in."""
    raise make(
        error.code,
        error.message.decode("utf-8", "replace"),
        errno=error.sys_errno,
        hint=error.hint.decode("utf-8", "replace"),
        kind=kind,
    )


def call(kind: str, name: str, *args: Any) -> int:
    """A function that can fail: its result, or its error raised."""
    if os.getpid() != _pid:
        check_process()
    error = _ffi.msb_error()
    r: int = getattr(lib, name)(*args, byref(error))
    if r < 0:
        raise_error(error, kind)
    return r


# ---- handles --------------------------------------------------------------------------------


class _State:
    """What the exit and the reaper need of a handle, without keeping it alive."""

    __slots__ = ("closed", "free", "pointer", "users")

    def __init__(self, pointer: int, free: str) -> None:
        self.pointer = pointer
        self.free = free
        self.users = 0
        self.closed = False

    def release(self) -> None:
        getattr(lib, self.free)(self.pointer)


# By number, in the order in which they were made.
_open_handles: dict[int, _State] = {}
_numbers = itertools.count(1)
_garbage: queue.SimpleQueue[_State] = queue.SimpleQueue()
_reaper: Optional[threading.Thread] = None
_reaper_lock = threading.Lock()


def _reap() -> None:
    while True:
        _garbage.get().release()


def _start_reaper() -> None:
    global _reaper
    with _reaper_lock:
        if _reaper is None:
            _reaper = threading.Thread(target=_reap, name="microsandbox-reaper", daemon=True)
            _reaper.start()


class Handle:
    """A handle of the library.

    It may be closed while other threads use it: the last of them frees it. Who drops it without
    closing it leaves that to the reaper.
    """

    __slots__ = ("_guard", "_number", "_state", "serial")

    def __init__(self, pointer: Optional[int], free: str) -> None:
        assert pointer
        self._state = _State(pointer, free)
        self._guard = threading.Lock()
        self.serial = threading.Lock()  # of kinds that one thread at a time may use
        self._number = next(_numbers)
        _open_handles[self._number] = self._state
        if _reaper is None:
            _start_reaper()

    def __enter__(self) -> int:
        """Use it: its pointer is good until __exit__()."""
        check_process()
        state = self._state
        with self._guard:
            if state.closed:
                raise GoneError("the handle was closed")
            state.users += 1
        return state.pointer

    def __exit__(self, *_: object) -> None:
        with self._guard:
            self._state.users -= 1
            last = self._state.closed and not self._state.users
        if last:
            self._release()

    @property
    def closed(self) -> bool:
        return self._state.closed

    def close(self) -> None:
        """Free it now, or when its last user is done. May block."""
        if forked():
            return
        with self._guard:
            if self._state.closed:
                return
            self._state.closed = True
            last = not self._state.users
        if last:
            self._release()

    def _release(self) -> None:
        if _open_handles.pop(self._number, None):
            self._state.release()

    def __del__(self) -> None:
        # In whatever thread, between any two instructions: no locks, and nothing that waits.
        state = _open_handles.pop(getattr(self, "_number", 0), None)
        if state and os.getpid() == _pid:
            _garbage.put(state)


# ---- the end --------------------------------------------------------------------------------

# What must be done first of all: the pool ends its calls.
before_exit: list[Callable[[], None]] = []


def _at_exit() -> None:
    if os.getpid() != _pid:
        return
    for function in before_exit:
        function()
    while _open_handles:  # newest first: commands before sandboxes before the home
        _, state = _open_handles.popitem()
        # Under a call that goes on nothing is freed: its machine dies with this process.
        if not state.users:
            state.release()
