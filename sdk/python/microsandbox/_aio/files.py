"""Files of a sandbox that runs."""

from __future__ import annotations

from .. import _check as check
from .. import _ffi, _native, _ops_files
from ..errors import PathNotFoundError
from ._run import Lock, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    import builtins
    from collections.abc import AsyncIterator, Callable
    from typing import Optional, Union

    from ..results import CopyEvent, FileInfo
    from ..types import Data, StrPath
    from .sandbox import Sandbox

CHUNK = 1 << 20  # of a stream
LIMIT = 1 << 30  # of read(): as much as fits is read, but not without bounds


class FsReadStream:
    """A file, piece by piece."""

    def __init__(self, file: _native.Handle, chunk: int) -> None:
        self._file = file
        self._chunk = chunk

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data = await self.read()
        if not data:
            raise StopAsyncIteration
        return data

    async def read(self, size: Optional[int] = None) -> bytes:
        """The next bytes, at most so many; b"" at the end."""
        n = self._chunk if size is None else check.integer(size, "size", 1, 1 << 26)
        if self._file.closed:
            return b""
        data = await run(_ops_files.get, self._file, n)
        if not data:
            await self.close()
        return data

    async def collect(self) -> bytes:
        """All that is left."""
        parts = []
        async for part in self:
            parts.append(part)
        return b"".join(parts)

    async def close(self) -> None:
        await run(self._file.close)

    async def __aenter__(self) -> FsReadStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class FsWriteSink:
    """A file that is written piece by piece. It appears under its name when it is closed; when
    the block of `async with` ends by an exception, or nobody closes it, nothing of it is left."""

    def __init__(self, file: _native.Handle) -> None:
        self._file = file
        self._lock = Lock()

    async def write(self, data: Union[Data, str]) -> None:
        piece = check.data(data, "data")
        async with self._lock:
            await run(_ops_files.put, self._file, piece)

    async def close(self) -> None:
        """It is complete."""
        async with self._lock:
            if not self._file.closed:
                await run(_ops_files.finish, self._file)

    async def abort(self) -> None:
        """What was written is dropped."""
        await run(self._file.close)

    async def __aenter__(self) -> FsWriteSink:
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        if kind is None:
            await self.close()
        else:
            await self.abort()


