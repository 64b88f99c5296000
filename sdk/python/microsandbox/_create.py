"""The options of Sandbox.create() and modify() as the C library's structs."""

from __future__ import annotations

from . import _check as check
from . import _ffi
from ._pack import Arena, mounts, network, patches, rlimits, secrets, sized, tls, want
from .errors import InvalidConfigError, UnsupportedError
from .types import ImageSource, InitConfig, Secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Callable, Optional

    Setter = Callable[["Creation", object], None]

POLICIES = {
    "if-missing": _ffi.MSB_PULL_MISSING,
    "always": _ffi.MSB_PULL_ALWAYS,
    "never": _ffi.MSB_PULL_NEVER,
}
UPPERS = {"disk": _ffi.MSB_UPPER_DISK, "tmpfs": _ffi.MSB_UPPER_TMPFS}
ENGINES = {"auto": _ffi.MSB_ENGINE_AUTO, "kvm": _ffi.MSB_ENGINE_KVM, "qemu": _ffi.MSB_ENGINE_QEMU}
ACCELS = {"auto": _ffi.MSB_ACCEL_AUTO, "kvm": _ffi.MSB_ACCEL_KVM, "tcg": _ffi.MSB_ACCEL_TCG}
LOG_LEVELS = ("error", "warn", "info", "debug", "trace")


class PullPlan:
    """How an image is made usable."""

    def __init__(self) -> None:
        self.reference: Optional[bytes] = None
        self.options = sized(_ffi.msb_pull_opts)


class Creation:
    """A creation that has been checked: the structs, and what is done around them."""

    def __init__(self) -> None:
        self.arena = Arena()
        self.options = sized(_ffi.msb_sandbox_opts)
        self.pull = PullPlan()
        self.name: Optional[bytes] = None
        self.detached = False
        self.home: object = None
        self.progress: object = None
        self.has_command = False


def image(c: PullPlan, value: object) -> None:
    if isinstance(value, ImageSource):
        c.reference = check.text(value.reference, "image")
        if check.flag(value.live, "image.live"):
            c.options.root = _ffi.MSB_ROOT_LIVE
        return
    c.reference = check.path(value, "image")


def pull_policy(o: _ffi.msb_pull_opts, value: object) -> None:
    o.policy = check.choice(value, "pull_policy", POLICIES)


def _init(c: Creation, value: object) -> None:
    if isinstance(value, str):
        value = InitConfig(value)
    elif isinstance(value, dict):
        value = InitConfig(**value)
    said: InitConfig = want(value, InitConfig, "init")
    c.options.init = check.text(said.cmd, "init")
    c.options.init_args = c.arena.strings(check.texts(said.args, "init.args"))
    c.options.init_env = c.arena.strings(check.pairs(said.env or {}, "init.env"))


def _scripts(c: Creation, value: object) -> None:
    found = []
    for k, v in check.mapping(value, "scripts").items():
        name, body = check.text(k, "a name of scripts"), check.text(v, f"scripts[{k!r}]")
        if not name or b"=" in name or b"/" in name:
            raise InvalidConfigError(f"a name of scripts must be a file's name, not {k!r}")
        found.append(name + b"=" + body)
    c.options.scripts = c.arena.strings(found)


def _replace_with_timeout(c: Creation, value: object) -> None:
    c.options.flags |= _ffi.MSB_SANDBOX_REPLACE
    # 0 would be the default: at once is as good as that
    c.options.replace_timeout_ms = max(1, check.milliseconds(value, "replace_with_timeout"))


def _log_level(c: Creation, value: object) -> None:
    check.choice(value, "log_level", dict.fromkeys(LOG_LEVELS, 0))
    c.options.log_level = check.text(value, "log_level")


def _image(c: Creation, value: object) -> None:
    image(c.pull, value)
    disk = value.root_disk if isinstance(value, ImageSource) else None
    if disk is not None:
        c.options.upper = check.choice(disk.kind, "image.root_disk.kind", UPPERS)
        if disk.size is not None:
            c.options.upper_bytes = check.mebibytes(disk.size, "image.root_disk.size")


def _entrypoint(value: object, what: str) -> bytes:
    """One program; its arguments are cmd's."""
    if not isinstance(value, str):
        words = check.sequence(value, what)
        if len(words) != 1:
            raise UnsupportedError("entrypoint is one program: put its arguments into cmd")
        value = words[0]
    return check.text(value, what)


def _cmd(c: Creation, value: object) -> None:
    words = check.texts(value, "cmd")
    c.has_command = bool(words)
    c.options.command = c.arena.strings(words)


def _member(name: str, how: Callable[[object, str], object], option: str = "") -> Setter:
    def set_it(c: Creation, value: object) -> None:
        setattr(c.options, name, how(value, option or name))

    return set_it


