"""Python's options as the C library's structs, checked before anything starts."""

from __future__ import annotations

import ctypes
import os
from ctypes import addressof, c_char_p, c_void_p, sizeof

from . import _check as check
from . import _ffi
from .errors import InvalidConfigError, UnsupportedError
from .types import (
    DnsConfig,
    Mount,
    Network,
    Patch,
    Port,
    Rate,
    Rlimit,
    Rule,
    Secret,
    TlsConfig,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, Optional, TypeVar

    S = TypeVar("S", bound=ctypes.Structure)


class Arena:
    """Keeps what C's pointers point to."""

    def __init__(self) -> None:
        self._kept: list[object] = []

    def strings(self, items: Iterable[bytes]) -> Optional[int]:
        """A list that ends with NULL; NULL when it is empty."""
        items = list(items)
        if not items:
            return None
        array = (c_char_p * (len(items) + 1))(*items, None)
        self._kept.append(array)
        return addressof(array)

    def data(self, data: bytes) -> Optional[int]:
        """Bytes; c_char_p keeps no reference here, so that we do."""
        self._kept.append(data)
        return ctypes.cast(c_char_p(data), c_void_p).value

    def ref(self, struct: ctypes.Structure) -> int:
        self._kept.append(struct)
        return addressof(struct)

    def refs(self, structs: Iterable[ctypes.Structure]) -> Optional[int]:
        """A list of pointers that ends with NULL; NULL when it is empty."""
        structs = list(structs)
        if not structs:
            return None
        array = (c_void_p * (len(structs) + 1))(*(addressof(s) for s in structs), None)
        self._kept += [array, *structs]
        return addressof(array)


def sized(kind: type[S]) -> S:
    """A struct that says its size, else zero."""
    s = kind()
    s.size = sizeof(kind)
    return s


def want(value: object, kind: type, what: str) -> Any:
    if not isinstance(value, kind):
        check.wrong_type(what, f"a {kind.__name__}", value)
    return value


# ---- commands -------------------------------------------------------------------------------


def rlimits(value: object, what: str) -> list[bytes]:
    found = []
    for i, v in enumerate(check.sequence(value, what)):
        if isinstance(v, Rlimit):
            name = check.text(v.resource, f"{what}[{i}].resource")
            soft = check.integer(v.soft, f"{what}[{i}].soft", 0, check.U64)
            hard = soft if v.hard is None else check.integer(v.hard, what, 0, check.U64)
            found.append(name + b"=%d:%d" % (soft, hard))
        else:
            found.append(check.text(v, f"{what}[{i}]"))
    return found


def exec_options(
    arena: Arena,
    flags: int,
    argv: list[bytes],
    *,
    cwd: object = None,
    user: object = None,
    env: object = None,
    rlimit: object = None,
    entrypoint: object = None,
    rows: object = 0,
    cols: object = 0,
) -> _ffi.msb_exec_opts:
    o = sized(_ffi.msb_exec_opts)
    o.flags = flags
    o.argv = arena.strings(argv)
    if env is not None:
        o.env = arena.strings(check.pairs(env, "env"))
    if rlimit is not None:
        o.rlimits = arena.strings(rlimits(rlimit, "rlimits"))
    if cwd is not None:
        o.cwd = check.path(cwd, "cwd")
    if user is not None:
        o.user = check.text(user, "user")
    if entrypoint is not None:
        o.entrypoint = check.text(entrypoint, "entrypoint")
    o.rows = check.integer(rows, "rows", 0, check.U16)
    o.cols = check.integer(cols, "cols", 0, check.U16)
    return o


# ---- files ----------------------------------------------------------------------------------

MOUNT_KINDS = {
    "bind": _ffi.MSB_MOUNT_DIR,
    "dir": _ffi.MSB_MOUNT_DIR,
    "file": _ffi.MSB_MOUNT_FILE,
    "named": _ffi.MSB_MOUNT_NAMED,
    "disk": _ffi.MSB_MOUNT_DISK,
    "tmpfs": _ffi.MSB_MOUNT_TMPFS,
}
MOUNT_FLAGS = {
    "readonly": _ffi.MSB_MOUNT_READ_ONLY,
    "noexec": _ffi.MSB_MOUNT_NOEXEC,
    "nosuid": _ffi.MSB_MOUNT_NOSUID,
    "nodev": _ffi.MSB_MOUNT_NODEV,
    "create": _ffi.MSB_MOUNT_CREATE,
    "follow": _ffi.MSB_MOUNT_FOLLOW,
}
CACHES = {
    "auto": _ffi.MSB_CACHE_AUTO,
    "always": _ffi.MSB_CACHE_ALWAYS,
    "none": _ffi.MSB_CACHE_NONE,
}
VOLUME_KINDS = {"dir": _ffi.MSB_VOLUME_DIR, "disk": _ffi.MSB_VOLUME_DISK}


def flags_of(value: object, table: Mapping[str, int], what: str) -> int:
    """The bits of members that are true."""
    found = 0
    for name, bit in table.items():
        if check.flag(getattr(value, name), f"{what}.{name}"):
            found |= bit
    return found


def owner(value: object, what: str) -> tuple[int, int]:
    both = check.sequence(value, what)
    if len(both) != 2:
        raise InvalidConfigError(f"{what} must be (uid, gid)")
    return check.integer(both[0], f"{what} uid"), check.integer(both[1], f"{what} gid")


def _mount_source(m: Mount, kind: int, what: str) -> Optional[bytes]:
    if kind == _ffi.MSB_MOUNT_TMPFS:
        if m.source is not None:
            raise InvalidConfigError(f"{what}: a tmpfs has no source")
        return None
    if kind == _ffi.MSB_MOUNT_NAMED:
        return check.text(m.source, f"the name of {what}")
    return check.host_path(m.source, f"the path of {what}")


def mount(target: object, said: object) -> _ffi.msb_mount:
    what = f"volumes[{target!r}]"
    m: Mount = want(said, Mount, what)
    o = sized(_ffi.msb_mount)
    kind = check.choice(m.kind, f"{what}.kind", MOUNT_KINDS)
    o.source = _mount_source(m, kind, what)
    if m.kind == "bind" and o.source and os.path.isfile(o.source):
        kind = _ffi.MSB_MOUNT_FILE
    o.kind = kind
    o.target = check.path(target, "a target of volumes")
    o.flags = flags_of(m, MOUNT_FLAGS, what)
    o.cache = check.choice(m.cache, f"{what}.cache", CACHES)
    o.volume_kind = check.choice(m.volume_kind, f"{what}.volume_kind", VOLUME_KINDS)
    if m.owner is not None:
        o.flags |= _ffi.MSB_MOUNT_OWNER
        o.uid, o.gid = owner(m.owner, f"{what}.owner")
    if m.size is not None:
        o.size_bytes = check.mebibytes(m.size, f"{what}.size")
    if m.quota is not None:
        o.quota_bytes = check.mebibytes(m.quota, f"{what}.quota")
    if m.mode is not None:
        o.mode = check.integer(m.mode, f"{what}.mode", 0, 0o7777)
    if m.format is not None:
        o.format = check.text(m.format, f"{what}.format")
    if m.fstype is not None:
        o.fstype = check.text(m.fstype, f"{what}.fstype")
    return o


def mounts(arena: Arena, value: object) -> Optional[int]:
    return arena.refs([mount(t, m) for t, m in check.mapping(value, "volumes").items()])


PATCH_KINDS = {
    "file": _ffi.MSB_PATCH_FILE,
    "copy": _ffi.MSB_PATCH_COPY,
    "append": _ffi.MSB_PATCH_APPEND,
    "mkdir": _ffi.MSB_PATCH_MKDIR,
    "symlink": _ffi.MSB_PATCH_SYMLINK,
    "remove": _ffi.MSB_PATCH_REMOVE,
    "mode": _ffi.MSB_PATCH_SET_MODE,
    "owner": _ffi.MSB_PATCH_SET_OWNER,
}


def patch(arena: Arena, said: object, what: str) -> _ffi.msb_patch:
    p: Patch = want(said, Patch, what)
    o = sized(_ffi.msb_patch)
    o.kind = check.choice(p.kind, f"{what}.kind", PATCH_KINDS)
    o.path = check.path(p.path, f"{what}.path")
    if o.kind in (_ffi.MSB_PATCH_FILE, _ffi.MSB_PATCH_APPEND):
        data = check.data(p.data, f"{what}.data")
        o.data, o.data_len = arena.data(data), len(data)
    elif o.kind == _ffi.MSB_PATCH_COPY:
        o.source = check.host_path(p.source, f"{what}.source")
    elif o.kind == _ffi.MSB_PATCH_SYMLINK:
        o.source = check.path(p.source, f"{what}.source")
    if p.mode is not None:
        o.flags |= _ffi.MSB_PATCH_MODE
        o.mode = check.integer(p.mode, f"{what}.mode", 0, 0o7777)
    if p.owner is not None:
        o.flags |= _ffi.MSB_PATCH_OWNER
        o.uid, o.gid = owner(p.owner, f"{what}.owner")
    if check.flag(p.replace_existing, f"{what}.replace"):
        o.flags |= _ffi.MSB_PATCH_REPLACE
    return o


def patches(arena: Arena, value: object) -> Optional[int]:
    items = check.sequence(value, "patches")
    return arena.refs([patch(arena, p, f"patches[{i}]") for i, p in enumerate(items)])


# ---- network --------------------------------------------------------------------------------

PROTOCOLS = {"tcp": 0, "udp": _ffi.MSB_PORT_UDP}


def _port_of_text(said: str, what: str) -> Port:
    """[BIND:]HOST:GUEST[/tcp|/udp]"""
    both, slash, protocol = said.partition("/")
    bind, _, host = both.rpartition(":")[0].rpartition(":")
    guest = both.rpartition(":")[2]
    numbers = host.isdecimal() and guest.isdecimal() and len(host + guest) <= 10
    if not numbers or protocol not in ("tcp", "udp") and slash:
        raise InvalidConfigError(f"{what} must be [BIND:]HOST:GUEST[/tcp|/udp], not {said!r}")
    return Port(
        int(host),
        int(guest),
        bind.strip("[]") or "127.0.0.1",
        "udp" if protocol == "udp" else "tcp",
    )


def port(value: object, what: str) -> _ffi.msb_port:
    p = _port_of_text(value, what) if isinstance(value, str) else want(value, Port, what)
    o = sized(_ffi.msb_port)
    o.bind = check.text(p.bind, f"{what}.bind")
    o.host = check.integer(p.host_port, f"{what}.host_port", 0, check.U16)
    o.guest = check.integer(p.guest_port, f"{what}.guest_port", 1, check.U16)
    o.flags = check.choice(p.protocol, f"{what}.protocol", PROTOCOLS)
    return o


def ports(value: object) -> list[_ffi.msb_port]:
    """{HOST: GUEST}, or a list of Port and of texts."""
    if hasattr(type(value), "keys"):
        return [
            port(Port(host, guest), f"ports[{host!r}]")  # type: ignore[arg-type]
            for host, guest in check.mapping(value, "ports").items()
        ]
    return [port(p, f"ports[{i}]") for i, p in enumerate(check.sequence(value, "ports"))]


NET_FLAGS = {
    "disabled": _ffi.MSB_NET_DISABLED,
    "strict": _ffi.MSB_NET_STRICT,
    "trust_host_cas": _ffi.MSB_NET_TRUST_HOST_CAS,
    "log_denied": _ffi.MSB_NET_LOG_DENIED,
}
ACTIONS = {"allow": _ffi.MSB_NET_ALLOW, "deny": _ffi.MSB_NET_DENY}
NET_STRINGS = (
    "profile",
    "ipv4_pool",
    "ipv6_pool",
    "proxy",
    "socks4_user_id",
    "socks5_username",
    "socks5_password_env",
)


def _rules(n: Network) -> list[bytes]:
    found = [
        b"deny@domain=" + check.text(d, "network.deny_domains")
        for d in check.sequence(n.deny_domains, "network.deny_domains")
    ]
    for d in check.sequence(n.deny_domain_suffixes, "network.deny_domain_suffixes"):
        name = check.text(d, "network.deny_domain_suffixes").lstrip(b"*").lstrip(b".")
        found.append(b"deny@suffix=" + name)
    said = check.sequence(n.rules, "network.rules")
    if n.policy is not None:
        said += check.sequence(n.policy.rules, "network.policy.rules")
    for i, r in enumerate(said):
        found.append(check.text(r.text if isinstance(r, Rule) else r, f"network.rules[{i}]"))
    return found


def _policy(n: Network) -> Network:
    """A policy has both defaults: no profile adds to it."""
    from .policy import NetworkPolicy

    p: NetworkPolicy = want(n.policy, NetworkPolicy, "network.policy")
    if not (n.profile is None is n.default_egress is n.default_ingress):
        raise InvalidConfigError("network.policy stands in place of profile and defaults")
    return n.replace(default_egress=p.default_egress, default_ingress=p.default_ingress)


def _routes(value: object, what: str) -> list[bytes]:
    """{"/run/x.sock": 5000}, or a list of texts and of VsockRoute."""
    if hasattr(type(value), "keys"):
        return [
            check.path(p, what) + b":%d" % check.integer(n, what, 1)
            for p, n in check.mapping(value, what).items()
        ]
    from .policy import VsockRoute

    found = []
    for i, r in enumerate(check.sequence(value, what)):
        if isinstance(r, VsockRoute):
            path, port = check.path(r.host_socket, what), check.integer(r.port, what, 1)
            kind = check.text(r.socket_type, what)
            found.append(path + b":%d/" % port + kind)
        else:
            found.append(check.text(r, f"{what}[{i}]"))
    return found


def _dns(arena: Arena, o: _ffi.msb_network, value: object) -> None:
    d = want(value, DnsConfig, "network.dns")
    o.nameservers = arena.strings(check.texts(d.nameservers, "network.dns.nameservers"))
    if d.query_timeout is not None:
        o.dns_timeout_ms = check.milliseconds(d.query_timeout, "network.dns.query_timeout")
    elif d.query_timeout_ms is not None:
        o.dns_timeout_ms = check.integer(d.query_timeout_ms, "network.dns.query_timeout_ms")
    if not check.flag(d.rebind_protection, "network.dns.rebind_protection"):
        o.flags |= _ffi.MSB_NET_NO_REBIND_PROTECTION


def network(arena: Arena, options: Mapping[str, object]) -> Optional[_ffi.msb_network]:
    """Of the options network, ports, vsock and proxy; None: all of them are as always."""
    said = options.get("network")
    if said is None and not any(options.get(k) for k in ("ports", "vsock", "proxy")):
        return None
    n: Network = want(Network() if said is None else said, Network, "network")
    n = n if n.policy is None else _policy(n)
    if n.rate_limiter is not None:
        from .policy import NetworkRateLimiter

        limits = want(n.rate_limiter, NetworkRateLimiter, "network.rate_limiter")
        n = n.replace(**limits._rates())
    o = sized(_ffi.msb_network)
    o.flags = flags_of(n, NET_FLAGS, "network")
    for name in NET_STRINGS:
        value = getattr(n, name)
        if value is not None:
            setattr(o, name, check.text(value, f"network.{name}"))
    o.rules = arena.strings(_rules(n))
    for name in ("default_egress", "default_ingress"):
        value = getattr(n, name)
        if value is not None:
            setattr(o, name, check.choice(value, f"network.{name}", ACTIONS))
    all_ports = ports(n.ports) + ports(options.get("ports") or ())
    o.ports = arena.refs(all_ports)
    if n.dns is not None:
        _dns(arena, o, n.dns)
    for name in ("mtu", "max_connections"):
        value = getattr(n, name)
        if value is not None:
            setattr(o, name, check.integer(value, f"network.{name}"))
    for name in ("egress_bytes", "egress_packets", "ingress_bytes", "ingress_packets"):
        value = getattr(n, name)
        if value is not None:
            rate = want(value, Rate, f"network.{name}")
            at = getattr(o, name)
            at.per_second = check.integer(rate.per_second, f"network.{name}", 0, check.U64)
            at.burst = check.integer(rate.burst, f"network.{name}.burst", 0, check.U64)
    if options.get("proxy") is not None:
        o.proxy = check.text(options["proxy"], "proxy")
    routes = _routes(n.vsock, "network.vsock") + _routes(options.get("vsock") or (), "vsock")
    o.vsock = arena.strings(routes)
    if n.pcap is not None:
        o.pcap = check.host_path(n.pcap, "network.pcap")
    return o


# ---- secrets --------------------------------------------------------------------------------

VIOLATIONS = {
    "default": _ffi.MSB_VIOLATION_DEFAULT,
    "block": _ffi.MSB_VIOLATION_BLOCK,
    "block-and-log": _ffi.MSB_VIOLATION_BLOCK_LOG,
    "block-and-terminate": _ffi.MSB_VIOLATION_BLOCK_TERMINATE,
    "passthrough": _ffi.MSB_VIOLATION_PASS,
}


def _places(s: Secret, what: str) -> int:
    """Where the placeholder may stand; 0 is headers and basic authorization."""
    headers = True if s.headers is None else check.flag(s.headers, f"{what}.headers")
    basic = True if s.basic_auth is None else check.flag(s.basic_auth, f"{what}.basic_auth")
    query = check.flag(s.query_params, f"{what}.query_params")
    body = check.flag(s.body, f"{what}.body")
    if headers and basic and not query and not body:
        return 0
    found = (
        (_ffi.MSB_SECRET_HEADERS if headers else 0)
        | (_ffi.MSB_SECRET_BASIC if basic else 0)
        | (_ffi.MSB_SECRET_QUERY if query else 0)
        | (_ffi.MSB_SECRET_BODY if body else 0)
    )
    if not found:
        raise InvalidConfigError(f"{what}: there is no place where it may stand")
    return found


def secret(arena: Arena, value: object, what: str) -> _ffi.msb_secret:
    s = want(value, Secret, what)
    o = sized(_ffi.msb_secret)
    o.env = check.text(s.env_name, f"the name of {what}")
    if s.value is not None:
        o.value = check.text(s.value, f"the value of {what}")
    if s.source is not None:
        o.source = check.text(s.source, f"{what}.source")
    if s.placeholder is not None:
        o.placeholder = check.text(s.placeholder, f"{what}.placeholder")
    o.hosts = arena.strings(check.texts(s.allow_hosts, f"{what}.allow_hosts"))
    o.flags = _places(s, what)
    if check.flag(s.mask, f"{what}.mask"):
        o.flags |= _ffi.MSB_SECRET_MASK
    o.violation = check.choice(s.on_violation, f"{what}.on_violation", VIOLATIONS)
    return o


def secrets(arena: Arena, value: object) -> Optional[int]:
    items = check.sequence(value, "secrets")
    return arena.refs([secret(arena, s, f"secrets[{i}]") for i, s in enumerate(items)])


def _tls_of(options: Mapping[str, object]) -> tuple[object, object]:
    """TLS and what happens to placeholders, of the options or of their network."""
    n = options.get("network")
    tls = options.get("tls")
    violation = options.get("on_secret_violation")
    if isinstance(n, Network):
        if tls is not None and n.tls is not None:
            raise InvalidConfigError("tls is said twice: by itself, and in network")
        tls = n.tls if tls is None else tls
        violation = n.on_secret_violation if violation is None else violation
    return tls, "default" if violation is None else violation


def tls(arena: Arena, options: Mapping[str, object]) -> Optional[_ffi.msb_tls]:
    said, violation = _tls_of(options)
    how = check.choice(violation, "on_secret_violation", VIOLATIONS)
    if said is None and not how:
        return None
    t: TlsConfig = want(TlsConfig(intercept=False) if said is None else said, TlsConfig, "tls")
    o = sized(_ffi.msb_tls)
    o.violation = how
    if check.flag(t.intercept, "tls.intercept"):
        o.flags |= _ffi.MSB_TLS_INTERCEPT
    if not check.flag(t.block_quic, "tls.block_quic"):
        o.flags |= _ffi.MSB_TLS_NO_BLOCK_QUIC
    o.ports = arena.strings(
        b"%d" % check.integer(p, "tls.intercepted_ports", 1, check.U16)
        for p in check.sequence(t.intercepted_ports, "tls.intercepted_ports")
    )
    o.bypass = arena.strings(check.texts(t.bypass, "tls.bypass"))
    o.ca_cert = check.optional_path(t.ca_cert, "tls.ca_cert")
    o.ca_key = check.optional_path(t.ca_key, "tls.ca_key")
    _upstream(arena, o, t)
    return o


def _upstream(arena: Arena, o: _ffi.msb_tls, t: TlsConfig) -> None:
    """What is asked of servers, in either of the two wordings."""
    cas = check.sequence(t.upstream_cas, "tls.upstream_cas")
    cas += check.sequence(t.upstream_ca_certs, "tls.upstream_ca_certs")
    o.upstream_cas = arena.strings(check.host_path(c, "tls.upstream_cas") for c in cas)
    by_name = list(check.mapping(t.upstream_cas_for or {}, "tls.upstream_cas_for").items())
    by_name += [(s.pattern, s.path) for s in t.scoped_upstream_ca_certs]
    o.upstream_cas_for = arena.strings(
        check.text(k, "tls.upstream_cas_for") + b"=" + check.host_path(v, "tls.upstream_cas_for")
        for k, v in by_name
    )
    unchecked = check.texts(t.no_verify_for, "tls.no_verify_for")
    if not check.flag(t.verify_upstream, "tls.verify_upstream"):
        if t.scoped_verify_upstream:
            raise UnsupportedError("tls: names cannot be taken out of verify_upstream=False")
        unchecked.append(b"*")
    for s in t.scoped_verify_upstream:
        if check.flag(s.verify, "tls.scoped_verify_upstream"):
            raise UnsupportedError("tls.scoped_verify_upstream: checked is what they are anyway")
        unchecked.append(check.text(s.pattern, "tls.scoped_verify_upstream"))
    o.no_verify_for = arena.strings(unchecked)
