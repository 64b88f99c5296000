"""What the C library's structs say, as Python's values."""

from __future__ import annotations

from ctypes import c_char_p, c_void_p, sizeof, string_at

from . import _ffi, results
from ._native import lib
from .types import DnsConfig, Mount, Network, Port, Rate, Secret, Size, TlsConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Optional

WORD = sizeof(c_void_p)


def text(value: Optional[bytes]) -> str:
    """A C string; bytes that are no UTF-8 survive a way back."""
    return value.decode("utf-8", "surrogateescape") if value else ""


def some(value: Optional[bytes]) -> Optional[str]:
    return text(value) or None


def pointers(address: Optional[int]) -> Iterator[int]:
    """Of a list that ends with NULL."""
    if not address:
        return
    while True:
        p = c_void_p.from_address(address).value
        if not p:
            return
        yield p
        address += WORD


def strings(address: Optional[int]) -> tuple[str, ...]:
    return tuple(text(c_char_p(p).value) for p in pointers(address))


def pairs(address: Optional[int]) -> dict[str, str]:
    """KEY=VALUE..."""
    return {k: v for k, _, v in (s.partition("=") for s in strings(address))}


def own_strings(list_pointer: c_void_p) -> tuple[str, ...]:
    """A list that is ours; it is freed."""
    try:
        return strings(list_pointer.value)
    finally:
        lib.msb_strings_free(list_pointer)


def own_text(pointer: c_void_p) -> str:
    """A string that is ours; it is freed."""
    try:
        return text(c_char_p(pointer.value).value)
    finally:
        lib.msb_free(pointer)


def at(kind: type[Any], address: int) -> Any:
    """The struct at an address: it lives as long as its handle."""
    return kind.from_address(address)


def moment(seconds: int) -> Optional[float]:
    return float(seconds) if seconds else None


def moment_ms(ms: int) -> Optional[float]:
    return ms / 1000 if ms else None


def names(table: dict[str, int]) -> dict[int, str]:
    return {v: k for k, v in table.items()}


# ---- images, volumes, snapshots -------------------------------------------------------------


def image(i: _ffi.msb_image_info) -> results.ImageInfo:
    return results.ImageInfo(
        reference=text(i.reference),
        id=text(i.id),
        platform=text(i.platform),
        size_bytes=i.size_bytes,
        created_at=moment(i.created_unix),
        pulled_at=moment(i.pulled_unix),
        layers=strings(i.layers),
        layer_count=i.layer_count,
        entrypoint=strings(i.entrypoint),
        cmd=strings(i.cmd),
        env=pairs(i.env),
        workdir=text(i.workdir),
        user=text(i.user),
        stop_signal=text(i.stop_signal),
        config_json=text(i.config_json),
        config_digest=text(i.config_digest),
    )


def volume(v: _ffi.msb_volume_info) -> results.VolumeInfo:
    return results.VolumeInfo(
        name=text(v.name),
        path=text(v.path),
        kind="disk" if v.kind == _ffi.MSB_VOLUME_DISK else "dir",
        size_bytes=v.size_bytes,
        used_bytes=v.used_bytes,
        created_at=v.created_ms / 1000,
        users=strings(v.users),
        in_use=bool(v.in_use),
    )


def snapshot(s: _ffi.msb_snapshot_info) -> results.SnapshotInfo:
    return results.SnapshotInfo(
        name=text(s.name),
        digest=text(s.digest),
        image_ref=text(s.image),
        image_id=text(s.image_id),
        source_sandbox=text(s.sandbox),
        parent=some(s.parent),
        content=some(s.content),
        size_bytes=s.size_bytes,
        used_bytes=s.used_bytes,
        created_at=s.created_ms / 1000,
        labels=pairs(s.labels),
        path=text(s.path),
    )


PULL_EVENTS = ("resolving", "resolved", "layer", "layer_done", "merging", "done")


def pull_event(e: _ffi.msb_pull_event) -> results.PullEvent:
    return results.PullEvent(
        event_type=PULL_EVENTS[e.kind] if 0 <= e.kind < len(PULL_EVENTS) else "layer",  # type: ignore[arg-type]
        reference=text(e.reference),
        digest=some(e.digest),
        layer=e.layer,
        layer_count=e.layer_count,
        done=e.done,
        total=e.total,
        cached=bool(e.cached),
    )


# ---- files ----------------------------------------------------------------------------------


def file_info(f: _ffi.msb_file_info) -> results.FileInfo:
    return results.FileInfo(
        path=text(f.path),
        mode=f.mode,
        uid=f.uid,
        gid=f.gid,
        size=f.size_bytes,
        modified=f.mtime_s + f.mtime_ns / 1e9,
        modified_ns=f.mtime_s * 1_000_000_000 + f.mtime_ns,
        target=text(f.target),
        nlink=f.nlink,
        rdev=f.rdev,
    )


