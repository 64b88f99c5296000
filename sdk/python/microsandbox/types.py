"""What a sandbox is made of: values that Sandbox.create() takes."""

from __future__ import annotations

import os

from ._value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import timedelta
    from typing import Any, Literal, Optional, TypedDict, Union

    from typing_extensions import Unpack

    from .policy import (
        NetworkPolicy,
        NetworkRateLimiter,
        ScopedUpstreamCACert,
        ScopedVerifyUpstream,
        SecretInjection,
        VsockRoute,
    )
    from .results import PullEvent

    Data = Union[bytes, bytearray, memoryview]

    StrPath = Union[str, os.PathLike[str]]
    Seconds = Union[int, float, timedelta]
    Mebibytes = Union[int, "Size"]
    PullPolicy = Literal["if-missing", "always", "never"]
    Violation = Literal["default", "block", "block-and-log", "block-and-terminate", "passthrough"]
    CacheMode = Literal["auto", "always", "none"]
    LogLevel = Literal["error", "warn", "info", "debug", "trace"]
    LogSource = Literal["stdout", "stderr", "output", "console", "system"]
    LogReadSource = Literal["stdout", "stderr", "output", "console", "system", "all"]
    Action = Literal["allow", "deny"]

    class MountFlags(TypedDict, total=False):
        """Of every mount. `owner`: (uid, gid), who all files belong to in the guest."""

        readonly: bool
        noexec: bool
        nosuid: bool
        nodev: bool

    class BindOptions(MountFlags, total=False):
        """Of a folder or file of the host. `quota`: the guest may add so many MiB."""

        owner: tuple[int, int]
        quota: Mebibytes
        cache: CacheMode
        follow: bool
        uid: int  # with gid the same as owner
        gid: int

    class NamedOptions(MountFlags, total=False):
        """Of a volume. `create`: it is made, of `volume_kind` and `size`, when there is none."""

        owner: tuple[int, int]
        quota: Mebibytes
        cache: CacheMode
        create: bool
        volume_kind: Literal["dir", "disk"]
        size: Mebibytes
        mode: Literal["existing", "ensure-exists"]  # the latter: create
        kind: Literal["dir", "disk"]  # volume_kind
        size_mib: Mebibytes
        quota_mib: Mebibytes
        uid: int
        gid: int

    class TmpfsOptions(MountFlags, total=False):
        """Of a guest's memory. `size`: half of it when not said."""

        size: Mebibytes
        size_mib: Mebibytes
        mode: int

    class DiskOptions(MountFlags, total=False):
        """Of a disk image."""

        format: Literal["raw", "qcow2"]
        fstype: str
        follow: bool

    class ExecOptions(TypedDict, total=False):
        """How a command runs. `timeout` in seconds; without `log` its output is in no log."""

        cwd: StrPath
        user: str
        env: Mapping[str, str]
        timeout: Seconds
        stdin: Union[Stdin, Data, str]
        tty: bool
        rlimits: Sequence[Union[Rlimit, str]]
        rows: int
        cols: int
        log: bool

    class ExecCall(ExecOptions, total=False):
        """The same with the arguments, in their place."""

        args: Sequence[str]

    class InitOptions(TypedDict, total=False):
        """As InitConfig."""

        cmd: str
        args: Sequence[str]
        env: Mapping[str, str]

    class SecretSpec(TypedDict, total=False):
        """What modify() makes of a secret. `env`: a variable of this process."""

        env: str
        value: str
        placeholder: str
        allowed_hosts: Sequence[str]

    class CreateOptions(TypedDict, total=False):
        """The options of Sandbox.create(). Times are in seconds, memory in MiB."""

        image: Union[StrPath, ImageSource]
        from_snapshot: str
        # size
        cpus: int
        memory: Mebibytes
        upper: Literal["disk", "tmpfs"]
        upper_size: Mebibytes
        # its commands
        env: Mapping[str, str]
        workdir: str
        user: str
        shell: str
        hostname: str
        entrypoint: Union[str, Sequence[str]]
        cmd: Sequence[str]
        rlimits: Sequence[Union[Rlimit, str]]
        scripts: Mapping[str, str]
        init: Union[str, InitConfig, InitOptions]
        labels: Mapping[str, str]
        # life
        detached: bool
        ephemeral: bool
        replace: bool
        replace_with_timeout: Seconds
        max_duration: Seconds
        idle_timeout: Seconds
        boot_timeout: Seconds
        # files
        volumes: Mapping[str, Mount]
        patches: Sequence[Patch]
        # network
        network: Network
        ports: Union[Mapping[int, int], Sequence[Union[Port, str]]]
        vsock: Union[Mapping[str, int], Sequence[Union[VsockRoute, str]]]
        proxy: str
        secrets: Sequence[Secret]
        tls: TlsConfig
        on_secret_violation: Violation
        # images
        pull_policy: PullPolicy
        registry_insecure: bool
        registry_ca_certs: StrPath
        progress: Callable[[PullEvent], object]
        # the machine
        engine: Literal["auto", "kvm", "qemu"]
        accel: Literal["auto", "kvm", "tcg"]
        log_level: LogLevel
        log_fd: int
        home: StrPath


