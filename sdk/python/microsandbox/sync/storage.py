"""Volumes and snapshots."""
# Written by tools/make_sync.py from ../_aio/storage.py. Do not edit.

from __future__ import annotations

from .. import _check as check
from .. import _ffi, _ops_files
from .._pack import VOLUME_KINDS
from ..results import SnapshotInfo, VolumeInfo, VolumePruneReport
from ..types import Mount
from ._run import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Mapping
    from typing import Literal, Optional

    from typing_extensions import Unpack

    from ..results import CopyEvent, ImageInfo
    from ..types import (
        BindOptions,
        DiskOptions,
        Mebibytes,
        NamedOptions,
        StrPath,
        TmpfsOptions,
    )


class Volume:
    """Volumes: what sandboxes share, and what outlives them."""

    @staticmethod
    def create(
        name: str,
        *,
        kind: Literal["dir", "disk"] = "dir",
        size: Optional[Mebibytes] = None,
        quota: Optional[Mebibytes] = None,
        size_mib: Optional[int] = None,
        quota_mib: Optional[int] = None,
        home: Optional[StrPath] = None,
    ) -> VolumeInfo:
        """A new one. size (or size_mib): of a disk, in MiB; quota (or quota_mib): of a folder,
        none when it is not said."""
        k = check.choice(kind, "kind", VOLUME_KINDS)
        said = next((v for v in (size, quota, size_mib, quota_mib) if v is not None), None)
        n = 0 if said is None else check.mebibytes(said, "size")
        run(_ops_files.volume_create, home, check.text(name, "name"), k, n)
        return Volume.get(name, home=home)

    @staticmethod
    def get(name: str, *, home: Optional[StrPath] = None) -> VolumeInfo:
        """One; VolumeNotFoundError."""
        return run(_ops_files.volumes, home, check.text(name, "name"))[0]

    inspect = get

    @staticmethod
    def list(*, home: Optional[StrPath] = None) -> builtins.list[VolumeInfo]:
        """All, by name."""
        return run(_ops_files.volumes, home, None)

    @staticmethod
    def remove(name: str, *, force: bool = False, home: Optional[StrPath] = None) -> None:
        """It and all in it. VolumeInUseError when a machine has it mounted, or (without force)
        a sandbox on record mounts it."""
        flag = check.flag(force, "force")
        run(_ops_files.volume_remove, home, check.text(name, "name"), flag)

    @staticmethod
    def prune(*, home: Optional[StrPath] = None) -> VolumePruneReport:
        """Remove all that no sandbox on record mounts."""
        return VolumePruneReport(*run(_ops_files.volume_prune, home))

    @staticmethod
    def bind(path: StrPath, **options: Unpack[BindOptions]) -> Mount:
        """For volumes=: a folder or a file of the host."""
        return Mount.bind(path, **options)

    @staticmethod
    def named(name: str, **options: Unpack[NamedOptions]) -> Mount:
        """For volumes=: a volume."""
        return Mount.named(name, **options)

    @staticmethod
    def tmpfs(**options: Unpack[TmpfsOptions]) -> Mount:
        """For volumes=: memory of the guest."""
        return Mount.tmpfs(**options)

    @staticmethod
    def disk(path: StrPath, **options: Unpack[DiskOptions]) -> Mount:
        """For volumes=: a disk image with a file system."""
        return Mount.disk(path, **options)


class Snapshot:
    """Snapshots: what was written in a sandbox, kept under a name. Sandbox.create() starts from
    one by from_snapshot=, any number of times, without copying."""

    @staticmethod
    def create(
        sandbox: Optional[str] = None,
        name: Optional[str] = None,
        *,
        from_sandbox: Optional[str] = None,
        labels: Optional[Mapping[str, str]] = None,
        replace: bool = False,
        integrity: bool = False,
        force: bool = False,
        record_integrity: bool = False,
        progress: Optional[Callable[[CopyEvent], object]] = None,
        home: Optional[StrPath] = None,
    ) -> SnapshotInfo:
        """create(SANDBOX, NAME) or create(NAME, from_sandbox=SANDBOX), of a sandbox that does not
        run. integrity (or record_integrity): with a digest of the content; replace (or force): one
        of the same name goes before."""
        if from_sandbox is not None:
            sandbox, name = from_sandbox, sandbox if name is None else name
        replace, integrity = replace or force, integrity or record_integrity
        flags = _ffi.MSB_SNAPSHOT_REPLACE if check.flag(replace, "replace") else 0
        flags |= _ffi.MSB_SNAPSHOT_INTEGRITY if check.flag(integrity, "integrity") else 0
        said = check.pairs(labels, "labels") if labels is not None else []
        source, made = check.text(sandbox, "sandbox"), check.text(name, "name")
        run(_ops_files.snapshot_create, home, source, made, said, flags, progress)
        return run(_ops_files.snapshots, home, made)[0]

    @staticmethod
    def get(name: str, *, home: Optional[StrPath] = None) -> SnapshotInfo:
        """One, by name or (the beginning of) its digest."""
        return run(_ops_files.snapshots, home, check.text(name, "name"))[0]

    open = get
    inspect = get

    @staticmethod
    def list(*, home: Optional[StrPath] = None) -> builtins.list[SnapshotInfo]:
        """All, by name."""
        return run(_ops_files.snapshots, home, None)

    @staticmethod
    def image(name: str, *, home: Optional[StrPath] = None) -> ImageInfo:
        """The image that it was written over."""
        return run(_ops_files.snapshot_image, home, check.text(name, "name"))

    @staticmethod
    def verify(name: str, *, home: Optional[StrPath] = None) -> None:
        """Read it all and compare: DigestError."""
        run(_ops_files.snapshot_verify, home, check.text(name, "name"))

    @staticmethod
    def remove(name: str, *, home: Optional[StrPath] = None) -> None:
        """The name goes; data that something else needs stays."""
        run(_ops_files.snapshot_remove, home, check.text(name, "name"))

    @staticmethod
    def save(
        name: str,
        path: StrPath,
        *,
        with_image: bool = False,
        plain_tar: bool = False,
        home: Optional[StrPath] = None,
    ) -> None:
        """One portable file."""
        flags = _ffi.MSB_SNAPSHOT_WITH_IMAGE if check.flag(with_image, "with_image") else 0
        flags |= _ffi.MSB_SNAPSHOT_PLAIN if check.flag(plain_tar, "plain_tar") else 0
        target = check.host_path(path, "path")
        run(_ops_files.snapshot_save, home, check.text(name, "name"), target, flags)

    @staticmethod
    def load(
        path: StrPath, *, name: Optional[str] = None, home: Optional[StrPath] = None
    ) -> SnapshotInfo:
        """Such a file. name: as it was called when it is not said."""
        said = None if name is None else check.text(name, "name")
        made = run(_ops_files.snapshot_load, home, check.host_path(path, "path"), said)
        return Snapshot.get(made, home=home)

    export = save
    import_ = load
