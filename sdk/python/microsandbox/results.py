"""What calls give back: plain values, which hold no handles."""

from __future__ import annotations

from ._value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal, Optional

    from .types import LogSource, Mount, Network, Secret, TlsConfig

    State = Literal["created", "starting", "running", "failed", "stopped", "crashed"]


class ExecOutput(Value):
    """All that a command wrote, and how it ended."""

    stdout_bytes: bytes
    stderr_bytes: bytes
    exit_code: int  # 128+n when signal n ended it
    signal: Optional[int] = None
    truncated_stdout: bool = False  # it went past the limit
    truncated_stderr: bool = False

    @property
    def success(self) -> bool:
        return self.exit_code == 0

    @property
    def stdout_text(self) -> str:
        return self.stdout_bytes.decode("utf-8", "replace")

    @property
    def stderr_text(self) -> str:
        return self.stderr_bytes.decode("utf-8", "replace")

    @property
    def truncated(self) -> bool:
        return self.truncated_stdout or self.truncated_stderr


class ExecEvent(Value):
    """What happened to a command. exited and failed are the last ones."""

    event_type: Literal["started", "stdout", "stderr", "exited", "failed"]
    pid: Optional[int] = None
    data: bytes = b""
    code: Optional[int] = None  # 128+n when signal n ended it
    signal: Optional[int] = None
    errno: Optional[int] = None
    stage: str = ""  # of one that failed: user, cwd, rlimit, pty, exec, fork
    message: str = ""

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")


class PullEvent(Value):
    """How far a pull has come. total 0: not known."""

    event_type: Literal["resolving", "resolved", "layer", "layer_done", "merging", "done"]
    reference: str
    digest: Optional[str] = None
    layer: int = 0
    layer_count: int = 0
    done: int = 0
    total: int = 0
    cached: bool = False

    @property
    def layer_index(self) -> int:
        return self.layer

    @property
    def downloaded_bytes(self) -> int:
        return self.done

    @property
    def total_bytes(self) -> int:
        return self.total


class CopyEvent(Value):
    """How far a copy has come."""

    path: str
    files: int
    bytes: int


class PingResult(Value):
    """An answer of a guest's agent."""

    name: str
    latency: float  # seconds

    @property
    def latency_ms(self) -> float:
        return self.latency * 1000


class Metrics(Value):
    """Counters of a machine, all taken on the host. They only grow.

    `cpu_percent` (100: one processor) is of the time since the sample before, in a stream and
    for repeated calls on one Sandbox; of the first one: since the machine was ready.
    """

    cpu_percent: float
    timestamp: float  # unix, seconds
    uptime: float  # seconds; 0: not ready yet
    cpus: int
    cpu_ns: int
    time_ns: int  # CLOCK_MONOTONIC
    uptime_ns: int
    memory_bytes: int
    memory_resident_bytes: int
    memory_returned_bytes: int
    disk_read_bytes: int
    disk_write_bytes: int
    disk_reads: int
    disk_writes: int
    net_rx_bytes: int
    net_tx_bytes: int
    net_rx_packets: int
    net_tx_packets: int
    net_flows: int
    net_open: int
    net_denied: int
    net_refused: int
    net_dns_queries: int
    net_dns_denied: int
    tls_flows: int
    tls_refused: int
    secrets_used: int
    secret_violations: int
    secrets_masked: int
    upper_bytes: int
    upper_used_bytes: int
    sessions: int
    unix_ms: int

    @property
    def memory_limit_bytes(self) -> int:
        """What the machine has, as memory_bytes."""
        return self.memory_bytes

    @property
    def memory_host_resident_bytes(self) -> int:
        return self.memory_resident_bytes

    @property
    def upper_free_bytes(self) -> int:
        return max(0, self.upper_bytes - self.upper_used_bytes)

    @property
    def vcpu_time_ns(self) -> int:
        return self.cpu_ns

    @property
    def uptime_ms(self) -> int:
        return self.uptime_ns // 1_000_000

    @property
    def timestamp_ms(self) -> int:
        return self.unix_ms


class LogEntry(Value):
    """A piece of output as it was captured: any bytes, not always a line."""

    timestamp: float  # unix, seconds
    source: LogSource
    data: bytes
    session_id: Optional[int] = None

    @property
    def timestamp_ms(self) -> float:
        return self.timestamp * 1000

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")


