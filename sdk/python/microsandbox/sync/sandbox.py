"""Sandboxes: those that run, and those on record."""
# Written by tools/make_sync.py from ../_aio/sandbox.py. Do not edit.

from __future__ import annotations

from .. import _check as check
from .. import _create, _ffi, _native, _ops
from .._exec import MAX_OUTPUT, Command, command_plan, default_plan, pipe_refused
from ..errors import (
    GoneError,
    NotFoundError,
    OperationTimeoutError,
    SandboxAlreadyExistsError,
    SandboxNotFoundError,
)
from ..results import PingResult
from ._run import Task, run, start
from .exec import ExecHandle, run_command
from .files import SandboxFsOps
from .record import Name, SandboxHandle, SandboxPage, _Named
from .streams import MetricsStream, PullSession

TYPE_CHECKING = False
if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Mapping, Sequence
    from typing import Literal, Optional, Union

    from typing_extensions import Unpack

    from ..results import (
        Change,
        ExecOutput,
        Metrics,
        PullEvent,
        SandboxInfo,
        SandboxTimes,
        State,
    )
    from ..types import CreateOptions, ExecCall, ExecOptions, Seconds, Secret, StrPath

    Origin = Literal["created", "started", "opened"]

STOP_SECONDS = 10.0


def _wanted(labels: object) -> list[bytes]:
    if hasattr(type(labels), "keys"):
        return check.pairs(labels, "labels")
    return check.texts(labels, "labels")


