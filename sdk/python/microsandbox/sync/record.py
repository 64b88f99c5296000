"""A sandbox on record, whether it runs or not."""
# Written by tools/make_sync.py from ../_aio/record.py. Do not edit.

from __future__ import annotations

from .. import _check as check
from .. import _create, _ops, _ops_files
from ..errors import GoneError, NotFoundError, SandboxStillRunningError
from ..results import PingResult, PortInfo
from ._run import run, sleep, start
from .streams import LogStream, log_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
    from typing import Any, Literal, Optional, TypedDict, Union

    from typing_extensions import Unpack

    from ..results import (
        Change,
        CopyEvent,
        LogEntry,
        Metrics,
        SandboxInfo,
        SnapshotInfo,
        State,
    )
    from ..types import LogReadSource, Mebibytes, Seconds, Secret, SecretSpec, StrPath
    from .sandbox import Sandbox

    class ModifyOptions(TypedDict, total=False):
        """What modify() changes; what is not said stays. Lists add to what is there. "" is as
        in the image, a time of 0 is no limit any more."""

        dry_run: bool
        cpus: int
        memory: Mebibytes
        env: Mapping[str, str]
        remove_env: Sequence[str]
        labels: Mapping[str, str]
        remove_labels: Sequence[str]
        workdir: str
        user: str
        hostname: str
        shell: str
        max_duration: Seconds
        idle_timeout: Seconds
        upper_size: Mebibytes
        secrets: Union[Sequence[Secret], Mapping[str, SecretSpec]]
        remove_secrets: Sequence[str]
        # The same in other words.
        env_rm: Sequence[str]
        labels_rm: Sequence[str]
        secrets_rm: Sequence[str]
        root_disk_size: Mebibytes


class NetOps:
    """What a sandbox's network allows."""

    def __init__(self, name: bytes, home: Optional[StrPath]) -> None:
        self._name = name
        self._home = home

    def explain(
        self, host: str, port: int = 0, protocol: Literal["tcp", "udp", "icmp"] = "tcp"
    ) -> dict[str, Any]:
        """Which rule decides when it connects to host and port (0: any), and why."""
        target = check.text(host, "host")
        n = check.integer(port, "port", 0, check.U16)
        proto = check.text(protocol, "protocol")
        found: dict[str, Any] = run(_ops.explain, self._home, self._name, target, n, proto)
        return found

    def rules(self) -> dict[str, Any]:
        """All rules in the order in which they are asked, those of the profile included."""
        found: dict[str, Any] = run(_ops.rules, self._home, self._name)
        return found

    def ports(self) -> list[PortInfo]:
        """Its published ports, with those of the host that were picked."""
        found = run(_ops.ports, self._home, self._name)
        return [PortInfo(p["bind"], p["host"], p["guest"], p["protocol"]) for p in found]


class _Named:
    """What is done without a live handle; by the id, so that another that has the name by then
    is not meant."""

    def __init__(self, name: str, id: str, home: Optional[StrPath]) -> None:
        self._name = name
        self._id = id
        self._home = home

    @property
    def name(self) -> str:
        return self._name

    @property
    def _key(self) -> bytes:
        return check.encode(self._id, "id")

    @property
    def net(self) -> NetOps:
        """Its network: explain(), rules(), ports()."""
        return NetOps(self._key, self._home)

    def logs(
        self,
        *,
        tail: Optional[int] = None,
        since: Optional[float] = None,
        until: Optional[float] = None,
        sources: Optional[Sequence[LogReadSource]] = None,
        session: Optional[int] = None,
        since_ms: Optional[float] = None,
        until_ms: Optional[float] = None,
    ) -> list[LogEntry]:
        """What is in its logs, oldest first. since and until are unix times in seconds (or
        since_ms and until_ms); without sources: what commands wrote."""
        times = since_ms, until_ms
        options = log_options(sources, tail, since, until, session, False, *times)
        return run(_ops_files.logs_read, self._home, self._key, options)

    def log_stream(
        self,
        *,
        follow: bool = False,
        tail: Optional[int] = None,
        since: Optional[float] = None,
        until: Optional[float] = None,
        sources: Optional[Sequence[LogReadSource]] = None,
        session: Optional[int] = None,
        since_ms: Optional[float] = None,
        until_ms: Optional[float] = None,
    ) -> LogStream:
        """As logs(), one after the other; with follow also what is written later."""
        times = since_ms, until_ms
        options = log_options(sources, tail, since, until, session, follow, *times)
        return LogStream(self._home, self._key, options)

    def modify(self, **options: Unpack[ModifyOptions]) -> list[Change]:
        """Change it, all or nothing; what a running machine cannot change waits for its next
        start. With dry_run=True only say what would change."""
        m = _create.modification(options)
        return run(_ops.modify, self._home, self._key, m)

    def wait_for_status(self, status: State) -> SandboxHandle:
        """Until it is on record with this status."""
        check.text(status, "status")
        while True:
            record = SandboxHandle(run(_ops.inspect, self._home, self._key), self._home)
            if record.status == status:
                return record
            sleep(POLL)

    def snapshot(
        self,
        name: str,
        *,
        labels: Optional[Mapping[str, str]] = None,
        replace: bool = False,
        integrity: bool = False,
        progress: Optional[Callable[[CopyEvent], object]] = None,
    ) -> SnapshotInfo:
        """Keep what was written in it, under a name. It must not run."""
        from .storage import Snapshot

        return Snapshot.create(
            self._id,
            name,
            labels=labels,
            replace=replace,
            integrity=integrity,
            progress=progress,
            home=self._home,
        )

    def commit(
        self,
        reference: str,
        *,
        author: Optional[str] = None,
        message: Optional[str] = None,
        changes: Sequence[str] = (),
    ) -> str:
        """What was written in it becomes one more layer over its image, and both a new image.
        changes are as in a Dockerfile: 'CMD ["sh"]', "ENV A=b". The new image's id."""
        from .image import Image

        return Image.commit(
            self._id,
            reference,
            author=author,
            message=message,
            changes=changes,
            home=self._home,
        )


