"""What can go wrong: one base type, one type for each code of the C library.

A type of a special thing (SandboxNotFoundError) is also of its code's type (NotFoundError).
"""

from __future__ import annotations

import builtins

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from .results import ExecOutput

__all__ = [
    "AlreadyExistsError",
    "AuthError",
    "BootError",
    "BusyError",
    "DigestError",
    "ExecFailedError",
    "ExecTimeoutError",
    "FilesystemError",
    "ForkedError",
    "GoneError",
    "ImageInUseError",
    "ImageNotFoundError",
    "ImagePullFailedError",
    "InstallError",
    "InternalError",
    "InvalidConfigError",
    "InvalidTypeError",
    "IoError",
    "LibraryNotFoundError",
    "MicrosandboxError",
    "NetworkError",
    "NoMemoryError",
    "NoSpaceError",
    "NotFoundError",
    "OperationCancelledError",
    "OperationTimeoutError",
    "PathExistsError",
    "PathNotFoundError",
    "PermissionDeniedError",
    "ProtocolError",
    "SandboxAlreadyExistsError",
    "SandboxNotFoundError",
    "SandboxNotRunningError",
    "SandboxStillRunningError",
    "SnapshotAlreadyExistsError",
    "SnapshotNotFoundError",
    "UnsupportedError",
    "VolumeAlreadyExistsError",
    "VolumeInUseError",
    "VolumeNotFoundError",
]


