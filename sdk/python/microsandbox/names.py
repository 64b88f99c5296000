"""Names for the texts that options take and results have: PullPolicy.NEVER is "never".

Plain constants, so that a text does as well. PullPolicy("never") is a text, too.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final


class PullPolicy(str):
    ALWAYS: Final = "always"
    IF_MISSING: Final = "if-missing"
    NEVER: Final = "never"


class LogLevel(str):
    TRACE: Final = "trace"
    DEBUG: Final = "debug"
    INFO: Final = "info"
    WARN: Final = "warn"
    ERROR: Final = "error"


class SandboxStatus(str):
    CREATED: Final = "created"
    STARTING: Final = "starting"
    RUNNING: Final = "running"
    FAILED: Final = "failed"
    STOPPED: Final = "stopped"
    CRASHED: Final = "crashed"


class ExecEventType(str):
    STARTED: Final = "started"
    STDOUT: Final = "stdout"
    STDERR: Final = "stderr"
    EXITED: Final = "exited"
    FAILED: Final = "failed"


class PullEventType(str):
    """Of PullEvent.event_type."""

    RESOLVING: Final = "resolving"
    RESOLVED: Final = "resolved"
    LAYER_DOWNLOAD_PROGRESS: Final = "layer"
    LAYER_MATERIALIZE_COMPLETE: Final = "layer_done"
    STITCH_MERGING_TREES: Final = "merging"
    COMPLETE: Final = "done"


class FsEntryKind(str):
    FILE: Final = "file"
    DIRECTORY: Final = "directory"
    SYMLINK: Final = "symlink"
    OTHER: Final = "other"


class LogSource(str):
    STDOUT: Final = "stdout"
    STDERR: Final = "stderr"
    OUTPUT: Final = "output"
    CONSOLE: Final = "console"
    SYSTEM: Final = "system"


class LogReadSource(str):
    STDOUT: Final = "stdout"
    STDERR: Final = "stderr"
    OUTPUT: Final = "output"
    CONSOLE: Final = "console"
    SYSTEM: Final = "system"
    ALL: Final = "all"


class Action(str):
    ALLOW: Final = "allow"
    DENY: Final = "deny"


class Direction(str):
    EGRESS: Final = "egress"
    INGRESS: Final = "ingress"
    ANY: Final = "any"


class Protocol(str):
    TCP: Final = "tcp"
    UDP: Final = "udp"
    ICMPV4: Final = "icmpv4"
    ICMPV6: Final = "icmpv6"


class PortProtocol(str):
    TCP: Final = "tcp"
    UDP: Final = "udp"


class NetworkProfile(str):
    PUBLIC: Final = "public"
    PRIVATE: Final = "private"
    HOST: Final = "host"


class DestGroup(str):
    """Targets of rules."""

    PUBLIC: Final = "public"
    LOOPBACK: Final = "loopback"
    PRIVATE: Final = "private"
    LINK_LOCAL: Final = "link-local"
    METADATA: Final = "meta"
    MULTICAST: Final = "multicast"
    HOST: Final = "host"


class ViolationAction(str):
    BLOCK: Final = "block"
    BLOCK_AND_LOG: Final = "block-and-log"
    BLOCK_AND_TERMINATE: Final = "block-and-terminate"
    PASSTHROUGH: Final = "passthrough"


class VolumeKind(str):
    DIRECTORY: Final = "dir"
    DISK: Final = "disk"


class NamedVolumeMode(str):
    """Whether a named volume has to be there, or is made when it is not."""

    EXISTING: Final = "existing"
    ENSURE_EXISTS: Final = "ensure-exists"


class DiskImageFormat(str):
    QCOW2: Final = "qcow2"
    RAW: Final = "raw"


class ImageArchiveFormat(str):
    DOCKER: Final = "docker"
    OCI: Final = "oci"


class RlimitResource(str):
    CPU: Final = "cpu"
    FSIZE: Final = "fsize"
    DATA: Final = "data"
    STACK: Final = "stack"
    CORE: Final = "core"
    RSS: Final = "rss"
    NPROC: Final = "nproc"
    NOFILE: Final = "nofile"
    MEMLOCK: Final = "memlock"
    AS: Final = "as"
    LOCKS: Final = "locks"
    SIGPENDING: Final = "sigpending"
    MSGQUEUE: Final = "msgqueue"
    NICE: Final = "nice"
    RTPRIO: Final = "rtprio"
    RTTIME: Final = "rttime"
