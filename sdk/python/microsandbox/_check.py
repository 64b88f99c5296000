"""Arguments are checked here, before anything starts: types, ranges, NULs."""

from __future__ import annotations

import math
import os

from .errors import InvalidConfigError, InvalidTypeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import NoReturn, Optional

U16 = (1 << 16) - 1
U32 = (1 << 32) - 1
U64 = (1 << 64) - 1
I64 = (1 << 63) - 1
MiB = 1 << 20


def wrong_type(what: str, wanted: str, value: object) -> NoReturn:
    raise InvalidTypeError(f"{what} must be {wanted}, not {type(value).__name__}")


def encode(value: str, what: str) -> bytes:
    """A string for C. Bytes that were no UTF-8 come back as they came."""
    try:
        data = value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InvalidConfigError(f"{what} has characters that are no text: {value!r}") from None
    if b"\0" in data:
        raise InvalidConfigError(f"{what} must not contain NUL: {value!r}")
    return data


def text(value: object, what: str) -> bytes:
    if not isinstance(value, str):
        wrong_type(what, "a string", value)
    return encode(value, what)


def path(value: object, what: str) -> bytes:
    """A string or os.PathLike."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
        if isinstance(value, bytes):
            value = os.fsdecode(value)
    if not isinstance(value, str):
        wrong_type(what, "a path", value)
    if not value:
        raise InvalidConfigError(f"{what} is empty")
    return encode(value, what)


def host_path(value: object, what: str) -> bytes:
    """A path of this host, made absolute: C does not know what the working folder was."""
    return os.path.abspath(path(value, what))


def integer(value: object, what: str, low: int = 0, high: int = U32) -> int:
    if isinstance(value, bool) or not hasattr(type(value), "__index__"):
        wrong_type(what, "an integer", value)
    n: int = value.__index__()  # type: ignore[attr-defined]
    if not low <= n <= high:
        raise InvalidConfigError(f"{what} must be between {low} and {high}, not {n}")
    return n


def flag(value: object, what: str) -> bool:
    if not isinstance(value, bool):
        wrong_type(what, "True or False", value)
    return value


def choice(value: object, what: str, table: Mapping[str, int]) -> int:
    if not isinstance(value, str):
        wrong_type(what, "a string", value)
    if value not in table:
        raise InvalidConfigError(f"{what} must be one of {', '.join(table)}, not {value!r}")
    return table[value]


def seconds(value: object, what: str) -> float:
    """Seconds, or a timedelta."""
    if hasattr(value, "total_seconds"):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        wrong_type(what, "a number of seconds or a timedelta", value)
    if not 0 <= value < math.inf:
        raise InvalidConfigError(f"{what} must be a time of 0 or more, not {value}")
    return value


def milliseconds(value: object, what: str, high: int = U32) -> int:
    """Rounded up, so that a little is not nothing."""
    return integer(math.ceil(seconds(value, what) * 1000), f"{what} in milliseconds", 0, high)


def whole_seconds(value: object, what: str) -> int:
    return integer(math.ceil(seconds(value, what)), what)


def wait_ms(value: object, what: str) -> int:
    """A time limit for C: None is no limit."""
    return -1 if value is None else milliseconds(value, what, (1 << 31) - 1)


def mebibytes(value: object, what: str) -> int:
    """MiB, or a Size: bytes."""
    from .types import Size

    if isinstance(value, Size):
        return integer(value.bytes, what, 0, U64)
    return integer(value, what, 0, U64 // MiB) * MiB


def sequence(value: object, what: str) -> list[object]:
    """A list of things; a string is none."""
    if isinstance(value, (str, bytes, bytearray, dict)) or not hasattr(type(value), "__iter__"):
        wrong_type(what, "a list", value)
    items: Iterable[object] = value  # type: ignore[assignment]
    return list(items)


def texts(value: object, what: str) -> list[bytes]:
    return [text(v, f"{what}[{i}]") for i, v in enumerate(sequence(value, what))]


def mapping(value: object, what: str) -> dict[object, object]:
    if not hasattr(type(value), "keys") or not hasattr(type(value), "__getitem__"):
        wrong_type(what, "a mapping", value)
    items: Mapping[object, object] = value  # type: ignore[assignment]
    return {k: items[k] for k in items}


def pairs(value: object, what: str) -> list[bytes]:
    """A mapping of strings as KEY=VALUE."""
    found = []
    for k, v in mapping(value, what).items():
        key = text(k, f"a key of {what}")
        if not key or b"=" in key:
            raise InvalidConfigError(f"a key of {what} must not be empty nor have a '=': {k!r}")
        found.append(key + b"=" + text(v, f"{what}[{k!r}]"))
    return found


def data(value: object, what: str) -> bytes:
    """Bytes of any kind, or a text."""
    if isinstance(value, str):
        try:
            return value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise InvalidConfigError(f"{what} has characters that are no text") from None
    if isinstance(value, bytes):
        return value
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    wrong_type(what, "bytes or a string", value)


def unknown(options: Mapping[str, object], known: Iterable[str], function: str) -> None:
    """Options that there are not."""
    left = sorted(set(options) - set(known))
    if left:
        raise InvalidTypeError(f"{function}() got an unexpected option {left[0]!r}")


def optional_path(value: object, what: str) -> Optional[bytes]:
    return None if value is None else host_path(value, what)