def _list(name: str, how: Callable[[object, str], list[bytes]]) -> Setter:
    def set_it(c: Creation, value: object) -> None:
        setattr(c.options, name, c.arena.strings(how(value, name)))

    return set_it


def _choice(name: str, table: Mapping[str, int]) -> Setter:
    return _member(name, lambda v, what: check.choice(v, what, table))


def _own(name: str, how: Callable[[object, str], object]) -> Setter:
    def set_it(c: Creation, value: object) -> None:
        setattr(c, name, how(value, name))

    return set_it


def _replace(c: Creation, value: object) -> None:
    if check.flag(value, "replace"):
        c.options.flags |= _ffi.MSB_SANDBOX_REPLACE


def _insecure(c: Creation, value: object) -> None:
    c.pull.options.insecure = int(check.flag(value, "registry_insecure"))


def _ca_certs(c: Creation, value: object) -> None:
    c.pull.options.ca_certs = check.host_path(value, "registry_ca_certs")


def _mounts(c: Creation, value: object) -> None:
    c.options.mounts = mounts(c.arena, value)


def _patches(c: Creation, value: object) -> None:
    c.options.patches = patches(c.arena, value)


def _secrets(c: Creation, value: object) -> None:
    c.options.secrets = secrets(c.arena, value)


def _nothing(c: Creation, value: object) -> None:
    """Seen by who needs several options at once."""


SETTERS: dict[str, Setter] = {
    "image": _image,
    "from_snapshot": _member("snapshot", check.text, "from_snapshot"),
    "cpus": _member("cpus", lambda v, what: check.integer(v, what, 1, _ffi.MSB_CPUS_MAX)),
    "memory": _member("memory_bytes", check.mebibytes, "memory"),
    "upper": _choice("upper", UPPERS),
    "upper_size": _member("upper_bytes", check.mebibytes, "upper_size"),
    "env": _list("env", check.pairs),
    "workdir": _member("workdir", check.path),
    "user": _member("user", check.text),
    "shell": _member("shell", check.path),
    "hostname": _member("hostname", check.text),
    "entrypoint": _member("entrypoint", _entrypoint),
    "cmd": _cmd,
    "rlimits": _list("rlimits", rlimits),
    "scripts": _scripts,
    "init": _init,
    "labels": _list("labels", check.pairs),
    "detached": _own("detached", check.flag),
    "ephemeral": _nothing,
    "replace": _replace,
    "replace_with_timeout": _replace_with_timeout,
    "max_duration": _member("max_duration_s", check.whole_seconds, "max_duration"),
    "idle_timeout": _member("idle_timeout_s", check.whole_seconds, "idle_timeout"),
    "boot_timeout": _member("boot_timeout_ms", check.milliseconds, "boot_timeout"),
    "volumes": _mounts,
    "patches": _patches,
    "network": _nothing,
    "ports": _nothing,
    "vsock": _nothing,
    "proxy": _nothing,
    "secrets": _secrets,
    "tls": _nothing,
    "on_secret_violation": _nothing,
    "pull_policy": lambda c, v: pull_policy(c.pull.options, v),
    "registry_insecure": _insecure,
    "registry_ca_certs": _ca_certs,
    "progress": _own("progress", lambda v, what: callback(v, what)),
    "engine": _choice("engine", ENGINES),
    "accel": _choice("accel", ACCELS),
    "log_level": _log_level,
    "log_fd": _member("log_fd", lambda v, what: check.integer(v, what, 0, (1 << 31) - 1)),
    "home": _own("home", lambda v, what: v),
}

# Of other implementations; they would mean something that this one does not do.
NOT_HERE = {
    "max_cpus": "cpus of a running machine cannot grow",
    "max_memory": "memory of a running machine cannot grow",
    "thp": "huge pages are the host's affair",
    "cpu_placement": "processors are not pinned",
    "placement_profile": "processors are not pinned",
    "security": "every machine is in a jail; the guest is not restricted further",
    "deployment_profile": "there are no deployment profiles",
    "registry_auth": "credentials are taken from ~/.docker/config.json",
    "metrics_sample_interval": "metrics are taken when they are asked for",
    "disable_metrics_sample": "metrics are taken when they are asked for",
}


def callback(value: object, what: str) -> object:
    if not callable(value):
        check.wrong_type(what, "a function", value)
    return value


