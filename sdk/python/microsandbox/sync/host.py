"""The host: what it has, and what is wrong with it."""
# Written by tools/make_sync.py from ../_aio/host.py. Do not edit.

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


def doctor(*, home: Optional[StrPath] = None) -> list[Check]:
    """Look at everything that a sandbox needs. A finding is no error."""
    return run(_ops.doctor, check.optional_path(home, "home"))


def repair(*, dry_run: bool = False, home: Optional[StrPath] = None) -> list[str]:
    """Bring the record of sandboxes back; says what was done, or with dry_run would be."""
    where = check.optional_path(home, "home")
    return run(_ops.repair, where, check.flag(dry_run, "dry_run"))


def home_path(*, home: Optional[StrPath] = None) -> str:
    """The folder where images and sandboxes are kept."""
    return run(_ops.home_path, home)


def all_sandbox_metrics(*, home: Optional[StrPath] = None) -> dict[str, Metrics]:
    """Of all that run, by name."""
    return run(_ops.all_metrics, home)


def is_installed() -> bool:
    """Whether the library can be loaded and no check of doctor() says that nothing can run."""
    try:
        found = doctor()
    except InstallError:
        return False
    return all(c.status != "fail" for c in found)


def install() -> None:
    """Nothing has to be installed: InstallError says what this host lacks, if it lacks something."""
    for c in doctor():
        if c.status == "fail":
            raise InstallError(f"{c.name}: {c.message}", hint=c.fix)


def version() -> str:
    """Of the C library."""
    return _ops.version()
