"""As _ops: files, volumes, snapshots, logs."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_size_t, c_uint64, c_void_p

from . import _ffi, _unpack
from ._native import Handle, call, lib
from ._ops import copy_progress, home
from ._pack import Arena, sized
from .results import LogEntry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from . import results


# ---- a running sandbox's files --------------------------------------------------------------


def read(sandbox: Handle, path: bytes, limit: int) -> bytes:
    data, length = c_void_p(), c_size_t()
    with sandbox as s:
        call("path", "msb_file_read", s, path, limit, byref(data), byref(length))
    try:
        return _unpack.buffer(data.value, length.value)
    finally:
        lib.msb_free(data)


def write(sandbox: Handle, path: bytes, data: bytes, mode: int, flags: int) -> None:
    with sandbox as s:
        call("path", "msb_file_write", s, path, data, len(data), mode, flags)


def stat(sandbox: Handle, path: bytes, flags: int) -> results.FileInfo:
    info = sized(_ffi.msb_file_info)
    with sandbox as s:
        call("path", "msb_file_stat", s, path, flags, byref(info))
        return _unpack.file_info(info)


def listing(sandbox: Handle, path: bytes) -> list[results.FileInfo]:
    found = c_void_p()
    with sandbox as s:
        call("path", "msb_file_list", s, path, byref(found))
    try:
        return [
            _unpack.file_info(_unpack.at(_ffi.msb_file_info, lib.msb_file_list_get(found, i)))
            for i in range(lib.msb_file_list_count(found))
        ]
    finally:
        lib.msb_file_list_free(found)


def path_call(sandbox: Handle, name: str, *args: Any) -> None:
    """Those that only succeed or fail: mkdir, remove, rename, chmod, chown, symlink, copy."""
    with sandbox as s:
        call("path", name, s, *args)


def open_file(
    sandbox: Handle, path: bytes, mode: int, flags: int, permissions: int, offset: int, length: int
) -> Handle:
    o = sized(_ffi.msb_file_opts)
    o.mode, o.flags, o.permissions, o.offset, o.length = mode, flags, permissions, offset, length
    file = c_void_p()
    with sandbox as s:
        call("path", "msb_file_open", s, path, byref(o), byref(file))
    return Handle(file.value, "msb_file_close")


def get(file: Handle, size: int) -> bytes:
    data = ctypes.create_string_buffer(size)
    with file.serial, file as f:
        n = call("path", "msb_file_get", f, data, size)
    return data.raw[:n]


def put(file: Handle, data: bytes) -> None:
    with file.serial, file as f:
        call("path", "msb_file_put", f, data, len(data))


def finish(file: Handle) -> None:
    try:
        with file.serial, file as f:
            call("path", "msb_file_finish", f)
    finally:
        file.close()


def _copy_options(flags: int) -> _ffi.msb_copy_opts:
    o = sized(_ffi.msb_copy_opts)
    o.flags = flags
    return o


def copy_trees(
    sandbox: Handle, name: str, source: bytes, target: bytes, flags: int, progress: object
) -> None:
    """msb_copy_in and msb_copy_out."""
    o = _copy_options(flags)
    with sandbox as s, copy_progress(progress) as p:
        o.event = p.c
        call("path", name, s, source, target, byref(o))


def copy_in_tar(sandbox: Handle, fd: int, target: bytes, flags: int, progress: object) -> None:
    o = _copy_options(flags)
    with sandbox as s, copy_progress(progress) as p:
        o.event = p.c
        call("path", "msb_copy_in_tar", s, fd, target, byref(o))


def copy_out_tar(sandbox: Handle, source: bytes, fd: int, flags: int, progress: object) -> None:
    o = _copy_options(flags)
    with sandbox as s, copy_progress(progress) as p:
        o.event = p.c
        call("path", "msb_copy_out_tar", s, source, fd, byref(o))


def copy_across(
    sandbox: Handle, source: bytes, other: Handle, target: bytes, flags: int, progress: object
) -> None:
    o = _copy_options(flags)
    with sandbox as s, other as t, copy_progress(progress) as p:
        o.event = p.c
        call("path", "msb_copy_across", s, source, t, target, byref(o))


# ---- volumes --------------------------------------------------------------------------------


def volume_create(where: object, name: bytes, kind: int, size: int) -> None:
    o = sized(_ffi.msb_volume_opts)
    o.kind, o.size_bytes = kind, size
    with home(where) as h:
        call("volume", "msb_volume_create", h, name, byref(o))


def volumes(where: object, name: Optional[bytes]) -> list[results.VolumeInfo]:
    found = c_void_p()
    with home(where) as h:
        call("volume", "msb_volume_list", h, name, byref(found))
    try:
        return [
            _unpack.volume(_unpack.at(_ffi.msb_volume_info, lib.msb_volumes_get(found, i)))
            for i in range(lib.msb_volumes_count(found))
        ]
    finally:
        lib.msb_volumes_free(found)


def volume_remove(where: object, name: bytes, force: bool) -> None:
    with home(where) as h:
        call("volume", "msb_volume_remove", h, name, int(force))


def volume_prune(where: object) -> tuple[tuple[str, ...], int]:
    names, freed = c_void_p(), c_uint64()
    with home(where) as h:
        call("volume", "msb_volume_prune", h, byref(names), byref(freed))
    return _unpack.own_strings(names), freed.value


# ---- snapshots ------------------------------------------------------------------------------


def snapshot_create(
    where: object, sandbox: bytes, name: bytes, labels: list[bytes], flags: int, progress: object
) -> None:
    arena = Arena()
    o = sized(_ffi.msb_snapshot_opts)
    o.labels, o.flags = arena.strings(labels), flags
    with home(where) as h, copy_progress(progress) as p:
        o.event = p.c
        call("sandbox to snapshot", "msb_snapshot_create", h, sandbox, name, byref(o))


def snapshots(where: object, name: Optional[bytes]) -> list[results.SnapshotInfo]:
    found = c_void_p()
    with home(where) as h:
        call("snapshot", "msb_snapshot_list", h, name, byref(found))
    try:
        return [
            _unpack.snapshot(_unpack.at(_ffi.msb_snapshot_info, lib.msb_snapshots_get(found, i)))
            for i in range(lib.msb_snapshots_count(found))
        ]
    finally:
        lib.msb_snapshots_free(found)


def snapshot_image(where: object, name: bytes) -> results.ImageInfo:
    from ._ops import image_info

    image = c_void_p()
    with home(where) as h:
        call("snapshot", "msb_snapshot_image", h, name, byref(image))
    handle = Handle(image.value, "msb_image_free")
    try:
        return image_info(handle)
    finally:
        handle.close()


def snapshot_verify(where: object, name: bytes) -> None:
    with home(where) as h:
        call("snapshot", "msb_snapshot_verify", h, name)


def snapshot_remove(where: object, name: bytes) -> None:
    with home(where) as h:
        call("snapshot", "msb_snapshot_remove", h, name)


def snapshot_save(where: object, name: bytes, path: bytes, flags: int) -> None:
    with home(where) as h:
        call("snapshot", "msb_snapshot_save", h, name, path, flags)


def snapshot_load(where: object, path: bytes, name: Optional[bytes]) -> str:
    made = c_void_p()
    with home(where) as h:
        call("snapshot", "msb_snapshot_load", h, path, name, byref(made))
    return _unpack.own_text(made)


# ---- logs -----------------------------------------------------------------------------------

SOURCES = {
    "stdout": _ffi.MSB_LOG_STDOUT,
    "stderr": _ffi.MSB_LOG_STDERR,
    "output": _ffi.MSB_LOG_OUTPUT,
    "console": _ffi.MSB_LOG_CONSOLE,
    "system": _ffi.MSB_LOG_SYSTEM,
}
READ_SOURCES = {**SOURCES, "all": sum(SOURCES.values())}
SOURCE_NAMES = {v: k for k, v in SOURCES.items()}
BATCH = 256


def logs_open(where: object, name: bytes, options: _ffi.msb_log_opts) -> Handle:
    logs = c_void_p()
    with home(where) as h:
        call("sandbox", "msb_logs_open", h, name, byref(options), byref(logs))
    return Handle(logs.value, "msb_logs_free")


def logs_fd(logs: Handle) -> int:
    with logs as pointer:
        fd: int = lib.msb_logs_fd(pointer)
        return fd


def logs_next(logs: Handle) -> tuple[list[results.LogEntry], bool]:
    """What there is now, up to a batch, and whether there will be nothing more."""
    found: list[results.LogEntry] = []
    entry = sized(_ffi.msb_log_entry)
    with logs.serial, logs as pointer:
        while len(found) < BATCH and call("sandbox", "msb_logs_next", pointer, 0, byref(entry)):
            source: Any = SOURCE_NAMES.get(entry.source, "system")
            found.append(
                LogEntry(
                    entry.unix_ms / 1000,
                    source,
                    _unpack.buffer(entry.data, entry.len),
                    entry.session or None,
                )
            )
        return found, not found and bool(lib.msb_logs_ended(pointer))


def logs_read(where: object, name: bytes, options: _ffi.msb_log_opts) -> list[results.LogEntry]:
    logs = logs_open(where, name, options)
    try:
        found: list[results.LogEntry] = []
        while True:
            batch, _ = logs_next(logs)
            if not batch:
                return found
            found += batch
    finally:
        logs.close()
