"""Images."""

from __future__ import annotations

from .. import _check as check
from .. import _create, _ffi, _ops
from ..results import ImageInfo, ImagePruneReport
from ..types import ImageSource, RootDisk
from ._run import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Sequence
    from typing import Literal, Optional, Union

    from ..results import PullEvent
    from ..types import PullPolicy, StrPath

FORMATS = {"docker": _ffi.MSB_ARCHIVE_DOCKER, "oci": _ffi.MSB_ARCHIVE_OCI}


def _pull_plan(
    reference: Union[StrPath, ImageSource],
    policy: str,
    force: bool,
    insecure: bool,
    ca_certs: Optional[StrPath],
    platform: Optional[str],
    downloads: int,
) -> _create.PullPlan:
    plan = _create.PullPlan()
    _create.image(plan, reference)
    _create.pull_policy(plan.options, policy)
    plan.options.force = int(check.flag(force, "force"))
    plan.options.insecure = int(check.flag(insecure, "insecure"))
    plan.options.ca_certs = check.optional_path(ca_certs, "ca_certs")
    plan.options.downloads = check.integer(downloads, "downloads")
    if platform is not None:
        plan.options.platform = check.text(platform, "platform")
    return plan


class Image:
    """Images: what sandboxes are made of."""

    # ---- for image=

    @staticmethod
    def oci(
        reference: str,
        *,
        root_disk: Optional[Union[RootDisk, int]] = None,
        upper_size_mib: Optional[int] = None,
    ) -> ImageSource:
        """A reference, with docker's defaults. root_disk: where that goes which is written, or how
        many MiB that may be (as upper_size_mib)."""
        said = root_disk if root_disk is not None else upper_size_mib
        disk = RootDisk("disk", said) if isinstance(said, int) else said
        return ImageSource(reference, False, disk)

    @staticmethod
    def bind(path: StrPath, *, live: bool = True) -> ImageSource:
        """A folder with a root file system: itself, read-only below what is written; it has to
        stay as it is. With live=False a copy of it as it is now."""
        where = check.host_path(path, "path").decode("utf-8", "surrogateescape")
        return ImageSource(where, check.flag(live, "live"))

    @staticmethod
    def disk(path: StrPath, *, fstype: Optional[str] = None) -> ImageSource:
        """A disk image with a root file system; its name ends in .qcow2, .raw or .img."""
        where = check.host_path(path, "path").decode("utf-8", "surrogateescape")
        if fstype is None:
            return ImageSource(where)
        check.text(fstype, "fstype")
        form = "qcow2" if where.endswith(".qcow2") else "raw"
        return ImageSource(f"{where}:format={form},fstype={fstype}")

    # ---- in the home

    @staticmethod
    async def pull(
        reference: Union[StrPath, ImageSource],
        *,
        policy: PullPolicy = "if-missing",
        force: bool = False,
        insecure: bool = False,
        ca_certs: Optional[StrPath] = None,
        platform: Optional[str] = None,
        downloads: int = 0,
        progress: Optional[Callable[[PullEvent], object]] = None,
        home: Optional[StrPath] = None,
    ) -> ImageInfo:
        """Make an image usable. progress is called in other threads; what it raises ends the
        pull. Nothing is left half done."""
        plan = _pull_plan(reference, policy, force, insecure, ca_certs, platform, downloads)
        return await run(_ops.image_pull, home, plan, progress)

    @staticmethod
    async def get(reference: str, *, home: Optional[StrPath] = None) -> ImageInfo:
        """One that is here, by reference or a prefix of its id; ImageNotFoundError."""
        return await run(_ops.image_open, home, check.text(reference, "reference"))

    inspect = get
    open = get

    @staticmethod
    async def list(*, home: Optional[StrPath] = None) -> builtins.list[ImageInfo]:
        """All, by reference."""
        return await run(_ops.image_list, home)

    @staticmethod
    async def load(
        path: StrPath,
        *,
        tag: Optional[str] = None,
        progress: Optional[Callable[[PullEvent], object]] = None,
        home: Optional[StrPath] = None,
    ) -> builtins.list[str]:
        """All images of an archive or an OCI layout folder: their references. tag names the only
        one."""
        said = None if tag is None else check.text(tag, "tag")
        where = check.host_path(path, "path")
        plan = _create.PullPlan()
        return await run(_ops.image_load, home, where, said, plan, progress)

    @staticmethod
    async def save(
        references: Union[str, Sequence[str]],
        path: Optional[StrPath] = None,
        *,
        output_path: Optional[StrPath] = None,
        format: Literal["docker", "oci"] = "docker",
        progress: Optional[Callable[[PullEvent], object]] = None,
        home: Optional[StrPath] = None,
    ) -> None:
        """An archive that docker, podman, skopeo and Image.load() read."""
        names = [references] if isinstance(references, str) else references
        said = check.texts(names, "references")
        form = check.choice(format, "format", FORMATS)
        where = check.host_path(path if output_path is None else output_path, "path")
        await run(_ops.image_save, home, said, where, form, progress)

    @staticmethod
    async def users(reference: str, *, home: Optional[StrPath] = None) -> builtins.list[str]:
        """The names of sandboxes made of it."""
        return await run(_ops.image_users, home, check.text(reference, "reference"))

    @staticmethod
    async def remove(reference: str, *, home: Optional[StrPath] = None) -> None:
        """Drop the name. Content that nothing else needs goes with prune()."""
        await run(_ops.image_remove, home, check.text(reference, "reference"))

    @staticmethod
    async def prune(*, all: bool = False, home: Optional[StrPath] = None) -> ImagePruneReport:
        """Drop all content that no name reaches; with all=True every name before."""
        return ImagePruneReport(*(await run(_ops.image_prune, home, check.flag(all, "all"))))

    @staticmethod
    async def commit(
        sandbox: str,
        reference: str,
        *,
        author: Optional[str] = None,
        message: Optional[str] = None,
        changes: Sequence[str] = (),
        home: Optional[StrPath] = None,
    ) -> str:
        """See Sandbox.commit()."""
        return await run(
            _ops.commit,
            home,
            check.text(sandbox, "sandbox"),
            check.text(reference, "reference"),
            None if author is None else check.text(author, "author"),
            None if message is None else check.text(message, "message"),
            check.texts(changes, "changes"),
        )