MiB = 1 << 20
GiB = 1 << 30


def _several(names: Sequence[str]) -> Sequence[str]:
    """A text would be taken for its letters."""
    if isinstance(names, str):
        from .errors import InvalidTypeError

        raise InvalidTypeError("hosts must be a list, not a string")
    return names


class Size(Value):
    """So many bytes, where a plain number would be MiB."""

    bytes: int

    @classmethod
    def mib(cls, count: int) -> Size:
        return cls(count * MiB)

    @classmethod
    def gib(cls, count: int) -> Size:
        return cls(count * GiB)

    @property
    def mib_count(self) -> int:
        return self.bytes // MiB


class RootDisk(Value):
    """Where that goes which is written; for Image.oci(root_disk=). size: in MiB."""

    kind: Literal["disk", "tmpfs"]
    size: Optional[Mebibytes] = None

    @classmethod
    def managed(cls, size_mib: Optional[Mebibytes] = None) -> RootDisk:
        return cls("disk", size_mib)

    @classmethod
    def tmpfs(cls, size_mib: Optional[Mebibytes] = None) -> RootDisk:
        return cls("tmpfs", size_mib)


class ImageSource(Value):
    """Where a root file system comes from; see Image.oci(), .bind(), .disk()."""

    reference: str
    live: bool = False
    root_disk: Optional[RootDisk] = None


class InitConfig(Value):
    """Another process 1: a path in the guest, or "auto"."""

    cmd: str
    args: Sequence[str] = ()
    env: Optional[Mapping[str, str]] = None


class Rlimit(Value):
    """A limit of a command's resources, as setrlimit() has them. hard: as soft."""

    resource: str
    soft: int
    hard: Optional[int] = None

    @classmethod
    def nofile(cls, limit: int) -> Rlimit:
        """Files that are open."""
        return cls("nofile", limit)

    @classmethod
    def nproc(cls, limit: int) -> Rlimit:
        """Processes of the user."""
        return cls("nproc", limit)

    @classmethod
    def cpu(cls, seconds: int) -> Rlimit:
        """Processor time."""
        return cls("cpu", seconds)

    @classmethod
    def as_(cls, *, soft: int, hard: Optional[int] = None) -> Rlimit:
        """Bytes of address space."""
        return cls("as", soft, hard)

    @classmethod
    def fsize(cls, limit: int) -> Rlimit:
        """Bytes of a file."""
        return cls("fsize", limit)

    @classmethod
    def memlock(cls, limit: int) -> Rlimit:
        """Bytes of locked memory."""
        return cls("memlock", limit)

    @classmethod
    def stack(cls, limit: int) -> Rlimit:
        """Bytes of a stack."""
        return cls("stack", limit)


class Stdin(Value):
    """What a command reads: Stdin.null(), Stdin.pipe(), Stdin.bytes(b"...")."""

    mode: Literal["null", "pipe", "bytes"]
    data: Optional[Union[Data, str]] = None

    @classmethod
    def null(cls) -> Stdin:
        return cls("null")

    @classmethod
    def pipe(cls) -> Stdin:
        """ExecHandle.take_stdin() writes to it."""
        return cls("pipe")

    @classmethod
    def bytes(cls, data: Union[Data, str]) -> Stdin:
        return cls("bytes", data)