class SandboxFsOps:
    """Files of a sandbox. Paths are absolute, or relative to /, and resolved in the guest."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    @property
    def _handle(self) -> _native.Handle:
        return self._sandbox._handle

    async def read(self, path: StrPath, *, max_size: int = LIMIT) -> bytes:
        """A whole file; NoSpaceError when it is larger than max_size."""
        limit = check.integer(max_size, "max_size", 1, check.I64)
        return await run(_ops_files.read, self._handle, check.path(path, "path"), limit)

    async def read_text(self, path: StrPath, *, encoding: str = "utf-8") -> str:
        return (await self.read(path)).decode(encoding)

    async def read_stream(
        self, path: StrPath, *, offset: int = 0, length: int = 0, chunk_size: int = CHUNK
    ) -> FsReadStream:
        """For large ones; a part, when offset and length say so (length 0: to the end)."""
        at = check.integer(offset, "offset", 0, check.U64)
        size = check.integer(length, "length", 0, check.U64)
        chunk = check.integer(chunk_size, "chunk_size", 1, 1 << 26)
        name = check.path(path, "path")
        file = await run(
            _ops_files.open_file, self._handle, name, _ffi.MSB_FILE_READ, 0, 0, at, size
        )
        return FsReadStream(file, chunk)

    async def write(
        self,
        path: StrPath,
        data: Union[Data, str],
        *,
        mode: Optional[int] = None,
        append: bool = False,
        exclusive: bool = False,
    ) -> None:
        """A whole file. It appears when it is complete, with the owner and mode of what it
        replaces, else root's and `mode` (0o644)."""
        flags = _write_flags(append, exclusive)
        m = 0 if mode is None else check.integer(mode, "mode", 0, 0o7777)
        body = check.data(data, "data")
        await run(_ops_files.write, self._handle, check.path(path, "path"), body, m, flags)

    async def write_stream(
        self,
        path: StrPath,
        *,
        mode: Optional[int] = None,
        append: bool = False,
        exclusive: bool = False,
    ) -> FsWriteSink:
        """For large ones."""
        flags = _write_flags(append, exclusive)
        m = 0 if mode is None else check.integer(mode, "mode", 0, 0o7777)
        name = check.path(path, "path")
        file = await run(
            _ops_files.open_file, self._handle, name, _ffi.MSB_FILE_WRITE, flags, m, 0, 0
        )
        return FsWriteSink(file)

    async def list(self, path: StrPath = "/") -> builtins.list[FileInfo]:
        """A folder's entries, by name."""
        return await run(_ops_files.listing, self._handle, check.path(path, "path"))

    async def stat(self, path: StrPath, *, follow_symlinks: bool = True) -> FileInfo:
        follow = check.flag(follow_symlinks, "follow_symlinks")
        flags = 0 if follow else _ffi.MSB_FILE_NO_FOLLOW
        return await run(_ops_files.stat, self._handle, check.path(path, "path"), flags)

    async def exists(self, path: StrPath) -> bool:
        """Whether the path leads to something."""
        try:
            await self.stat(path)
        except PathNotFoundError:
            return False
        return True

    async def _call(self, name: str, *args: object) -> None:
        await run(_ops_files.path_call, self._handle, name, *args)

    async def mkdir(self, path: StrPath, *, mode: int = 0o755, parents: bool = False) -> None:
        """With parents: those above, too, and fine when it exists."""
        m = check.integer(mode, "mode", 0, 0o7777)
        flags = _ffi.MSB_FILE_RECURSIVE if check.flag(parents, "parents") else 0
        await self._call("msb_file_mkdir", check.path(path, "path"), m, flags)

    async def remove(
        self, path: StrPath, *, recursive: bool = False, missing_ok: bool = False
    ) -> None:
        """A file or an empty folder; with recursive: a folder and all in it."""
        flags = _ffi.MSB_FILE_RECURSIVE if check.flag(recursive, "recursive") else 0
        if check.flag(missing_ok, "missing_ok"):
            flags |= _ffi.MSB_FILE_FORCE
        await self._call("msb_file_remove", check.path(path, "path"), flags)

    async def remove_dir(self, path: StrPath) -> None:
        """A folder and all in it."""
        await self.remove(path, recursive=True)

    async def rename(self, source: StrPath, target: StrPath, *, replace: bool = True) -> None:
        flags = 0 if check.flag(replace, "replace") else _ffi.MSB_FILE_NO_REPLACE
        await self._call(
            "msb_file_rename", check.path(source, "source"), check.path(target, "target"), flags
        )

    async def copy(self, source: StrPath, target: StrPath) -> None:
        """Within the guest; folders with all in them."""
        await self._call(
            "msb_file_copy", check.path(source, "source"), check.path(target, "target")
        )

    async def symlink(self, target: StrPath, path: StrPath) -> None:
        await self._call("msb_file_symlink", check.path(target, "target"), check.path(path, "path"))

    async def read_link(self, path: StrPath) -> str:
        return (await self.stat(path, follow_symlinks=False)).target

    async def chmod(self, path: StrPath, mode: int) -> None:
        m = check.integer(mode, "mode", 0, 0o7777)
        await self._call("msb_file_chmod", check.path(path, "path"), m)

    async def chown(
        self, path: StrPath, uid: int, gid: int, *, follow_symlinks: bool = True
    ) -> None:
        flags = 0 if check.flag(follow_symlinks, "follow_symlinks") else _ffi.MSB_FILE_NO_FOLLOW
        u, g = check.integer(uid, "uid"), check.integer(gid, "gid")
        await self._call("msb_file_chown", check.path(path, "path"), u, g, flags)

    async def copy_from_host(
        self,
        source: StrPath,
        target: StrPath,
        *,
        keep_owner: bool = False,
        follow: bool = False,
        content_only: bool = False,
        progress: Optional[Callable[[CopyEvent], object]] = None,
    ) -> None:
        """A file or a tree. A target that is a folder takes the source into it; with
        content_only the content of a folder goes there, not the folder."""
        flags = _copy_flags(keep_owner, follow, content_only)
        a, b = check.host_path(source, "source"), check.path(target, "target")
        await run(_ops_files.copy_trees, self._handle, "msb_copy_in", a, b, flags, progress)

    async def copy_to_host(
        self,
        source: StrPath,
        target: StrPath,
        *,
        keep_owner: bool = False,
        follow: bool = False,
        content_only: bool = False,
        progress: Optional[Callable[[CopyEvent], object]] = None,
    ) -> None:
        """A file or a tree, as copy_from_host(). Nothing is written outside of the target."""
        flags = _copy_flags(keep_owner, follow, content_only)
        a, b = check.path(source, "source"), check.host_path(target, "target")
        await run(_ops_files.copy_trees, self._handle, "msb_copy_out", a, b, flags, progress)

    async def copy_to_sandbox(
        self, source: StrPath, other: Sandbox, target: StrPath, *, keep_owner: bool = False
    ) -> None:
        """From this sandbox to another, without a copy in between."""
        flags = _copy_flags(keep_owner, False, False)
        a, b = check.path(source, "source"), check.path(target, "target")
        await run(_ops_files.copy_across, self._handle, a, other._handle, b, flags, None)

    async def import_tar(self, fd: int, target: StrPath, *, keep_owner: bool = False) -> None:
        """A tar stream of a descriptor, into a folder."""
        flags = _copy_flags(keep_owner, False, False)
        n = check.integer(fd, "fd", 0, (1 << 31) - 1)
        await run(
            _ops_files.copy_in_tar, self._handle, n, check.path(target, "target"), flags, None
        )

    async def export_tar(self, source: StrPath, fd: int, *, keep_owner: bool = True) -> None:
        """A file or a tree as a tar stream (pax), to a descriptor."""
        flags = _copy_flags(keep_owner, False, False)
        n = check.integer(fd, "fd", 0, (1 << 31) - 1)
        await run(
            _ops_files.copy_out_tar, self._handle, check.path(source, "source"), n, flags, None
        )


def _write_flags(append: bool, exclusive: bool) -> int:
    flags = _ffi.MSB_FILE_APPEND if check.flag(append, "append") else 0
    return flags | (_ffi.MSB_FILE_EXCLUSIVE if check.flag(exclusive, "exclusive") else 0)


def _copy_flags(keep_owner: bool, follow: bool, content_only: bool) -> int:
    flags = _ffi.MSB_COPY_OWNER if check.flag(keep_owner, "keep_owner") else 0
    flags |= _ffi.MSB_COPY_FOLLOW if check.flag(follow, "follow") else 0
    return flags | (_ffi.MSB_COPY_CONTENT if check.flag(content_only, "content_only") else 0)