def buffer(address: Optional[int], length: int) -> bytes:
    return string_at(address, length) if address and length else b""


# ---- what is on record ----------------------------------------------------------------------

MOUNT_NAMES = {
    _ffi.MSB_MOUNT_DIR: "bind",
    _ffi.MSB_MOUNT_FILE: "bind",
    _ffi.MSB_MOUNT_NAMED: "named",
    _ffi.MSB_MOUNT_DISK: "disk",
    _ffi.MSB_MOUNT_TMPFS: "tmpfs",
}
CACHE_NAMES = {
    _ffi.MSB_CACHE_AUTO: "auto",
    _ffi.MSB_CACHE_ALWAYS: "always",
    _ffi.MSB_CACHE_NONE: "none",
}
VIOLATION_NAMES = {
    _ffi.MSB_VIOLATION_DEFAULT: "default",
    _ffi.MSB_VIOLATION_BLOCK: "block",
    _ffi.MSB_VIOLATION_BLOCK_LOG: "block-and-log",
    _ffi.MSB_VIOLATION_BLOCK_TERMINATE: "block-and-terminate",
    _ffi.MSB_VIOLATION_PASS: "passthrough",
}
ACTION_NAMES = {_ffi.MSB_NET_ALLOW: "allow", _ffi.MSB_NET_DENY: "deny"}


def mount(m: _ffi.msb_mount) -> Mount:
    kind: Any = MOUNT_NAMES.get(m.kind, "bind")
    cache: Any = CACHE_NAMES.get(m.cache, "auto")
    form: Any = some(m.format)
    return Mount(
        kind,
        some(m.source),
        readonly=bool(m.flags & _ffi.MSB_MOUNT_READ_ONLY),
        noexec=bool(m.flags & _ffi.MSB_MOUNT_NOEXEC),
        nosuid=bool(m.flags & _ffi.MSB_MOUNT_NOSUID),
        nodev=bool(m.flags & _ffi.MSB_MOUNT_NODEV),
        size=Size(m.size_bytes) if m.size_bytes else None,
        quota=Size(m.quota_bytes) if m.quota_bytes else None,
        create=bool(m.flags & _ffi.MSB_MOUNT_CREATE),
        volume_kind="disk" if m.volume_kind == _ffi.MSB_VOLUME_DISK else "dir",
        owner=(m.uid, m.gid) if m.flags & _ffi.MSB_MOUNT_OWNER else None,
        follow=bool(m.flags & _ffi.MSB_MOUNT_FOLLOW),
        cache=cache,
        mode=m.mode or None,
        format=form,
        fstype=some(m.fstype),
    )


def _port(p: _ffi.msb_port) -> Port:
    return Port(
        p.host,
        p.guest,
        text(p.bind) or "127.0.0.1",
        "udp" if p.flags & _ffi.MSB_PORT_UDP else "tcp",
    )


def _rate(r: _ffi.msb_rate) -> Optional[Rate]:
    return Rate(r.per_second, r.burst) if r.per_second else None


def network(n: _ffi.msb_network, tls: Optional[TlsConfig]) -> Network:
    egress: Any = ACTION_NAMES.get(n.default_egress)
    ingress: Any = ACTION_NAMES.get(n.default_ingress)
    servers = strings(n.nameservers)
    rebind = not n.flags & _ffi.MSB_NET_NO_REBIND_PROTECTION
    dns = None
    if servers or n.dns_timeout_ms or not rebind:
        dns = DnsConfig(servers, moment_ms(n.dns_timeout_ms), rebind)
    return Network(
        profile=some(n.profile),
        rules=strings(n.rules),
        default_egress=egress,
        default_ingress=ingress,
        ports=tuple(_port(at(_ffi.msb_port, p)) for p in pointers(n.ports)),
        dns=dns,
        tls=tls,
        disabled=bool(n.flags & _ffi.MSB_NET_DISABLED),
        strict=bool(n.flags & _ffi.MSB_NET_STRICT),
        trust_host_cas=bool(n.flags & _ffi.MSB_NET_TRUST_HOST_CAS),
        log_denied=bool(n.flags & _ffi.MSB_NET_LOG_DENIED),
        mtu=n.mtu or None,
        ipv4_pool=some(n.ipv4_pool),
        ipv6_pool=some(n.ipv6_pool),
        max_connections=n.max_connections or None,
        egress_bytes=_rate(n.egress_bytes),
        egress_packets=_rate(n.egress_packets),
        ingress_bytes=_rate(n.ingress_bytes),
        ingress_packets=_rate(n.ingress_packets),
        proxy=some(n.proxy),
        socks4_user_id=some(n.socks4_user_id),
        socks5_username=some(n.socks5_username),
        socks5_password_env=some(n.socks5_password_env),
        vsock=strings(n.vsock),
        pcap=some(n.pcap),
    )