class FileInfo(Value):
    """A file of a sandbox. `mode` has the type, as st_mode."""

    path: str  # as asked for; of an entry of a folder: its name
    mode: int
    uid: int
    gid: int
    size: int
    modified: float  # unix, seconds
    modified_ns: int
    target: str = ""  # of a symbolic link
    nlink: int = 1
    rdev: int = 0

    @property
    def kind(self) -> Literal["file", "directory", "symlink", "other"]:
        kinds: dict[int, Literal["file", "directory", "symlink"]] = {
            0o100000: "file",
            0o040000: "directory",
            0o120000: "symlink",
        }
        return kinds.get(self.mode & 0o170000, "other")

    @property
    def permissions(self) -> int:
        return self.mode & 0o7777

    @property
    def readonly(self) -> bool:
        return not self.mode & 0o222

    @property
    def is_dir(self) -> bool:
        return self.kind == "directory"


class ImageInfo(Value):
    """What an image is and says about its command."""

    reference: str
    id: str
    platform: str
    size_bytes: int
    created_at: Optional[float]
    pulled_at: Optional[float]
    layers: Sequence[str]
    layer_count: int
    entrypoint: Sequence[str]
    cmd: Sequence[str]
    env: Mapping[str, str]
    workdir: str
    user: str
    stop_signal: str
    config_json: str
    config_digest: str

    @property
    def manifest_digest(self) -> str:
        return self.id

    @property
    def os(self) -> str:
        return self.platform.partition("/")[0]

    @property
    def architecture(self) -> str:
        return self.platform.partition("/")[2]

    def _shown(self, name: str) -> bool:
        return name != "config_json"


class ImagePruneReport(Value):
    """What Image.prune() did."""

    bytes_reclaimed: int
    image_refs_removed: int


class VolumeInfo(Value):
    """A volume."""

    name: str
    path: str
    kind: Literal["dir", "disk"]
    size_bytes: int  # quota, or the disk's size; 0: no quota
    used_bytes: int
    created_at: float
    users: Sequence[str]  # sandboxes on record that mount it
    in_use: bool

    @property
    def quota_mib(self) -> Optional[int]:
        """Of a folder; None: no quota."""
        return self.size_bytes >> 20 if self.kind == "dir" and self.size_bytes else None


class VolumePruneReport(Value):
    """What Volume.prune() did."""

    names: Sequence[str]
    bytes_reclaimed: int


class SnapshotInfo(Value):
    """What was written in a sandbox, kept under a name."""

    name: str
    digest: str
    image_ref: str
    image_id: str
    source_sandbox: str
    parent: Optional[str]
    content: Optional[str]  # digest of the content, where it was asked for
    size_bytes: int
    used_bytes: int
    created_at: float
    labels: Mapping[str, str]
    path: str

    @property
    def image_manifest_digest(self) -> str:
        return self.image_id


class Change(Value):
    """What a modification changes. effect "next-start": the machine runs on as it is."""

    field: str
    before: str
    after: str
    effect: Literal["now", "next-start"]


class PortInfo(Value):
    """A published port, with the host's port that was picked."""

    bind: str
    host_port: int
    guest_port: int
    protocol: Literal["tcp", "udp"]


class Check(Value):
    """A finding of doctor()."""

    name: str
    status: Literal["ok", "info", "warn", "fail"]
    message: str
    fix: str


class SandboxTimes(Value):
    """CLOCK_MONOTONIC in ns; 0: has not happened."""

    create_ns: int
    launched_ns: int
    spawn_ns: int
    init_ns: int
    ready_ns: int


class SandboxInfo(Value):
    """A sandbox as it is on record."""

    name: str
    id: str
    state: State
    image: str
    image_id: str
    cpus: int
    memory_bytes: int
    upper_bytes: int
    disk_bytes: Optional[int]  # only of inspect()
    labels: Mapping[str, str]
    env: Mapping[str, str]
    rlimits: Sequence[str]
    workdir: str
    user: str
    hostname: str
    entrypoint: str
    shell: str
    scripts: Sequence[str]
    patches: Sequence[str]  # "KIND PATH"
    init: str
    command: Sequence[str]
    max_duration: Optional[int]
    idle_timeout: Optional[int]
    keep: bool
    detached: bool
    engine: str
    accel: str
    walls: Sequence[str]
    boundary: str
    pid: Optional[int]
    owner_pid: Optional[int]
    created_at: float
    started_at: Optional[float]
    ready_at: Optional[float]
    ended_at: Optional[float]
    end_reason: str
    end_message: str
    exit_code: Optional[int]
    mounts: Mapping[str, Mount]
    network: Optional[Network]
    secrets: Sequence[Secret]
    tls: Optional[TlsConfig]

    @property
    def status(self) -> State:
        return self.state