class Mount(Value):
    """Something of the host in a sandbox, at a path that the mapping of `volumes` says.

    `size` and `quota` are MiB; `owner` is (uid, gid), who all files belong to in the guest.
    `create`: a named volume is made when there is none.
    """

    kind: Literal["bind", "named", "disk", "tmpfs"]
    source: Optional[StrPath] = None
    readonly: bool = False
    noexec: bool = False
    nosuid: bool = False
    nodev: bool = False
    size: Optional[Mebibytes] = None
    quota: Optional[Mebibytes] = None
    create: bool = False
    volume_kind: Literal["dir", "disk"] = "dir"
    owner: Optional[tuple[int, int]] = None
    follow: bool = False
    cache: CacheMode = "auto"
    mode: Optional[int] = None
    format: Optional[Literal["raw", "qcow2"]] = None
    fstype: Optional[str] = None

    @classmethod
    def bind(cls, path: StrPath, **options: Unpack[BindOptions]) -> Mount:
        """A folder or a file of the host."""
        return cls("bind", path, **_owned({**options}))

    @classmethod
    def named(cls, name: str, **options: Unpack[NamedOptions]) -> Mount:
        """A volume."""
        return cls("named", name, **_named(options))

    @classmethod
    def tmpfs(cls, **options: Unpack[TmpfsOptions]) -> Mount:
        """Memory of the guest."""
        said: dict[str, Any] = {**options}
        if "size_mib" in said:
            said["size"] = said.pop("size_mib")
        return cls("tmpfs", **said)

    @classmethod
    def disk(cls, path: StrPath, **options: Unpack[DiskOptions]) -> Mount:
        """A disk image with a file system."""
        return cls("disk", path, **options)


def _owned(said: dict[str, Any]) -> dict[str, Any]:
    uid, gid = said.pop("uid", None), said.pop("gid", None)
    return said if uid is None is gid else {**said, "owner": (uid, gid)}


def _named(options: NamedOptions) -> dict[str, Any]:
    """Options of a named volume, by the names of Mount's members."""
    said = _owned({**options})
    for old, new in (("kind", "volume_kind"), ("size_mib", "size"), ("quota_mib", "quota")):
        if old in said:
            said[new] = said.pop(old)
    mode = said.pop("mode", None)
    if mode not in (None, "existing", "ensure-exists"):
        from .errors import InvalidConfigError

        raise InvalidConfigError(f"a volume's mode is existing or ensure-exists, not {mode!r}")
    return {**said, "create": True} if mode == "ensure-exists" else said


class Patch(Value):
    """A change to the image before the machine starts; the image stays as it is."""

    kind: Literal["file", "copy", "append", "mkdir", "symlink", "remove", "mode", "owner"]
    path: str
    data: Optional[Union[Data, str]] = None
    source: Optional[StrPath] = None
    mode: Optional[int] = None
    owner: Optional[tuple[int, int]] = None
    replace_existing: bool = False

    @classmethod
    def text(
        cls,
        path: str,
        content: str,
        *,
        mode: Optional[int] = None,
        owner: Optional[tuple[int, int]] = None,
        replace: bool = False,
    ) -> Patch:
        """A file with this text."""
        return cls("file", path, content, None, mode, owner, replace)

    @classmethod
    def file(
        cls,
        path: str,
        content: Data,
        *,
        mode: Optional[int] = None,
        owner: Optional[tuple[int, int]] = None,
        replace: bool = False,
    ) -> Patch:
        """A file with these bytes."""
        return cls("file", path, content, None, mode, owner, replace)

    @classmethod
    def append(cls, path: str, content: Union[Data, str]) -> Patch:
        """More behind a file that exists."""
        return cls("append", path, content)

    @classmethod
    def copy_file(
        cls,
        source: StrPath,
        path: str,
        *,
        mode: Optional[int] = None,
        owner: Optional[tuple[int, int]] = None,
        replace: bool = False,
    ) -> Patch:
        """A file of the host."""
        return cls("copy", path, None, source, mode, owner, replace)

    @classmethod
    def copy_dir(
        cls,
        source: StrPath,
        path: str,
        *,
        owner: Optional[tuple[int, int]] = None,
        replace: bool = False,
    ) -> Patch:
        """A folder of the host, with all in it."""
        return cls("copy", path, None, source, None, owner, replace)

    @classmethod
    def mkdir(
        cls, path: str, *, mode: Optional[int] = None, owner: Optional[tuple[int, int]] = None
    ) -> Patch:
        """A folder; fine when it exists."""
        return cls("mkdir", path, None, None, mode, owner)

    @classmethod
    def symlink(cls, target: str, link: str, *, replace: bool = False) -> Patch:
        """A symbolic link."""
        return cls("symlink", link, None, target, None, None, replace)

    @classmethod
    def remove(cls, path: str) -> Patch:
        """Away with it; fine when it does not exist."""
        return cls("remove", path)

    @classmethod
    def chmod(cls, path: str, mode: int) -> Patch:
        """The mode of what exists."""
        return cls("mode", path, None, None, mode)

    @classmethod
    def chown(cls, path: str, uid: int, gid: int) -> Patch:
        """The owner of what exists."""
        return cls("owner", path, None, None, None, (uid, gid))