def secret(s: _ffi.msb_secret) -> Secret:
    places = s.flags & 15 or _ffi.MSB_SECRET_HEADERS | _ffi.MSB_SECRET_BASIC
    violation: Any = VIOLATION_NAMES.get(s.violation, "default")
    return Secret(
        text(s.env),
        None,  # a value is never on record
        some(s.source),
        strings(s.hosts),
        some(s.placeholder),
        headers=bool(places & _ffi.MSB_SECRET_HEADERS),
        basic_auth=bool(places & _ffi.MSB_SECRET_BASIC),
        query_params=bool(places & _ffi.MSB_SECRET_QUERY),
        body=bool(places & _ffi.MSB_SECRET_BODY),
        mask=bool(s.flags & _ffi.MSB_SECRET_MASK),
        on_violation=violation,
    )


def tls_config(t: _ffi.msb_tls) -> Optional[TlsConfig]:
    """None: what secrets need, no more."""
    found = TlsConfig(
        intercept=bool(t.flags & _ffi.MSB_TLS_INTERCEPT),
        intercepted_ports=tuple(int(p) for p in strings(t.ports) if p.isdigit()),
        bypass=strings(t.bypass),
        block_quic=not t.flags & _ffi.MSB_TLS_NO_BLOCK_QUIC,
        ca_cert=some(t.ca_cert),
        ca_key=some(t.ca_key),
        upstream_cas=strings(t.upstream_cas),
        upstream_cas_for=pairs(t.upstream_cas_for) or None,
        no_verify_for=strings(t.no_verify_for),
    )
    return None if found == TlsConfig(intercept=False) else found


def state(number: int) -> results.State:
    """running, where C says ready."""
    name: Any = text(lib.msb_state_name(number))
    return "running" if name == "ready" else name


def sandbox(i: _ffi.msb_sandbox_info, *, disk: bool = False) -> results.SandboxInfo:
    tls = tls_config(at(_ffi.msb_tls, i.tls)) if i.tls else None
    targets = [at(_ffi.msb_mount, p) for p in pointers(i.mounts)]
    return results.SandboxInfo(
        name=text(i.name),
        id=text(i.id),
        state=state(i.state),
        image=text(i.image),
        image_id=text(i.image_id),
        cpus=i.cpus,
        memory_bytes=i.memory_bytes,
        upper_bytes=i.upper_bytes,
        disk_bytes=i.disk_bytes if disk else None,
        labels=pairs(i.labels),
        env=pairs(i.env),
        rlimits=strings(i.rlimits),
        workdir=text(i.workdir),
        user=text(i.user),
        hostname=text(i.hostname),
        entrypoint=text(i.entrypoint),
        shell=text(i.shell),
        scripts=strings(i.scripts),
        patches=strings(i.patches),
        init=text(i.init),
        command=strings(i.command),
        max_duration=i.max_duration_s or None,
        idle_timeout=i.idle_timeout_s or None,
        keep=bool(i.flags & _ffi.MSB_SANDBOX_KEEP),
        detached=bool(i.flags & _ffi.MSB_SANDBOX_DETACHED),
        engine=text(i.engine),
        accel=text(i.accel),
        walls=strings(i.walls),
        boundary=text(i.boundary),
        pid=i.pid or None,
        owner_pid=i.owner_pid or None,
        created_at=i.created_ms / 1000,
        started_at=moment_ms(i.started_ms),
        ready_at=moment_ms(i.ready_ms),
        ended_at=moment_ms(i.ended_ms),
        end_reason=text(i.end_reason),
        end_message=text(i.end_message),
        exit_code=None if i.exit_code < 0 else i.exit_code,
        mounts={text(m.target): mount(m) for m in targets},
        network=network(at(_ffi.msb_network, i.network), tls) if i.network else None,
        secrets=tuple(secret(at(_ffi.msb_secret, p)) for p in pointers(i.secrets)),
        tls=tls,
    )


# ---- metrics, plans -------------------------------------------------------------------------

COUNTERS = tuple(
    f[0] for f in _ffi.msb_metrics._fields_ if f[0] != "size" and f[0] in results.Metrics._members
)


def metrics(m: _ffi.msb_metrics, before: Optional[results.Metrics]) -> results.Metrics:
    if before is not None and m.time_ns > before.time_ns:
        busy, passed = m.cpu_ns - before.cpu_ns, m.time_ns - before.time_ns
    else:
        busy, passed = m.cpu_ns, m.uptime_ns
    return results.Metrics(
        cpu_percent=100.0 * busy / passed if passed else 0.0,
        timestamp=m.unix_ms / 1000,
        uptime=m.uptime_ns / 1e9,
        **{n: getattr(m, n) for n in COUNTERS},
    )


def change(c: _ffi.msb_change) -> results.Change:
    return results.Change(
        text(c.field),
        text(c.before),
        text(c.after),
        "now" if c.effect == _ffi.MSB_EFFECT_NOW else "next-start",
    )