POLL = 0.1


class Name(str):
    """A text; awaited, it gives itself."""



def _and_close(function: Callable[..., None], handle: Any, *args: object) -> None:
    try:
        function(handle, *args)
    finally:
        handle.close()


class SandboxPage(list["SandboxHandle"]):
    """Sandboxes on record; a list, which `sandboxes` is, too."""

    def __init__(self, items: Iterable[SandboxHandle], next_cursor: Optional[str] = None) -> None:
        super().__init__(items)
        self.next_cursor = next_cursor

    @property
    def sandboxes(self) -> SandboxPage:
        return self


class SandboxHandle(_Named):
    """A sandbox on record, as it was when it was asked for; refresh() asks again."""

    def __init__(self, info: SandboxInfo, home: Optional[StrPath]) -> None:
        super().__init__(info.name, info.id, home)
        self.info = info

    def __repr__(self) -> str:
        return f"<SandboxHandle {self._name} {self.info.state}>"

    @property
    def id(self) -> str:
        return self.info.id

    @property
    def status(self) -> State:
        return self.info.state

    @property
    def image(self) -> str:
        return self.info.image

    @property
    def labels(self) -> Mapping[str, str]:
        return self.info.labels

    @property
    def created_at(self) -> float:
        return self.info.created_at

    def refresh(self) -> SandboxHandle:
        """What is on record now."""
        return SandboxHandle(run(_ops.inspect, self._home, self._key), self._home)

    def connect(self) -> Sandbox:
        """Its live handle; it must run."""
        from .sandbox import Sandbox

        return Sandbox.open(self._id, home=self._home)

    open_client = connect

    def connect_or_start(self, *, detached: bool = False) -> Sandbox:
        """connect() to it when it runs, else start() it."""
        check.flag(detached, "detached")
        while True:
            try:
                return self.connect()
            except GoneError:
                pass
            try:
                return self.start(detached=detached)
            except SandboxStillRunningError:
                pass  # somebody else was faster

    def start(
        self, *, detached: bool = False, secrets: Optional[Sequence[Secret]] = None
    ) -> Sandbox:
        """As Sandbox.start()."""
        from .sandbox import Sandbox

        return Sandbox.start(self._id, detached=detached, secrets=secrets, home=self._home)

    def restart(
        self,
        *,
        force: bool = False,
        timeout: Seconds = 10.0,
        detached: bool = False,
        secrets: Optional[Sequence[Secret]] = None,
    ) -> Sandbox:
        """As Sandbox.restart(); with force without a word to its commands."""
        from .sandbox import Sandbox

        grace = 0 if check.flag(force, "force") else timeout
        return Sandbox.restart(
            self._id, timeout=grace, detached=detached, secrets=secrets, home=self._home
        )

    def _with_live(self, function: Callable[..., Any], *args: Any) -> Any:
        """A call on a live handle of its own."""

        def work() -> Any:
            handle = _ops.open_live(self._home, self._key)
            try:
                return function(handle, *args)
            finally:
                handle.close()

        return run(work)

    def stop(self, timeout: Seconds = 10.0) -> None:
        """As Sandbox.stop(); one that does not run is fine."""
        try:
            self._with_live(_ops.stop, check.milliseconds(timeout, "timeout"))
        except GoneError:
            pass

    def kill(self) -> None:
        """As Sandbox.kill(); one that does not run is fine."""
        try:
            self._with_live(_ops.kill)
        except GoneError:
            pass

    def wait(self, timeout: Optional[Seconds] = None) -> None:
        """Until it does not run."""
        try:
            self._with_live(_ops.wait, check.wait_ms(timeout, "timeout"))
        except GoneError:
            pass

    def wait_until_stopped(self) -> SandboxInfo:
        """As wait(); what is on record then."""
        self.wait()
        return run(_ops.inspect, self._home, self._key)

    def request_stop(self) -> None:
        """As stop(), without waiting for it."""
        live = self.connect()
        start(_and_close, _ops.stop, live._handle, 10_000)

    def request_kill(self) -> None:
        """As kill(), without waiting for it."""
        live = self.connect()
        start(_and_close, _ops.stop, live._handle, 0)

    def destroy(self, *, force: bool = False, timeout: Seconds = 10.0) -> None:
        """Stop it if it runs, with force kill it, and remove it."""
        self.stop(0 if check.flag(force, "force") else timeout)
        try:
            self.remove()
        except NotFoundError:
            pass  # it was ephemeral

    def ping(self, timeout: Seconds = 5.0) -> PingResult:
        """As Sandbox.ping(); it must run."""
        limit = check.milliseconds(timeout, "timeout", (1 << 31) - 1)
        return PingResult(self._name, self._with_live(_ops.ping, limit) / 1e9)

    def touch(self) -> None:
        """As Sandbox.touch(); it must run."""
        self._with_live(_ops.touch)

    def metrics(self) -> Metrics:
        """Its counters now; it must run."""
        found: Metrics = self._with_live(_ops.metrics, None)
        return found

    def pending(self) -> list[Change]:
        """What of its modifications waits for the next start."""
        return run(_ops.pending, self._home, self._key)

    def remove(self, *, force: bool = False) -> None:
        """As Sandbox.remove()."""
        flag = check.flag(force, "force")
        run(_ops.remove, self._home, self._key, flag)