class Port(Value):
    """A port of the host that leads to one of the guest. host_port 0: any that is free."""

    host_port: int
    guest_port: int
    bind: str = "127.0.0.1"
    protocol: Literal["tcp", "udp"] = "tcp"

    @classmethod
    def tcp(cls, host_port: int, guest_port: int, *, bind: str = "127.0.0.1") -> Port:
        return cls(host_port, guest_port, bind, "tcp")

    @classmethod
    def udp(cls, host_port: int, guest_port: int, *, bind: str = "127.0.0.1") -> Port:
        return cls(host_port, guest_port, bind, "udp")


class Rate(Value):
    """So many bytes or packets a second, and how many at once (0: a second's worth)."""

    per_second: int
    burst: int = 0


class Rule(Value):
    """A rule of the network, as text: see docs/network.md. The first that matches decides."""

    text: str

    @classmethod
    def allow(
        cls,
        destination: str = "any",
        *,
        direction: Literal["egress", "ingress", "any"] = "egress",
        protocol: Optional[Literal["tcp", "udp", "icmpv4", "icmpv6", "any"]] = None,
        port: Optional[Union[int, str]] = None,
    ) -> Rule:
        return cls(_rule("allow", destination, direction, protocol, port))

    @classmethod
    def deny(
        cls,
        destination: str = "any",
        *,
        direction: Literal["egress", "ingress", "any"] = "egress",
        protocol: Optional[Literal["tcp", "udp", "icmpv4", "icmpv6", "any"]] = None,
        port: Optional[Union[int, str]] = None,
    ) -> Rule:
        return cls(_rule("deny", destination, direction, protocol, port))

    @classmethod
    def allow_dns(cls) -> Rule:
        """The gateway's name server, where everything is denied."""
        return cls("allow@dns")

    @classmethod
    def deny_dns(cls) -> Rule:
        return cls("deny@dns")

    def __iter__(self) -> Iterator[Rule]:
        """It is a list of one, too: *Rule.allow_dns()."""
        yield self


def _rule(
    action: str,
    destination: str,
    direction: str,
    protocol: Optional[str],
    port: Optional[Union[int, str]],
) -> str:
    text = f"{action}:{direction}@{destination}"
    if protocol is not None or port is not None:
        text += f":{protocol or 'any'}"
    return text if port is None else f"{text}:{port}"


class TlsConfig(Value):
    """TLS that is looked into. Secrets do what they need without it."""

    intercept: bool = True
    intercepted_ports: Sequence[int] = ()
    bypass: Sequence[str] = ()
    block_quic: bool = True
    ca_cert: Optional[StrPath] = None
    ca_key: Optional[StrPath] = None
    upstream_cas: Sequence[StrPath] = ()
    upstream_cas_for: Optional[Mapping[str, StrPath]] = None
    no_verify_for: Sequence[str] = ()
    # The same in other words, besides those above; verify_upstream=False is no_verify_for=["*"].
    upstream_ca_certs: Sequence[StrPath] = ()
    scoped_upstream_ca_certs: Sequence[ScopedUpstreamCACert] = ()
    scoped_verify_upstream: Sequence[ScopedVerifyUpstream] = ()
    verify_upstream: bool = True


class DnsConfig(Value):
    """Names: whom the gateway's name server asks."""

    nameservers: Sequence[str] = ()
    query_timeout: Optional[Seconds] = None
    rebind_protection: bool = True
    query_timeout_ms: Optional[int] = None  # the same as query_timeout


