"""The host: what it has, and what is wrong with it."""

from __future__ import annotations

from .. import _check as check
from .. import _ops
from ..errors import InstallError
from ._run import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from ..results import Check, Metrics
    from ..types import StrPath


async def doctor(*, home: Optional[StrPath] = None) -> list[Check]:
    """Look at everything that a sandbox needs. A finding is no error."""
    return await run(_ops.doctor, check.optional_path(home, "home"))


async def repair(*, dry_run: bool = False, home: Optional[StrPath] = None) -> list[str]:
    """Bring the record of sandboxes back; says what was done, or with dry_run would be."""
    where = check.optional_path(home, "home")
    return await run(_ops.repair, where, check.flag(dry_run, "dry_run"))


async def home_path(*, home: Optional[StrPath] = None) -> str:
    """The folder where images and sandboxes are kept."""
    return await run(_ops.home_path, home)


async def all_sandbox_metrics(*, home: Optional[StrPath] = None) -> dict[str, Metrics]:
    """Of all that run, by name."""
    return await run(_ops.all_metrics, home)


async def is_installed() -> bool:
    """Whether the library can be loaded and no check of doctor() says that nothing can run."""
    try:
        found = await doctor()
    except InstallError:
        return False
    return all(c.status != "fail" for c in found)


async def install() -> None:
    """Nothing has to be installed: InstallError says what this host lacks, if it lacks something."""
    for c in await doctor():
        if c.status == "fail":
            raise InstallError(f"{c.name}: {c.message}", hint=c.fix)


def version() -> str:
    """Of the C library."""
    return _ops.version()