def creation(name: object, options: Mapping[str, object], start: bool = True) -> Creation:
    """All options of a sandbox, checked. An option that is None is not said."""
    c = Creation()
    for key in options:
        if key in NOT_HERE:
            raise UnsupportedError(f"create() has no option {key!r}: {NOT_HERE[key]}")
    check.unknown(options, SETTERS, "create")
    said = {k: v for k, v in options.items() if v is not None}
    if name is not None:
        c.name = c.options.name = check.text(name, "name")
        if not c.name:
            raise InvalidConfigError("name is empty")
    for key, value in said.items():
        SETTERS[key](c, value)
    if ("image" in said) == ("from_snapshot" in said):
        raise InvalidConfigError("create() needs image or from_snapshot, one of both")
    ephemeral = check.flag(said.get("ephemeral", name is None), "ephemeral")
    if not ephemeral:
        c.options.flags |= _ffi.MSB_SANDBOX_KEEP
    if not start:
        if ephemeral:
            raise InvalidConfigError("what is not started has to be kept (ephemeral=False)")
        c.options.flags |= _ffi.MSB_SANDBOX_NO_START
    net = network(c.arena, said)
    c.options.network = c.arena.ref(net) if net else None
    inside = tls(c.arena, said)
    c.options.tls = c.arena.ref(inside) if inside else None
    return c


# ---- modify ---------------------------------------------------------------------------------


def _limit(value: object, what: str) -> int:
    """A time limit in whole seconds; 0 is none any more."""
    s = check.integer(check.whole_seconds(value, what), what, 0, (1 << 31) - 1)
    return s if s else -1


def _specs(value: object) -> object:
    """{NAME: {"value": ..., "allowed_hosts": [...]}} as a list of Secret."""
    if not hasattr(type(value), "keys"):
        return value
    found = []
    for name, v in check.mapping(value, "secrets").items():
        spec = check.mapping(v, f"secrets[{name!r}]")
        known = ("env", "value", "placeholder", "allowed_hosts")
        check.unknown(spec, known, f"modify(): secrets[{name!r}]")  # type: ignore[arg-type]
        hosts = check.sequence(spec.get("allowed_hosts", ()), f"secrets[{name!r}].allowed_hosts")
        said: dict[str, Any] = {k: spec[k] for k in ("value", "placeholder") if k in spec}
        said.update(env_name=name, source=spec.get("env"), allow_hosts=hosts)
        found.append(Secret(**said))
    return found


class Modification:
    """A modification that has been checked."""

    def __init__(self) -> None:
        self.arena = Arena()
        self.options = sized(_ffi.msb_modify_opts)


def _emptied(value: object, what: str) -> bytes:
    """A string; "" means: as in the image."""
    return check.text(value, what)


MODIFIERS: dict[str, Callable[[Modification, object], object]] = {
    "dry_run": lambda m, v: int(check.flag(v, "dry_run")),
    "cpus": lambda m, v: check.integer(v, "cpus", 1, _ffi.MSB_CPUS_MAX),
    "memory": lambda m, v: check.mebibytes(v, "memory"),
    "env": lambda m, v: m.arena.strings(check.pairs(v, "env")),
    "remove_env": lambda m, v: m.arena.strings(check.texts(v, "remove_env")),
    "labels": lambda m, v: m.arena.strings(check.pairs(v, "labels")),
    "remove_labels": lambda m, v: m.arena.strings(check.texts(v, "remove_labels")),
    "workdir": lambda m, v: _emptied(v, "workdir"),
    "user": lambda m, v: _emptied(v, "user"),
    "hostname": lambda m, v: _emptied(v, "hostname"),
    "shell": lambda m, v: _emptied(v, "shell"),
    "max_duration": lambda m, v: _limit(v, "max_duration"),
    "idle_timeout": lambda m, v: _limit(v, "idle_timeout"),
    "upper_size": lambda m, v: check.mebibytes(v, "upper_size"),
    "secrets": lambda m, v: secrets(m.arena, _specs(v)),
    "remove_secrets": lambda m, v: m.arena.strings(check.texts(v, "remove_secrets")),
}
# The same in other words.
MODIFY_NAMES = {
    "env_rm": "remove_env",
    "labels_rm": "remove_labels",
    "secrets_rm": "remove_secrets",
    "root_disk_size": "upper_size",
}
C_NAMES = {
    "memory": "memory_bytes",
    "remove_env": "env_rm",
    "remove_labels": "labels_rm",
    "max_duration": "max_duration_s",
    "idle_timeout": "idle_timeout_s",
    "upper_size": "upper_bytes",
    "remove_secrets": "secrets_rm",
}


def modification(options: Mapping[str, object]) -> Modification:
    check.unknown(options, (*MODIFIERS, *MODIFY_NAMES), "modify")
    m = Modification()
    for key, value in options.items():
        key = MODIFY_NAMES.get(key, key)
        if value is not None:
            setattr(m.options, C_NAMES.get(key, key), MODIFIERS[key](m, value))
    return m
