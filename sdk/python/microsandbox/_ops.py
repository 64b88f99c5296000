"""What is done with the library, as plain functions that wait. They run in threads of _pool."""

from __future__ import annotations

import contextlib
import os
import threading
from ctypes import POINTER, byref, c_size_t, c_uint32, c_uint64, c_void_p, cast

from . import _check as check
from . import _ffi, _unpack
from ._create import PullPlan
from ._native import Handle, call, check_process, lib
from ._pack import Arena, secrets, sized
from ._pool import uncancelled
from .errors import BootError, MicrosandboxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional

    from . import results
    from ._create import Creation, Modification


# ---- homes ----------------------------------------------------------------------------------

_homes: dict[Optional[str], Handle] = {}
_homes_lock = threading.Lock()


def home(said: object = None) -> Handle:
    """The home of a path, or this process's default one; opened once."""
    check_process()
    key = None if said is None else os.fsdecode(check.host_path(said, "home"))
    found = _homes.get(key)
    if found is None:
        with _homes_lock:
            found = _homes.get(key)
            if found is None:
                pointer = c_void_p()
                call("", "msb_home_open", os.fsencode(key) if key else None, byref(pointer))
                found = _homes[key] = Handle(pointer.value, "msb_home_free")
    return found


def home_path(said: object) -> str:
    with home(said) as h:
        return _unpack.text(lib.msb_home_path(h))


def version() -> str:
    return _unpack.text(lib.msb_version())


# ---- progress -------------------------------------------------------------------------------


class _Progress:
    """Calls a Python function from the library's threads; what it raises ends the operation."""

    def __init__(self, kind: Any, unpack: Callable[[int], object], function: Any) -> None:
        self._unpack = unpack
        self._function = function
        self.error: Optional[BaseException] = None
        self.c = kind(self._called) if function else kind()

    def _called(self, _: object, event: int) -> int:
        try:
            self._function(self._unpack(event))
        except BaseException as e:  # nothing may pass through C
            self.error = self.error or e
            return 1
        return 0

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is not None and self.error is not None:
            raised, self.error = self.error, None
            raise raised


def pull_progress(function: object) -> _Progress:
    return _Progress(
        _ffi.PULL_EVENT_FN,
        lambda e: _unpack.pull_event(_unpack.at(_ffi.msb_pull_event, e)),
        function,
    )


def _copy_event(address: int) -> results.CopyEvent:
    from .results import CopyEvent

    e = _unpack.at(_ffi.msb_copy_event, address)
    return CopyEvent(_unpack.text(e.path), e.files, e.bytes)


def copy_progress(function: object) -> _Progress:
    return _Progress(_ffi.COPY_EVENT_FN, _copy_event, function)


# ---- images ---------------------------------------------------------------------------------


def pull(where: object, plan: PullPlan, progress: object = None) -> Handle:
    image = c_void_p()
    with home(where) as h, pull_progress(progress) as p:
        plan.options.event = p.c
        call("image", "msb_image_pull", h, plan.reference, byref(plan.options), byref(image))
    return Handle(image.value, "msb_image_free")


def image_info(image: Handle) -> results.ImageInfo:
    with image as i:
        return _unpack.image(_unpack.at(_ffi.msb_image_info, lib.msb_image_info(i)))


def image_pull(where: object, plan: PullPlan, progress: object) -> results.ImageInfo:
    image = pull(where, plan, progress)
    try:
        return image_info(image)
    finally:
        image.close()


def image_open(where: object, reference: bytes) -> results.ImageInfo:
    image = c_void_p()
    with home(where) as h:
        call("image", "msb_image_open", h, reference, byref(image))
    handle = Handle(image.value, "msb_image_free")
    try:
        return image_info(handle)
    finally:
        handle.close()


def image_list(where: object) -> list[results.ImageInfo]:
    array, count = c_void_p(), c_size_t()
    with home(where) as h:
        call("image", "msb_image_list", h, byref(array), byref(count))
    try:
        handles = cast(array, POINTER(c_void_p))
        return [
            _unpack.image(_unpack.at(_ffi.msb_image_info, lib.msb_image_info(handles[i])))
            for i in range(count.value)
        ]
    finally:
        lib.msb_image_list_free(array, count)


