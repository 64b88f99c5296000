"""A command's handle, without the waiting: that is done in different ways above it."""

from __future__ import annotations

import time
from collections import deque
from ctypes import byref, c_void_p, sizeof

from . import _check as check
from . import _ffi, _unpack
from ._native import Handle, call, lib, raise_error
from ._pack import Arena, exec_options
from .errors import ExecFailedError, GoneError, InvalidConfigError, MicrosandboxError
from .results import ExecEvent, ExecOutput
from .types import Stdin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Optional

MAX_OUTPUT = 64 << 20  # of each stream, as in the C library
PIECE = 256 << 10
BURST = 64  # events at once, before others get their turn
KEPT = 16 << 20  # bytes that are read ahead for nobody yet, while something else is waited for
SIGKILL = 9
OPTIONS = ("cwd", "user", "env", "timeout", "stdin", "tty", "rlimits", "rows", "cols", "log")


class Plan:
    """A command to be started, checked."""

    __slots__ = ("arena", "input", "options", "pipe", "timeout")

    def __init__(
        self,
        function: str,
        argv: list[bytes],
        flags: int,
        said: Mapping[str, object],
        entrypoint: object = None,
    ) -> None:
        if said:
            check.unknown(said, OPTIONS, function)
        self.arena = Arena()
        self.input: Optional[bytes] = None
        self.pipe = False
        self.timeout: Optional[float] = None
        if said.get("timeout") is not None:
            self.timeout = check.seconds(said["timeout"], "timeout")
        if said.get("tty") is not None and check.flag(said["tty"], "tty"):
            flags |= _ffi.MSB_EXEC_TTY
        if said.get("log") is not None and not check.flag(said["log"], "log"):
            flags |= _ffi.MSB_EXEC_NO_LOG
        if said.get("stdin") is not None:
            self._stdin(said["stdin"])
        if self.pipe or self.input is not None:
            flags |= _ffi.MSB_EXEC_STDIN
        self.options = exec_options(
            self.arena,
            flags,
            argv,
            cwd=said.get("cwd"),
            user=said.get("user"),
            env=said.get("env"),
            rlimit=said.get("rlimits"),
            entrypoint=entrypoint,
            rows=said.get("rows") or 0,
            cols=said.get("cols") or 0,
        )

    def _stdin(self, said: object) -> None:
        if not isinstance(said, Stdin):
            said = Stdin("bytes", check.data(said, "stdin"))
        modes = {"null": 0, "pipe": 1, "bytes": 2}
        mode = check.choice(said.mode, "stdin.mode", modes)
        self.pipe = mode == modes["pipe"]
        if mode == modes["bytes"]:
            self.input = check.data(said.data, "stdin")


def command_plan(
    function: str, cmd: object, args: object, said: Mapping[str, object], flags: int = 0
) -> Plan:
    argv = [check.text(cmd, "cmd")]
    if isinstance(args, dict):  # the options, and args among them
        said = {**args, **said}
        args = said.pop("args", None)
    if args is not None:
        argv += check.texts(args, "args")
    return Plan(function, argv, flags, said)


def default_plan(
    function: str, args: object, entrypoint: object, said: Mapping[str, object]
) -> Plan:
    """What the image says, or a shell."""
    argv = check.texts(args, "args") if args is not None else []
    return Plan(function, argv, _ffi.MSB_EXEC_IMAGE_COMMAND, said, entrypoint)


