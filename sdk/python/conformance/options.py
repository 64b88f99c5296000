"""The suite's options, which are called as in C, as those of the package."""

from microsandbox import (
    DnsConfig,
    InitConfig,
    InvalidConfigError,
    Mount,
    Network,
    Patch,
    Port,
    Secret,
    Size,
    TlsConfig,
)

VIOLATIONS = {
    "block": "block",
    "block_log": "block-and-log",
    "block_terminate": "block-and-terminate",
    "pass": "passthrough",
}
SAME = (
    "cpus upper hostname labels env rlimits workdir user entrypoint shell scripts detached replace"
).split()


def known(args, names, what):
    left = sorted(set(args) - set(names))
    if left:
        raise InvalidConfigError(f"{what} has no argument {left[0]!r}")


def size(value):
    return Size(value) if value is not None else None


def data_of(value):
    import base64

    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value


def mount(given):
    kind = {"dir": "bind", "file": "bind"}.get(given["kind"], given["kind"])
    same = ("noexec", "nosuid", "nodev", "create", "cache")
    known(
        given,
        (*same, "kind", "source", "target", "read_only", "size_bytes", "quota_bytes"),
        "a mount",
    )
    return Mount(
        kind,
        given.get("source"),
        readonly=given.get("read_only", False),
        size=size(given.get("size_bytes")),
        quota=size(given.get("quota_bytes")),
        **{k: given[k] for k in same if k in given},
    )


def patch(given):
    known(given, "kind path data source mode uid gid replace".split(), "a patch")
    kind = {"text": "file"}.get(given["kind"], given["kind"])
    owner = (given.get("uid", 0), given.get("gid", 0)) if "uid" in given or "gid" in given else None
    data = data_of(given.get("data"))
    mode, replace = given.get("mode"), given.get("replace", False)
    return Patch(kind, given["path"], data, given.get("source"), mode, owner, replace)


def port(given):
    known(given, "bind host guest udp".split(), "a port")
    return Port(
        given["host"],
        given["guest"],
        given.get("bind", "127.0.0.1"),
        "udp" if given.get("udp") else "tcp",
    )


def network(given):
    same = "disabled profile rules default_egress default_ingress max_connections proxy strict mtu vsock"
    known(given, [*same.split(), "ports", "nameservers"], "network")
    return Network(
        ports=[port(p) for p in given.get("ports", [])],
        dns=DnsConfig(given["nameservers"]) if "nameservers" in given else None,
        **{k: given[k] for k in same.split() if k in given},
    )


def secret(given):
    known(
        given,
        "env value source placeholder hosts headers basic query body mask violation".split(),
        "a secret",
    )
    places = [given.get(k) for k in ("headers", "basic", "query", "body")]
    some = any(places)
    return Secret(
        given["env"],
        given.get("value"),
        given.get("source"),
        given.get("hosts", []),
        given.get("placeholder"),
        headers=bool(given.get("headers")) if some else None,
        basic_auth=bool(given.get("basic")) if some else None,
        query_params=given.get("query", False),
        body=given.get("body", False),
        mask=given.get("mask", False),
        on_violation=VIOLATIONS[given["violation"]] if "violation" in given else "default",
    )


def tls(given):
    known(given, "intercept bypass ports upstream_cas no_block_quic".split(), "tls")
    return TlsConfig(
        intercept=given.get("intercept", False),
        intercepted_ports=given.get("ports", []),
        bypass=given.get("bypass", []),
        block_quic=not given.get("no_block_quic", False),
        upstream_cas=given.get("upstream_cas", []),
    )


def create(args):
    """The name, and the package's options."""
    out = {k: args.pop(k) for k in SAME if k in args}
    name = args.pop("name", None)
    renamed = {"image": "image", "snapshot": "from_snapshot", "command": "cmd"}
    renamed.update(max_duration_s="max_duration", idle_timeout_s="idle_timeout")
    for old, new in renamed.items():
        if old in args:
            out[new] = args.pop(old)
    for old, new in (("memory_bytes", "memory"), ("upper_bytes", "upper_size")):
        if old in args:
            out[new] = size(args.pop(old))
    if "boot_timeout_ms" in args:
        out["boot_timeout"] = args.pop("boot_timeout_ms") / 1000
    if "keep" in args:
        out["ephemeral"] = not args.pop("keep")
    if "init" in args:
        out["init"] = InitConfig(
            args.pop("init"), args.pop("init_args", ()), args.pop("init_env", None)
        )
    if "mounts" in args:
        out["volumes"] = {given.get("target"): mount(given) for given in args.pop("mounts")}
    for key, how in (("patches", patch), ("secrets", secret)):
        if key in args:
            out[key] = [how(given) for given in args.pop(key)]
    for key, how in (("network", network), ("tls", tls)):
        if key in args:
            out[key] = how(args.pop(key))
    known(args, (), "sandbox.create")
    return name, out


MODIFY = {
    "env_rm": "remove_env",
    "labels_rm": "remove_labels",
    "max_duration_s": "max_duration",
    "idle_timeout_s": "idle_timeout",
    "memory_bytes": "memory",
    "upper_bytes": "upper_size",
    "secrets_rm": "remove_secrets",
}


def modify(args):
    args = dict(args)
    name = args.pop("name")
    out = {}
    for key, value in args.items():
        if key.endswith("_bytes"):
            value = size(value)
        elif key == "secrets":
            value = [secret(s) for s in value]
        elif key.endswith("_s") and value == -1:
            value = 0
        out[MODIFY.get(key, key)] = value
    return name, out


def execution(args, *own):
    """Options of a command: what is left of the arguments."""
    from microsandbox import Stdin

    same = ("env", "cwd", "user", "rlimits", "tty", "rows", "cols")
    known(args, (*same, *own, "sandbox", "stdin", "timeout_ms", "max"), "the command")
    out = {k: args[k] for k in same if k in args}
    stdin = args.get("stdin")
    if stdin is True:
        out["stdin"] = Stdin.pipe()
    elif stdin not in (None, False):
        out["stdin"] = data_of(stdin)
    if "timeout_ms" in args:
        out["timeout"] = args["timeout_ms"] / 1000
    if "max" in args:
        out["max_output"] = args["max"]
    return out