def image_load(
    where: object, path: bytes, tag: Optional[bytes], plan: PullPlan, progress: object
) -> list[str]:
    names = c_void_p()
    with home(where) as h, pull_progress(progress) as p:
        plan.options.event = p.c
        call("image", "msb_image_load", h, path, tag, byref(plan.options), byref(names))
    return list(_unpack.own_strings(names))


def image_save(
    where: object, references: list[bytes], path: bytes, form: int, progress: object
) -> None:
    arena = Arena()
    o = sized(_ffi.msb_save_opts)
    o.format = form
    with home(where) as h, pull_progress(progress) as p:
        o.event = p.c
        call("image", "msb_image_save", h, arena.strings(references), byref(o), path)


def image_users(where: object, reference: bytes) -> list[str]:
    names = c_void_p()
    with home(where) as h:
        call("image", "msb_image_users", h, reference, byref(names))
    return list(_unpack.own_strings(names))


def image_remove(where: object, reference: bytes) -> None:
    with home(where) as h:
        call("image", "msb_image_remove", h, reference)


def image_prune(where: object, everything: bool) -> tuple[int, int]:
    freed, removed = c_uint64(), c_uint32()
    with home(where) as h:
        call("image", "msb_image_prune", h, int(everything), byref(freed), byref(removed))
    return freed.value, removed.value


def commit(
    where: object,
    sandbox: bytes,
    reference: bytes,
    author: Optional[bytes],
    message: Optional[bytes],
    changes: list[bytes],
) -> str:
    arena = Arena()
    o = sized(_ffi.msb_commit_opts)
    o.author, o.message, o.changes = author, message, arena.strings(changes)
    made = c_void_p()
    with home(where) as h:
        call("sandbox", "msb_image_commit", h, sandbox, reference, byref(o), byref(made))
    return _unpack.own_text(made)


# ---- sandboxes ------------------------------------------------------------------------------


def wait_ready(sandbox: Handle, timeout_ms: int = -1) -> None:
    """Wait until it is ready."""
    with sandbox as s:
        try:
            call("sandbox", "msb_sandbox_wait_ready", s, timeout_ms)
        except BootError as e:
            e.console = lib.msb_sandbox_console(s).decode("utf-8", "replace")
            raise


def detach(sandbox: Handle) -> None:
    with sandbox as s:
        call("sandbox", "msb_sandbox_detach", s)


def name_of(sandbox: Handle) -> tuple[str, str]:
    with sandbox as s:
        return _unpack.text(lib.msb_sandbox_name(s)), _unpack.text(lib.msb_sandbox_id(s))


def take_back(where: object, made: Handle, keep: bool = False) -> None:
    """What was made is not wanted: its machine goes and, unless it is kept, its record."""
    with uncancelled(), contextlib.suppress(MicrosandboxError):
        name = name_of(made)[0]
        made.close()
        if not keep:
            remove(where, check.encode(name, "name"), True)


class Undo:
    """Takes back what create() made when nobody waits for it any more."""

    def __init__(self, where: object) -> None:
        self._where = where

    def __call__(self, made: Handle) -> None:
        take_back(self._where, made)


def _create(c: Creation, progress: object) -> Optional[int]:
    """Pull, and put it on record. Its pointer, if it was started."""
    o = c.options
    image = None
    if c.pull.reference is not None:
        image = pull(c.home, c.pull, progress or c.progress)
    sandbox = c_void_p()
    try:
        with home(c.home) as h, image or contextlib.nullcontext() as i:
            o.image = i
            call("sandbox", "msb_sandbox_create", h, byref(o), byref(sandbox))
    finally:
        if image is not None:
            image.close()
    return sandbox.value


def create(c: Creation, progress: object = None) -> Handle:
    """Pull, create, wait until it is ready, detach."""
    made = Handle(_create(c, progress), "msb_sandbox_free")
    try:
        wait_ready(made)
        if c.detached:
            detach(made)
    except BaseException as e:
        # One that failed stays, for its logs and another try, if somebody knows its name.
        kept = isinstance(e, BootError) and c.name and c.options.flags & _ffi.MSB_SANDBOX_KEEP
        take_back(c.home, made, bool(kept))
        raise
    return made