class Sandbox(_Named):
    """A machine that runs.

    Made by create(), start() or open(). One that was created or started here dies with this
    process, or when the last reference to this object goes, unless it is detached. With
    ``with`` one that was created is killed and removed at the end of the block, one that
    was started is stopped, and one that was opened is left alone.
    """

    def __init__(self, handle: _native.Handle, home: Optional[StrPath], origin: Origin) -> None:
        super().__init__(*_ops.name_of(handle), home)
        self._live = handle
        self._origin: Origin = origin
        self._last: Optional[Metrics] = None

    def __repr__(self) -> str:
        return f"<Sandbox {self._name} {self._id}>"

    @property
    def name(self) -> Name:
        return Name(self._name)

    @property
    def id(self) -> Name:
        """16 hex digits that no other sandbox has or had."""
        return Name(self._id)

    @property
    def _handle(self) -> _native.Handle:
        if self._live.closed:
            raise GoneError(f"the handle of sandbox '{self._name}' was closed")
        return self._live

    @property
    def owns_lifecycle(self) -> bool:
        """Whether the machine ends with this object."""
        return self._origin != "opened" and not self._live.closed

    @property
    def fs(self) -> SandboxFsOps:
        """Its files."""
        return SandboxFsOps(self)

    @property
    def state(self) -> State:
        """The state now."""
        return _ops.state(self._handle)

    @property
    def console(self) -> str:
        """The last lines of the console of a machine that failed or crashed."""
        return str(_ops.about(self._handle)["console"])

    @property
    def engine(self) -> str:
        """kvm or qemu."""
        return str(_ops.about(self._handle)["engine"])

    @property
    def accel(self) -> str:
        """kvm or tcg."""
        return str(_ops.about(self._handle)["accel"])

    @property
    def walls(self) -> tuple[str, ...]:
        """The walls of the jail around the machine's processes."""
        found: tuple[str, ...] = _ops.about(self._handle)["walls"]
        return found

    @property
    def warning(self) -> str:
        """What the user should know about a machine like this, or ""."""
        return str(_ops.about(self._handle)["warning"])

    @property
    def times(self) -> SandboxTimes:
        """When it was created, launched, ready."""
        from ..results import SandboxTimes

        return SandboxTimes(**_ops.about(self._handle)["times"])

    # ---- made

    @classmethod
    def create(cls, name: Optional[str] = None, **options: Unpack[CreateOptions]) -> Sandbox:
        """Pull the image if it is not here, make a sandbox, and wait until it is ready.

        With a name it stays on record until it is removed, unless ephemeral=True; without one
        nothing is left of it at its end, unless ephemeral=False. The options are those of
        microsandbox.types.CreateOptions; times are in seconds, memory and sizes in MiB.
        """
        plan = _create.creation(name, options)
        home = options.get("home")
        task: Task[_native.Handle] = start(_ops.create, plan, undo=_ops.Undo(home))
        return cls(task.result(), home, "opened" if plan.detached else "created")

    @classmethod
    def create_with_progress(
        cls, name: Optional[str] = None, **options: Unpack[CreateOptions]
    ) -> PullSession:
        """As create(); tells how far the pull has come: see PullSession."""
        plan = _create.creation(name, options)
        home = options.get("home")

        def create(progress: Callable[[PullEvent], object]) -> _native.Handle:
            return _ops.create(plan, progress)

        origin: Origin = "opened" if plan.detached else "created"
        return PullSession(create, lambda made: cls(made, home, origin), _ops.Undo(home))

    @classmethod
    def connect_or_create(cls, name: str, **options: Unpack[CreateOptions]) -> Sandbox:
        """The one of this name: connected to when it runs, started when it is on record, else
        created. The options are for the last of these only, besides detached and home."""
        _create.creation(name, options)
        home, detached = options.get("home"), options.get("detached", False)
        while True:
            try:
                record = cls.get(name, home=home)
                return record.connect_or_start(detached=detached)
            except SandboxNotFoundError:
                pass
            try:
                return cls.create(name, **options)
            except SandboxAlreadyExistsError:
                pass  # somebody else was faster

    @classmethod
    def prepare(cls, name: str, **options: Unpack[CreateOptions]) -> SandboxHandle:
        """As create(), but only put it on record; start() starts it."""
        plan = _create.creation(name, options, start=False)
        run(_ops.prepare, plan)
        return cls.get(name, home=options.get("home"))

    @classmethod
    def start(
        cls,
        name: str,
        *,
        detached: bool = False,
        secrets: Optional[Sequence[Secret]] = None,
        home: Optional[StrPath] = None,
    ) -> Sandbox:
        """Start one that is on record, and its main command if it has one; wait until it is
        ready. `secrets`: values of those on record; else they come from the environment."""
        plan = _ops.StartPlan(secrets, detached)
        task: Task[_native.Handle] = start(
            _ops.start, home, check.text(name, "name"), plan, undo=_native.Handle.close
        )
        return cls(task.result(), home, "opened" if detached else "started")

    @classmethod
    def restart(
        cls,
        name: str,
        *,
        timeout: Seconds = STOP_SECONDS,
        detached: bool = False,
        secrets: Optional[Sequence[Secret]] = None,
        home: Optional[StrPath] = None,
    ) -> Sandbox:
        """Stop it if it runs, and start it again."""
        plan = _ops.StartPlan(secrets, detached)
        grace = check.milliseconds(timeout, "timeout")
        task: Task[_native.Handle] = start(
            _ops.restart, home, check.text(name, "name"), grace, plan, undo=_native.Handle.close
        )
        return cls(task.result(), home, "opened" if detached else "started")

    @classmethod
    def open(cls, name: str, *, home: Optional[StrPath] = None) -> Sandbox:
        """One that runs, by name or id, whoever started it. It lives on when this object goes."""
        handle = run(_ops.open_live, home, check.text(name, "name"))
        return cls(handle, home, "opened")

    # ---- on record

    @classmethod
    def get(cls, name: str, *, home: Optional[StrPath] = None) -> SandboxHandle:
        """What is on record under a name or id."""
        return SandboxHandle(run(_ops.inspect, home, check.text(name, "name")), home)

    @classmethod
    def inspect(cls, name: str, *, home: Optional[StrPath] = None) -> SandboxInfo:
        """All that is on record of it."""
        return run(_ops.inspect, home, check.text(name, "name"))

    @classmethod
    def list(
        cls,
        *,
        labels: Optional[Union[Mapping[str, str], Sequence[str]]] = None,
        home: Optional[StrPath] = None,
    ) -> SandboxPage:
        """All on record that have each of these labels, by name. A mapping, or a list of "KEY"
        (whatever its value) and "KEY=VALUE"."""
        wanted = [] if labels is None else _wanted(labels)
        found = run(_ops.sandbox_list, home, wanted)
        return SandboxPage(SandboxHandle(i, home) for i in found)

    @classmethod
    def list_with(
        cls,
        *,
        cursor: Optional[str] = None,
        limit: Optional[int] = None,
        labels: Optional[Union[Mapping[str, str], Sequence[str]]] = None,
        home: Optional[StrPath] = None,
    ) -> SandboxPage:
        """As list(), of those behind `cursor` at most `limit`; next_cursor leads on."""
        if cursor is not None:
            check.text(cursor, "cursor")
        most = None if limit is None else check.integer(limit, "limit", 1)
        found = cls.list(labels=labels, home=home)
        rest = [h for h in found if cursor is None or h.name > cursor]
        more = most is not None and len(rest) > most
        return SandboxPage(rest[:most], rest[:most][-1].name if more else None)

    @classmethod
    def remove(
        cls, name: str, *, force: bool = False, home: Optional[StrPath] = None
    ) -> None:
        """Remove it and all that was written in it; with force one that runs, too."""
        run(_ops.remove, home, check.text(name, "name"), check.flag(force, "force"))

    @classmethod
    def pending(cls, name: str, *, home: Optional[StrPath] = None) -> builtins.list[Change]:
        """What of its modifications waits for the next start."""
        return run(_ops.pending, home, check.text(name, "name"))

    # ---- commands

    def exec(
        self,
        cmd: str,
        args: Optional[Union[Sequence[str], ExecCall]] = None,
        *,
        max_output: int = MAX_OUTPUT,
        **options: Unpack[ExecOptions],
    ) -> ExecOutput:
        """Run a command to its end. ExecTimeoutError after timeout= seconds, with the output so
        far; ExecFailedError when it never ran. An exit code that is not 0 is no error. args may
        be the options, {"args": [...], "cwd": "/"}."""
        plan = command_plan("exec", cmd, args, options)
        pipe_refused(plan, "exec")
        limit = check.integer(max_output, "max_output", 1, check.I64)
        return run_command(self._handle, plan, limit)

    def shell(
        self,
        script: str,
        args: Optional[Sequence[str]] = None,
        *,
        max_output: int = MAX_OUTPUT,
        **options: Unpack[ExecOptions],
    ) -> ExecOutput:
        """As exec(), of a script for the sandbox's shell; args are its $1, $2, ..."""
        plan = command_plan("shell", script, args, options, _ffi.MSB_EXEC_SHELL)
        pipe_refused(plan, "shell")
        limit = check.integer(max_output, "max_output", 1, check.I64)
        return run_command(self._handle, plan, limit)

    def exec_default(
        self,
        args: Optional[Sequence[str]] = None,
        *,
        entrypoint: Optional[str] = None,
        max_output: int = MAX_OUTPUT,
        **options: Unpack[ExecOptions],
    ) -> ExecOutput:
        """As exec(), of the image's command: args go to its ENTRYPOINT, else its CMD runs."""
        plan = default_plan("exec_default", args, entrypoint, options)
        pipe_refused(plan, "exec_default")
        limit = check.integer(max_output, "max_output", 1, check.I64)
        return run_command(self._handle, plan, limit)

    def exec_stream(
        self,
        cmd: str,
        args: Optional[Union[Sequence[str], ExecCall]] = None,
        **options: Unpack[ExecOptions],
    ) -> ExecHandle:
        """Start a command: an iterator of its events, with stdin=Stdin.pipe() also its input."""
        plan = command_plan("exec_stream", cmd, args, options)
        return ExecHandle(Command.start(self._handle, plan), plan)

    def shell_stream(
        self,
        script: str,
        args: Optional[Sequence[str]] = None,
        **options: Unpack[ExecOptions],
    ) -> ExecHandle:
        """As exec_stream(), of a script for the sandbox's shell."""
        plan = command_plan("shell_stream", script, args, options, _ffi.MSB_EXEC_SHELL)
        return ExecHandle(Command.start(self._handle, plan), plan)

    def exec_default_stream(
        self,
        args: Optional[Sequence[str]] = None,
        *,
        entrypoint: Optional[str] = None,
        **options: Unpack[ExecOptions],
    ) -> ExecHandle:
        """As exec_stream(), of the image's command."""
        plan = default_plan("exec_default_stream", args, entrypoint, options)
        return ExecHandle(Command.start(self._handle, plan), plan)

    def attach_session(self, session: int = 0) -> ExecHandle:
        """Take a detached command back. 0: the main command, else the only detached one."""
        n = check.integer(session, "session", 0, check.U64)
        return ExecHandle(run(Command.attach, self._handle, n))

    # ---- life

    def stop(self, timeout: Seconds = STOP_SECONDS) -> None:
        """Shut it down: commands get SIGTERM; what is left after `timeout` is killed."""
        run(_ops.stop, self._handle, check.milliseconds(timeout, "timeout"))

    def kill(self) -> None:
        """At once, without a word to its commands."""
        run(_ops.kill, self._handle)

    def request_stop(self) -> None:
        """As stop(), without waiting for it."""
        start(_ops.stop, self._handle, int(STOP_SECONDS * 1000))

    def request_kill(self) -> None:
        """As kill(), without waiting for it."""
        start(_ops.kill, self._handle)

    def destroy(self, *, force: bool = False, timeout: Seconds = STOP_SECONDS) -> None:
        """Stop it, with force kill it, and remove it with all that was written in it."""
        grace = check.milliseconds(timeout, "timeout")
        try:
            run(_ops.stop, self._handle, 0 if check.flag(force, "force") else grace)
        except GoneError:
            pass
        self.remove_persisted()

    def wait(self, timeout: Optional[Seconds] = None) -> SandboxInfo:
        """Wait for its end, however it comes. What is on record then; an ephemeral one that is
        gone is told of as NotFoundError by inspect() only: here the last known is given."""
        before = self._known()
        run(_ops.wait, self._handle, check.wait_ms(timeout, "timeout"))
        try:
            return self.inspect(self._id, home=self._home)
        except NotFoundError:
            return before.replace(state="stopped", pid=None, owner_pid=None)

    wait_until_stopped = wait

    def _known(self) -> SandboxInfo:
        return run(_ops.inspect, self._home, self._key)

    def detach(self) -> None:
        """From now on it outlives this process and this object."""
        run(_ops.detach, self._handle)
        self._origin = "opened"

    def touch(self) -> None:
        """It is still wanted: the idle time limit starts anew."""
        run(_ops.touch, self._handle)

    def ping(self, timeout: Seconds = 5.0) -> PingResult:
        """Ask its agent for an answer."""
        limit = check.milliseconds(timeout, "timeout", (1 << 31) - 1)
        ns = run(_ops.ping, self._handle, limit)
        return PingResult(self._name, ns / 1e9)

    def wait_ready(self, timeout: Optional[Seconds] = None) -> None:
        """It is, when create(), start() or open() have returned."""
        run(_ops.wait_ready, self._handle, check.wait_ms(timeout, "timeout"))

    def close(self) -> None:
        """This handle goes: a machine that is attached to it is killed, others live on."""
        if _native.forked():
            return
        if self._origin != "opened" and not self._live.closed:
            try:
                run(_ops.kill, self._live)  # so that calls on it end
            except GoneError:
                pass
        run(self._live.close)

    def remove_persisted(self) -> None:
        """Kill it and remove it with all that was written in it."""
        self.close()
        try:
            run(_ops.remove, self._home, self._key, True)
        except NotFoundError:
            pass

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live.closed or _native.forked():
            return
        if self._origin == "created":
            self.remove_persisted()
            return
        if self._origin == "started":
            try:
                self.stop()
            except (GoneError, OperationTimeoutError):
                pass
        self.close()

    # ---- metrics

    def metrics(self) -> Metrics:
        """Its counters now."""
        self._last = run(_ops.metrics, self._handle, self._last)
        return self._last

    def metrics_stream(self, interval: Seconds = 1.0) -> MetricsStream:
        """A sample after each interval, until it ends."""
        return MetricsStream(self, interval)