class MicrosandboxError(Exception):
    """The base of all errors of this package.

    `code` is the number of the C library (enum msb_code) and `code_name` its name, `errno` a
    Linux errno or 0, `message` names what failed, `hint` is the next step or "".
    """

    code = 1
    code_name = "internal"
    errno: Optional[int] = 0

    def __init__(self, message: str = "", *, errno: int = 0, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.errno = errno
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class InternalError(MicrosandboxError):
    """A fault of ours."""


class InvalidConfigError(MicrosandboxError, ValueError):
    """An argument is wrong. Nothing was started."""

    code, code_name = 2, "invalid"


class InvalidTypeError(InvalidConfigError, TypeError):
    """An argument is of a wrong type. Nothing was started."""


class NotFoundError(MicrosandboxError, LookupError):
    """There is no such image, sandbox, volume, snapshot or file."""

    code, code_name = 3, "not_found"


class AlreadyExistsError(MicrosandboxError):
    """The name is taken."""

    code, code_name = 4, "exists"


class BusyError(MicrosandboxError):
    """It is in use, or still running."""

    code, code_name = 5, "busy"


class NoMemoryError(MicrosandboxError, MemoryError):
    """The host has no memory left."""

    code, code_name = 6, "no_memory"


class NoSpaceError(MicrosandboxError):
    """A disk or a quota is full, or something is larger than it may be."""

    code, code_name = 7, "no_space"


class IoError(MicrosandboxError):
    """Files and sockets failed."""

    code, code_name = 8, "io"


class PermissionDeniedError(MicrosandboxError):
    """The host, or the guest, said no."""

    code, code_name = 9, "permission"


class UnsupportedError(MicrosandboxError, NotImplementedError):
    """Not on this host, or not yet."""

    code, code_name = 10, "unsupported"


class OperationTimeoutError(MicrosandboxError, builtins.TimeoutError):  # type: ignore[misc]
    """It took longer than it was allowed to."""

    code, code_name = 11, "timeout"


class OperationCancelledError(MicrosandboxError):
    """A callback ended it. (A cancelled task gets asyncio.CancelledError.)"""

    code, code_name = 12, "cancelled"


class ImagePullFailedError(MicrosandboxError):
    """A registry: it wants other credentials, or cannot be reached."""


class AuthError(ImagePullFailedError):
    """A registry wants other credentials."""

    code, code_name = 13, "auth"


class NetworkError(ImagePullFailedError):
    """A registry cannot be reached."""

    code, code_name = 14, "network"


class DigestError(MicrosandboxError):
    """Content is not what it claims to be."""

    code, code_name = 15, "digest"


class InstallError(MicrosandboxError):
    """A part of the installation is missing: the library, msb-vmm, the kernel or QEMU."""

    code, code_name = 16, "install"


class BootError(MicrosandboxError):
    """The machine did not get ready; `console` has the last lines that it printed."""

    code, code_name = 17, "boot"
    console = ""


class GoneError(MicrosandboxError):
    """The machine has ended, or the handle was closed."""

    code, code_name = 18, "gone"


class ProtocolError(MicrosandboxError):
    """The other side broke the protocol."""

    code, code_name = 19, "protocol"


class ExecFailedError(MicrosandboxError):
    """The command never ran. `stage` says where it ended (user, cwd, rlimit, pty, exec, fork)."""

    code, code_name = 20, "exec"
    stage = ""


# ---- of special things ----------------------------------------------------------------------


class SandboxNotFoundError(NotFoundError):
    """No sandbox of this name is on record."""


class SandboxAlreadyExistsError(AlreadyExistsError):
    """A sandbox of this name is on record; `replace=True` replaces it."""


class SandboxStillRunningError(BusyError):
    """The sandbox has to be stopped first."""


class SandboxNotRunningError(GoneError):
    """The sandbox does not run (any more)."""


class ImageNotFoundError(NotFoundError):
    """No such image, here or at its registry."""


class ImageInUseError(BusyError):
    """Something holds the image."""


class VolumeNotFoundError(NotFoundError):
    """No volume of this name."""


class VolumeAlreadyExistsError(AlreadyExistsError):
    """A volume of this name is there."""


class VolumeInUseError(BusyError):
    """A sandbox mounts the volume."""


class SnapshotNotFoundError(NotFoundError):
    """No snapshot of this name or digest."""


class SnapshotAlreadyExistsError(AlreadyExistsError):
    """A snapshot of this name is there."""


class FilesystemError(IoError):
    """A file of a sandbox; `errno` is the guest's."""


class PathNotFoundError(NotFoundError, FilesystemError):
    """No such file or folder in the sandbox."""

    code, code_name = NotFoundError.code, NotFoundError.code_name


class PathExistsError(AlreadyExistsError, FilesystemError):
    """There is a file or folder of this name in the sandbox."""

    code, code_name = AlreadyExistsError.code, AlreadyExistsError.code_name


class ExecTimeoutError(OperationTimeoutError):
    """A command was killed at its time limit; `output` is what it had written."""

    output: Optional[ExecOutput] = None


class LibraryNotFoundError(InstallError):
    """libmicrosandbox cannot be loaded."""


class ForkedError(UnsupportedError):
    """This process was forked from the one that loaded the library."""


_BY_CODE: dict[int, type[MicrosandboxError]] = {
    c.code: c
    for c in (
        InternalError,
        InvalidConfigError,
        NotFoundError,
        AlreadyExistsError,
        BusyError,
        NoMemoryError,
        NoSpaceError,
        IoError,
        PermissionDeniedError,
        UnsupportedError,
        OperationTimeoutError,
        OperationCancelledError,
        AuthError,
        NetworkError,
        DigestError,
        InstallError,
        BootError,
        GoneError,
        ProtocolError,
        ExecFailedError,
    )
}

# What an operation is about, and the types that its codes have then.
_BY_KIND: dict[str, dict[int, type[MicrosandboxError]]] = {
    "sandbox": {
        3: SandboxNotFoundError,
        4: SandboxAlreadyExistsError,
        5: SandboxStillRunningError,
        18: SandboxNotRunningError,
    },
    "image": {3: ImageNotFoundError, 5: ImageInUseError},
    "volume": {3: VolumeNotFoundError, 4: VolumeAlreadyExistsError, 5: VolumeInUseError},
    "snapshot": {3: SnapshotNotFoundError, 4: SnapshotAlreadyExistsError},
    "sandbox to snapshot": {
        3: SandboxNotFoundError,
        4: SnapshotAlreadyExistsError,
        5: SandboxStillRunningError,
    },
    "path": {
        3: PathNotFoundError,
        4: PathExistsError,
        8: FilesystemError,
        18: SandboxNotRunningError,
    },
}


def make(
    code: int, message: str, *, errno: int = 0, hint: str = "", kind: str = ""
) -> MicrosandboxError:
    """The error of a code of the C library, of an operation about a kind of thing."""
    found = _BY_KIND.get(kind, {}).get(code) or _BY_CODE.get(code)
    if found is None:  # a library that is newer than this package
        error = MicrosandboxError(message, errno=errno, hint=hint)
        error.code, error.code_name = code, "unknown"
        return error
    return found(message, errno=errno, hint=hint)