class Network(Value):
    """What a sandbox may reach, and who may reach it.

    `profile` is a comma list of public, private, host; or all, none. Without profile and
    defaults it is public. `rules` come before the profile's.
    """

    profile: Optional[str] = None
    rules: Sequence[Union[Rule, str]] = ()
    default_egress: Optional[Action] = None
    default_ingress: Optional[Action] = None
    ports: Union[Mapping[int, int], Sequence[Union[Port, str]]] = ()
    dns: Optional[DnsConfig] = None
    tls: Optional[TlsConfig] = None
    deny_domains: Sequence[str] = ()
    deny_domain_suffixes: Sequence[str] = ()
    disabled: bool = False
    strict: bool = False
    trust_host_cas: bool = False
    log_denied: bool = False
    mtu: Optional[int] = None
    ipv4_pool: Optional[str] = None
    ipv6_pool: Optional[str] = None
    max_connections: Optional[int] = None
    egress_bytes: Optional[Rate] = None
    egress_packets: Optional[Rate] = None
    ingress_bytes: Optional[Rate] = None
    ingress_packets: Optional[Rate] = None
    proxy: Optional[str] = None
    socks4_user_id: Optional[str] = None
    socks5_username: Optional[str] = None
    socks5_password_env: Optional[str] = None
    vsock: Union[Mapping[str, int], Sequence[Union[VsockRoute, str]]] = ()
    pcap: Optional[StrPath] = None
    on_secret_violation: Violation = "default"
    policy: Optional[NetworkPolicy] = None  # in place of profile and defaults
    rate_limiter: Optional[NetworkRateLimiter] = None  # in place of the four rates

    @classmethod
    def none(cls) -> Network:
        """No interface at all."""
        return cls(disabled=True)

    @classmethod
    def public_only(cls) -> Network:
        """The public internet, nothing private: the default."""
        return cls(profile="public")

    @classmethod
    def allow_all(cls) -> Network:
        """Everything, both ways."""
        return cls(profile="all")

    @classmethod
    def from_profiles(cls, *profiles: str, rules: Sequence[Union[Rule, str]] = ()) -> Network:
        """public, private and host, in any combination."""
        return cls(profile=",".join(profiles), rules=rules)

    @classmethod
    def allow_only(cls, hosts: Sequence[str], *, ports: Sequence[Union[int, str]] = ()) -> Network:
        """These names, addresses and networks, at these ports (default: all), and name service."""
        return cls(
            rules=(
                Rule.allow_dns(),
                *(
                    Rule.allow(h, protocol="tcp" if ports else None, port=p)
                    for h in _several(hosts)
                    for p in (ports or (None,))
                ),
            ),
            default_egress="deny",
        )


class Secret(Value):
    """A value that the guest never has: it sees a placeholder in a variable.

    The value is put in by the host, inside TLS, on the way to hosts that are allowed for it.
    """

    env_name: str
    value: Optional[str] = None
    source: Optional[str] = None
    allow_hosts: Sequence[str] = ()
    placeholder: Optional[str] = None
    headers: Optional[bool] = None
    basic_auth: Optional[bool] = None
    query_params: bool = False
    body: bool = False
    mask: bool = False
    on_violation: Violation = "default"

    @classmethod
    def env(
        cls,
        name: str,
        *,
        value: Optional[str] = None,
        source: Optional[str] = None,
        allow_hosts: Sequence[str] = (),
        allow_host_patterns: Sequence[str] = (),
        placeholder: Optional[str] = None,
        headers: Optional[bool] = None,
        basic_auth: Optional[bool] = None,
        query_params: bool = False,
        body: bool = False,
        mask: bool = False,
        on_violation: Violation = "default",
        injection: Optional[SecretInjection] = None,
    ) -> Secret:
        """A secret in the variable `name` of the guest.

        Without a value, this process's variable `source` (or `name`) is read at each start.
        The placeholder may stand in headers and basic authorization, unless it is said
        otherwise. `mask`: the value in an answer becomes the placeholder again. `injection`
        says all four places at once.
        """
        if injection is not None:
            headers, basic_auth = injection.headers, injection.basic_auth
            query_params, body = injection.query_params, injection.body
        return cls(
            name,
            value,
            source,
            (*_several(allow_hosts), *_several(allow_host_patterns)),
            placeholder,
            headers,
            basic_auth,
            query_params,
            body,
            mask,
            on_violation,
        )

    def _shown(self, name: str) -> bool:
        return name != "value" and super()._shown(name)