def prepare(c: Creation) -> None:
    """Only put it on record."""
    _create(c, None)


def open_live(where: object, name: bytes) -> Handle:
    sandbox = c_void_p()
    with home(where) as h:
        call("sandbox", "msb_sandbox_open", h, name, byref(sandbox))
    handle = Handle(sandbox.value, "msb_sandbox_free")
    wait_ready(handle)
    return handle


class StartPlan:
    """How a sandbox on record is started."""

    def __init__(self, values: object, detached: object) -> None:
        self.arena = Arena()
        self.options = sized(_ffi.msb_start_opts)
        self.detached = check.flag(detached, "detached")
        if values is not None:
            self.options.secrets = secrets(self.arena, values)


def _started(made: Handle, plan: StartPlan) -> Handle:
    try:
        wait_ready(made)
        with made as s:
            call("sandbox", "msb_sandbox_run_main", s)
        if plan.detached:
            detach(made)
    except BaseException:
        with uncancelled():
            made.close()
        raise
    return made


def start(where: object, name: bytes, plan: StartPlan) -> Handle:
    sandbox = c_void_p()
    with home(where) as h:
        call("sandbox", "msb_sandbox_start", h, name, byref(plan.options), byref(sandbox))
    return _started(Handle(sandbox.value, "msb_sandbox_free"), plan)


def restart(where: object, name: bytes, timeout_ms: int, plan: StartPlan) -> Handle:
    sandbox = c_void_p()
    with home(where) as h:
        call(
            "sandbox",
            "msb_sandbox_restart",
            h,
            name,
            timeout_ms,
            byref(plan.options),
            byref(sandbox),
        )
    return _started(Handle(sandbox.value, "msb_sandbox_free"), plan)


def inspect(where: object, name: bytes) -> results.SandboxInfo:
    info = c_void_p()
    with home(where) as h:
        call("sandbox", "msb_sandbox_inspect", h, name, byref(info))
    assert info.value
    try:
        return _unpack.sandbox(_unpack.at(_ffi.msb_sandbox_info, info.value), disk=True)
    finally:
        lib.msb_sandbox_info_free(info)


def sandbox_list(where: object, labels: list[bytes]) -> list[results.SandboxInfo]:
    arena, found = Arena(), c_void_p()
    with home(where) as h:
        call("sandbox", "msb_sandbox_list", h, arena.strings(labels), byref(found))
    try:
        return [
            _unpack.sandbox(_unpack.at(_ffi.msb_sandbox_info, lib.msb_sandbox_list_get(found, i)))
            for i in range(lib.msb_sandbox_list_count(found))
        ]
    finally:
        lib.msb_sandbox_list_free(found)


def remove(where: object, name: bytes, force: bool) -> None:
    flags = _ffi.MSB_REMOVE_FORCE if force else 0
    with home(where) as h:
        call("sandbox", "msb_sandbox_remove", h, name, flags)


def _plan(plan: c_void_p) -> list[results.Change]:
    try:
        return [
            _unpack.change(_unpack.at(_ffi.msb_change, lib.msb_plan_get(plan, i)))
            for i in range(lib.msb_plan_count(plan))
        ]
    finally:
        lib.msb_plan_free(plan)


def modify(where: object, name: bytes, m: Modification) -> list[results.Change]:
    plan = c_void_p()
    with home(where) as h:
        call("sandbox", "msb_sandbox_modify", h, name, byref(m.options), byref(plan))
    return _plan(plan)


def pending(where: object, name: bytes) -> list[results.Change]:
    plan = c_void_p()
    with home(where) as h:
        call("sandbox", "msb_sandbox_pending", h, name, byref(plan))
    return _plan(plan)


# ---- of one that runs -----------------------------------------------------------------------


def stop(sandbox: Handle, timeout_ms: int) -> None:
    with sandbox as s:
        call("sandbox", "msb_sandbox_stop", s, timeout_ms)