class Command:
    """A command that was started, and the events that nobody has taken yet."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        with handle as p:
            self.fd: int = lib.msb_exec_fd(p)
        self.collector: Optional[Collector] = None  # takes the output, in place of events
        self.events: deque[ExecEvent] = deque()
        self.kept = 0  # bytes in them
        self.started = False
        self.ended = False
        self.writable = False
        self.exit_code: Optional[int] = None
        self.signal_number: Optional[int] = None
        self.error: Optional[MicrosandboxError] = None  # why it ended without an exit

    @classmethod
    def start(cls, sandbox: Handle, plan: Plan) -> Command:
        made = c_void_p()
        with sandbox as s:
            call("sandbox", "msb_exec_start", s, byref(plan.options), byref(made))
        return cls(Handle(made.value, "msb_exec_free"))

    @classmethod
    def attach(cls, sandbox: Handle, session: int) -> Command:
        made = c_void_p()
        with sandbox as s:
            call("", "msb_exec_attach", s, session, byref(made))
        return cls(Handle(made.value, "msb_exec_free"))

    @property
    def session(self) -> int:
        with self.handle as p:
            number: int = lib.msb_exec_session(p)
            return number

    @property
    def tty(self) -> bool:
        with self.handle as p:
            return bool(lib.msb_exec_is_tty(p))

    def drain(self) -> bool:
        """Take what has happened; False when that was nothing."""
        if self.ended:
            return True
        error = _ffi.msb_error()
        event = _ffi.msb_exec_event()
        event.size = sizeof(event)
        at_event, at_error = byref(event), byref(error)
        next_event = lib.msb_exec_next
        got = False
        try:
            with self.handle.serial, self.handle as p:
                for _ in range(BURST):
                    r = next_event(p, 0, at_event, at_error)
                    if r < 0:
                        raise_error(error, "sandbox")
                    if r == 0:
                        break
                    got = True
                    if self._take(event):
                        break
        except MicrosandboxError as e:
            self.ended, self.error = True, e.with_traceback(None)
            return True
        return got

    def _take(self, e: _ffi.msb_exec_event) -> bool:
        """True when it was the last one."""
        kind = e.kind
        if kind in (_ffi.MSB_EXEC_STDOUT, _ffi.MSB_EXEC_STDERR):
            data = _unpack.buffer(e.data, e.len)
            name = "stdout" if kind == _ffi.MSB_EXEC_STDOUT else "stderr"
            if self.collector is not None:
                self.collector.add(name, data)
                return False
            self.kept += len(data)
            self.events.append(ExecEvent(name, data=data))  # type: ignore[arg-type]
        elif kind == _ffi.MSB_EXEC_EXITED:
            self.signal_number = e.signal or None
            self.exit_code = 128 + e.signal if e.signal else e.code
            self.ended = True
            if self.collector is None:
                self.events.append(
                    ExecEvent("exited", code=self.exit_code, signal=self.signal_number)
                )
        elif kind == _ffi.MSB_EXEC_WRITABLE:
            self.writable = True
        elif kind == _ffi.MSB_EXEC_STARTED:
            self.started = True
            if self.collector is None:
                self.events.append(ExecEvent("started", pid=e.pid))
        elif kind == _ffi.MSB_EXEC_FAILED:
            self._failed(e)
        return self.ended

    def _failed(self, e: _ffi.msb_exec_event) -> None:
        stage, message = _unpack.text(e.stage), _unpack.text(e.message)
        error = ExecFailedError(message or f"the command failed at {stage}", errno=e.error_no)
        error.stage = stage
        self.error = error
        self.events.append(
            ExecEvent("failed", errno=e.error_no, stage=stage, message=error.message)
        )
        self.ended = True

    def pop(self) -> Optional[ExecEvent]:
        if not self.events:
            return None
        event = self.events.popleft()
        self.kept -= len(event.data)
        return event

    def drop_output(self) -> None:
        self.events = deque(e for e in self.events if not e.data)
        self.kept = 0

    def raise_failure(self) -> None:
        """Once it has ended: why it did not exit."""
        if self.error is not None:
            raise self.error.with_traceback(None)

    def write(self, data: bytes) -> int:
        """How much was taken; 0: wait for writable."""
        if self.ended:
            return len(data)
        self.writable = False
        error = _ffi.msb_error()
        with self.handle.serial, self.handle as p:
            n: int = lib.msb_exec_write(p, data, len(data), byref(error))
        if n < 0:
            raise_error(error, "sandbox")
        return n

    def quick(self, name: str, *args: object) -> None:
        """close_stdin, signal, resize, detach."""
        with self.handle.serial, self.handle as p:
            call("sandbox", name, p, *args)

    def kill(self) -> None:
        if not self.ended and not self.handle.closed:
            self.quick("msb_exec_signal", SIGKILL)

    def close(self) -> None:
        """A command that still runs is killed."""
        if not self.handle.closed:
            self.handle.close()
            if not self.ended:
                self.ended = True
                self.error = self.error or GoneError("the command's handle was closed")


class Collector:
    """All that a command writes, up to a limit."""

    __slots__ = ("limit", "parts", "sizes", "truncated")

    def __init__(self, limit: int = MAX_OUTPUT) -> None:
        self.limit = limit
        self.parts: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        self.sizes = {"stdout": 0, "stderr": 0}
        self.truncated = {"stdout": False, "stderr": False}

    def take(self, command: Command) -> None:
        while True:
            event = command.pop()
            if event is None:
                return
            if event.data:
                self.add(event.event_type, event.data)

    def add(self, name: str, data: bytes) -> None:
        room = self.limit - self.sizes[name]
        if len(data) > room:
            self.truncated[name] = True
        if room > 0:
            self.parts[name].append(data[:room])
            self.sizes[name] += min(room, len(data))

    def output(self, command: Command) -> ExecOutput:
        code = command.exit_code
        return ExecOutput(
            b"".join(self.parts["stdout"]),
            b"".join(self.parts["stderr"]),
            128 + SIGKILL if code is None else code,
            command.signal_number if code is not None else SIGKILL,
            self.truncated["stdout"],
            self.truncated["stderr"],
        )


class Feeder:
    """Gives a command its input, as fast as it takes it."""

    __slots__ = ("_at", "_data", "_open")

    def __init__(self, data: Optional[bytes]) -> None:
        self._data = data or b""
        self._at = 0
        self._open = data is not None

    def feed(self, command: Command) -> None:
        while self._open:
            if self._at >= len(self._data):
                self._open = False
                command.quick("msb_exec_close_stdin")
                return
            n = command.write(self._data[self._at : self._at + PIECE])
            if n == 0:
                return
            self._at += n


class Deadline:
    """A time limit."""

    __slots__ = ("_end",)

    def __init__(self, timeout: Optional[float]) -> None:
        self._end = None if timeout is None else time.monotonic() + timeout

    def left(self) -> Optional[float]:
        """Seconds, not less than 0; None: no limit."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def earlier(self, other: Deadline) -> Optional[float]:
        """What is left of the one that comes first."""
        a, b = self.left(), other.left()
        if a is None or b is None:
            return b if a is None else a
        return min(a, b)

    def over(self) -> bool:
        return self._end is not None and time.monotonic() >= self._end


def pipe_refused(plan: Plan, function: str) -> None:
    if plan.pipe:
        raise InvalidConfigError(
            f"{function}() collects the output: nobody could write to its pipe",
            hint=f"use {function}_stream(), or give stdin as bytes",
        )
