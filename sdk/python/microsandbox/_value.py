"""Small values with named members: like frozen data classes, but quick to import."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, TypeVar

    from typing_extensions import dataclass_transform

    T = TypeVar("T", bound="Value")
else:

    def dataclass_transform(**_):
        return lambda cls: cls


@dataclass_transform(frozen_default=True, eq_default=True)
class Value:
    """A value: its members are those that its class annotates, in their order.

    Equal when all members are; cannot be changed, see replace().
    """

    _members: ClassVar[tuple[str, ...]] = ()
    _defaults: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        own = [n for n in cls.__dict__.get("__annotations__", None) or _annotations(cls)]
        cls._members = (*cls._members, *(n for n in own if n not in cls._members))
        cls._defaults = {n: getattr(cls, n) for n in cls._members if hasattr(cls, n)}
        setattr(cls, "__match_args__", cls._members)

    if not TYPE_CHECKING:

        def __init__(self, *args: object, **kwargs: object) -> None:
            members = self._members
            name = type(self).__name__
            if len(args) > len(members):
                raise TypeError(f"{name}() takes {len(members)} arguments, not {len(args)}")
            values = dict(zip(members, args))
            for key, value in kwargs.items():
                if key in values:
                    raise TypeError(f"{name}() got {key!r} twice")
                if key not in members:
                    raise TypeError(f"{name}() has no argument {key!r}")
                values[key] = value
            for key in members:
                if key not in values:
                    if key not in self._defaults:
                        raise TypeError(f"{name}() misses the argument {key!r}")
                    values[key] = self._defaults[key]
            self.__dict__.update(values)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed: see replace()")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *(_frozen(self.__dict__[n]) for n in self._members)))

    def __repr__(self) -> str:
        said = ", ".join(f"{n}={self.__dict__[n]!r}" for n in self._members if self._shown(n))
        return f"{type(self).__name__}({said})"

    def _shown(self, name: str) -> bool:
        """Whether the text form has the member: not what is as always, no values of secrets."""
        return name not in self._defaults or self.__dict__[name] != self._defaults[name]

    def replace(self: T, **changes: Any) -> T:
        """The same, with other values of some members."""
        return type(self)(**{**self.__dict__, **changes})


def _annotations(cls: type) -> dict[str, Any]:
    found: dict[str, Any] = getattr(cls, "__annotations__", {})
    return found


def _frozen(value: object) -> object:
    if isinstance(value, dict):
        return tuple(sorted(value.items()))
    return tuple(value) if isinstance(value, list) else value