def kill(sandbox: Handle) -> None:
    with sandbox as s:
        call("sandbox", "msb_sandbox_kill", s)


def wait(sandbox: Handle, timeout_ms: int) -> None:
    with sandbox as s:
        call("sandbox", "msb_sandbox_wait", s, timeout_ms)


def touch(sandbox: Handle) -> None:
    with sandbox as s:
        call("sandbox", "msb_sandbox_touch", s)


def ping(sandbox: Handle, timeout_ms: int) -> int:
    ns = c_uint64()
    with sandbox as s:
        call("sandbox", "msb_sandbox_ping", s, timeout_ms, byref(ns))
    return ns.value


def metrics(sandbox: Handle, before: Optional[results.Metrics]) -> results.Metrics:
    m = sized(_ffi.msb_metrics)
    with sandbox as s:
        call("sandbox", "msb_sandbox_metrics", s, byref(m))
    return _unpack.metrics(m, before)


def all_metrics(where: object) -> dict[str, results.Metrics]:
    """Of all that run; one that ends meanwhile is left out."""
    found = {}
    for info in sandbox_list(where, []):
        if info.state != "running":
            continue
        with contextlib.suppress(MicrosandboxError):
            live = open_live(where, check.encode(info.name, "name"))
            try:
                found[info.name] = metrics(live, None)
            finally:
                live.close()
    return found


def state(sandbox: Handle) -> results.State:
    with sandbox as s:
        return _unpack.state(lib.msb_sandbox_state(s))


def about(sandbox: Handle) -> dict[str, Any]:
    """What does not change while it runs."""
    times = sized(_ffi.msb_sandbox_times)
    with sandbox as s:
        lib.msb_sandbox_times(s, byref(times))
        return {
            "engine": _unpack.text(lib.msb_sandbox_engine(s)),
            "accel": _unpack.text(lib.msb_sandbox_accel(s)),
            "walls": _unpack.strings(lib.msb_sandbox_walls(s)),
            "warning": _unpack.text(lib.msb_sandbox_warning(s)),
            "console": _unpack.text(lib.msb_sandbox_console(s)),
            "times": {f[0]: getattr(times, f[0]) for f in times._fields_ if f[0] != "size"},
        }


# ---- network --------------------------------------------------------------------------------


def _json(kind: str, name: str, *args: Any) -> Any:
    import json

    said = c_void_p()
    call(kind, name, *args, byref(said))
    return json.loads(_unpack.own_text(said))


def ports(where: object, name: bytes) -> Any:
    with home(where) as h:
        return _json("sandbox", "msb_sandbox_ports", h, name)


def explain(where: object, name: bytes, host: bytes, port: int, protocol: Optional[bytes]) -> Any:
    with home(where) as h:
        return _json("sandbox", "msb_net_explain", h, name, host, port, protocol)


def rules(where: object, name: bytes) -> Any:
    with home(where) as h:
        return _json("sandbox", "msb_net_rules", h, name)


# ---- doctor ---------------------------------------------------------------------------------

CHECKS = {
    _ffi.MSB_CHECK_OK: "ok",
    _ffi.MSB_CHECK_INFO: "info",
    _ffi.MSB_CHECK_WARN: "warn",
    _ffi.MSB_CHECK_FAIL: "fail",
}


def doctor(path: Optional[bytes]) -> list[results.Check]:
    from .results import Check

    report = c_void_p()
    call("", "msb_doctor", path, byref(report))
    try:
        found = [
            _unpack.at(_ffi.msb_check, lib.msb_report_get(report, i))
            for i in range(lib.msb_report_count(report))
        ]
        return [
            Check(
                _unpack.text(c.name),
                CHECKS.get(c.status, "fail"),  # type: ignore[arg-type]
                _unpack.text(c.message),
                _unpack.text(c.fix),
            )
            for c in found
        ]
    finally:
        lib.msb_report_free(report)


def repair(path: Optional[bytes], dry_run: bool) -> list[str]:
    done = c_void_p()
    call("", "msb_repair", path, int(dry_run), byref(done))
    return list(_unpack.own_strings(done))
