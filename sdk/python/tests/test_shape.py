"""Programs in the shape of the Rust system's SDK, of which only the import was changed."""

import os

import pytest

from microsandbox import (
    Action,
    Destination,
    DestGroup,
    ExecEventType,
    Image,
    InvalidConfigError,
    LogReadSource,
    MiB,
    Mount,
    NamedVolumeMode,
    Network,
    NetworkPolicy,
    NetworkProfile,
    NetworkRateLimiter,
    Patch,
    Port,
    PortBinding,
    Protocol,
    PullEventType,
    PullPolicy,
    RateLimiter,
    RootDisk,
    Rule,
    Sandbox,
    SandboxNotFoundError,
    SandboxStatus,
    ScopedUpstreamCACert,
    ScopedVerifyUpstream,
    Secret,
    SecretInjection,
    Size,
    Snapshot,
    TlsConfig,
    TokenBucket,
    UnsupportedError,
    ViolationAction,
    Volume,
    VolumeKind,
    VsockRoute,
    _create,
    _exec,
    _ffi,
    _pack,
    all_sandbox_metrics,
    install,
)
from microsandbox.types import DnsConfig

# ---- what reaches the library -----------------------------------------------------------------


def strings(address):
    """A list of C strings that ends with NULL."""
    found, i = [], 0
    while address and (text := _ffi.c_char_p.from_address(address + 8 * i).value) is not None:
        found, i = [*found, text.decode()], i + 1
    return found


KEPT = []  # what owns the structs that are looked at


def plan(**options):
    KEPT.append(_create.creation("n", {"image": "alpine", **options}))
    return KEPT[-1]


def network_of(c):
    return _ffi.msb_network.from_address(c.options.network)


def same(a, b):
    """Two creations have the same network."""
    left, right = network_of(a), network_of(b)
    for name in ("rules", "vsock", "nameservers"):
        assert strings(getattr(left, name)) == strings(getattr(right, name))
    for name in ("profile", "default_egress", "default_ingress", "flags", "dns_timeout_ms"):
        assert getattr(left, name) == getattr(right, name), name


def test_names_are_texts():
    assert (PullPolicy.NEVER, str(SandboxStatus("running")), f"{ExecEventType.STDOUT}") == (
        "never",
        "running",
        "stdout",
    )
    assert plan(pull_policy=PullPolicy.NEVER).pull.options.policy == _ffi.MSB_PULL_NEVER
    assert Size.gib(1).mib_count == 1024 and 512 * MiB == Size.mib(512).bytes
    assert (Port, Mount) == (PortBinding, type(Volume.tmpfs()))


def test_a_policy_is_rules_and_defaults():
    policy = NetworkPolicy(
        default_egress=Action.DENY,
        rules=(
            *Rule.allow_dns(),
            Rule.allow(
                destination=Destination.domain("api.example.com"), protocol=Protocol.TCP, port=443
            ),
            Rule.deny(destination=Destination.group(DestGroup.METADATA)),
            Rule.allow(destination=Destination.domain_suffix(".example.org")),
            Rule.allow(destination=Destination.ip("2001:db8::1")),
        ),
    )
    theirs = plan(network=Network(policy=policy, deny_domains=("ads.example.com",)))
    ours = plan(
        network=Network(
            rules=[
                "deny@domain=ads.example.com",
                "allow@dns",
                "allow:egress@domain=api.example.com:tcp:443",
                "deny:egress@meta",
                "allow:egress@suffix=example.org",
                "allow:egress@[2001:db8::1]",
            ],
            default_egress="deny",
            default_ingress="allow",
        )
    )
    same(theirs, ours)
    both = NetworkPolicy.from_profiles([NetworkProfile.PUBLIC, NetworkProfile.HOST])
    assert (
        both.rules == ("allow@dns", "allow@public", "allow@host") and both.default_egress == "deny"
    )
    assert (
        NetworkPolicy.none().default_ingress == "deny"
        and NetworkPolicy.allow_all().default_egress == "allow"
    )
    with pytest.raises(InvalidConfigError, match="in place of"):
        plan(network=Network(profile="public", policy=policy))
    with pytest.raises(InvalidConfigError, match="network.policy"):
        plan(network=Network(policy="none"))


def test_routes_and_name_servers():
    dns = DnsConfig(nameservers=("127.0.0.1:53",), query_timeout_ms=1500, rebind_protection=False)
    theirs = plan(
        network=Network(dns=dns),
        vsock=[VsockRoute.stream("/run/a.sock", 5000), VsockRoute.dgram("/run/b", 1)],
    )
    ours = DnsConfig(nameservers=["127.0.0.1:53"], query_timeout=1.5, rebind_protection=False)
    same(
        theirs, plan(network=Network(dns=ours), vsock=["/run/a.sock:5000/stream", "/run/b:1/dgram"])
    )
    assert strings(network_of(plan(vsock={"/run/a.sock": 5000})).vsock) == ["/run/a.sock:5000"]


def test_rates_are_buckets():
    limits = NetworkRateLimiter(
        egress=RateLimiter(bandwidth=TokenBucket(1000, 500), ops=TokenBucket(10, 1000))
    )
    o = network_of(plan(network=Network(rate_limiter=limits)))
    assert (o.egress_bytes.per_second, o.egress_bytes.burst) == (2000, 1000)
    assert (o.egress_packets.per_second, o.ingress_bytes.per_second) == (10, 0)


def test_tls_in_other_words():
    said = TlsConfig(
        bypass=("*.example.net",),
        intercepted_ports=(443, 8443),
        upstream_ca_certs=("/ca.pem",),
        scoped_upstream_ca_certs=(ScopedUpstreamCACert("api.internal", "/api.pem"),),
        scoped_verify_upstream=(ScopedVerifyUpstream("*.preview.internal", False),),
    )
    o = _ffi.msb_tls.from_address(plan(network=Network(tls=said)).options.tls)
    assert strings(o.upstream_cas) == ["/ca.pem"]
    assert strings(o.upstream_cas_for) == ["api.internal=/api.pem"]
    assert strings(o.no_verify_for) == ["*.preview.internal"]
    o = _ffi.msb_tls.from_address(plan(tls=TlsConfig(verify_upstream=False)).options.tls)
    assert strings(o.no_verify_for) == ["*"]
    for wrong in (TlsConfig(scoped_verify_upstream=(ScopedVerifyUpstream("a", True),)),):
        with pytest.raises(UnsupportedError):
            plan(tls=wrong)


def test_secrets_roots_and_volumes():
    injection = SecretInjection(headers=False, query_params=True)
    secret = Secret.env(
        "K", value="v", allow_hosts=["a"], injection=injection, on_violation=ViolationAction.BLOCK
    )
    assert (
        _pack.secret(_pack.Arena(), secret, "s").flags
        == _ffi.MSB_SECRET_BASIC | _ffi.MSB_SECRET_QUERY
    )
    disk = plan(image=Image.oci("alpine", upper_size_mib=64)).options
    assert (disk.upper, disk.upper_bytes) == (_ffi.MSB_UPPER_DISK, 64 * MiB)
    assert (
        plan(image=Image.oci("alpine", root_disk=RootDisk.tmpfs(32))).options.upper
        == _ffi.MSB_UPPER_TMPFS
    )
    named = Volume.named("d", mode=NamedVolumeMode.ENSURE_EXISTS, kind=VolumeKind.DISK, size_mib=64)
    assert named == Mount("named", "d", size=64, create=True, volume_kind="disk")
    assert Volume.named("d", quota_mib=8) == Mount.named("d", quota=8)
    assert Volume.bind("/x", uid=1, gid=2) == Mount.bind("/x", owner=(1, 2))
    assert Volume.tmpfs(size_mib=1) == Mount.tmpfs(size=1)
    with pytest.raises(InvalidConfigError, match="existing or ensure-exists"):
        Volume.named("d", mode="create")
    assert plan(entrypoint=["/bin/sh"]).options.entrypoint == b"/bin/sh"
    with pytest.raises(UnsupportedError, match="one program"):
        plan(entrypoint=["/bin/sh", "-c"])
    assert plan(init={"cmd": "/sbin/init", "args": ["-x"]}).options.init == b"/sbin/init"


def test_options_in_the_place_of_arguments():
    p = _exec.command_plan(
        "exec", "ls", {"args": ["-l"], "cwd": "/tmp", "timeout": 3}, {"user": "nobody"}
    )
    assert strings(p.options.argv) == ["ls", "-l"]
    assert (p.options.cwd, p.options.user, p.timeout) == (b"/tmp", b"nobody", 3)


def test_modify_in_other_words():
    whole = _create.modification(
        {
            "env_rm": ["A"],
            "root_disk_size": 64,
            "secrets": {"K": {"value": "v", "allowed_hosts": ["a", "b"]}},
        }
    )
    m = whole.options
    assert strings(m.env_rm) == ["A"] and m.upper_bytes == 64 * MiB
    secret = _ffi.msb_secret.from_address(_ffi.c_void_p.from_address(m.secrets).value)
    assert (secret.env, secret.value, strings(secret.hosts)) == (b"K", b"v", ["a", "b"])
    with pytest.raises(TypeError, match="store"):
        _create.modification({"secrets": {"K": {"store": "x"}}})


# ---- machines ---------------------------------------------------------------------------------


def test_the_life_of_a_name(image, run):
    async def main():
        await install()
        sandbox = await Sandbox.connect_or_create(
            "worker", image=image, memory=128, labels={"team": "a"}
        )
        name, made = await sandbox.name, await sandbox.id
        assert (name, made) == ("worker", sandbox.id)
        again = await Sandbox.connect_or_create("worker", image=image, memory=999)
        assert again.id == made and (await again.ping()).latency_ms > 0

        page = await Sandbox.list_with(labels={"team": "a"}, limit=1)
        assert [h.name for h in page.sandboxes] == ["worker"] and page.next_cursor is None
        assert [h.name for h in (await Sandbox.list()).sandboxes] == ["worker"]
        assert (await Sandbox.list_with(cursor="worker")).sandboxes == []

        running = await (await Sandbox.get("worker")).connect_or_start()
        assert (await running.shell("echo here")).stdout_text == "here\n"
        assert (await (await Sandbox.get("worker")).ping()).name == "worker"
        await running.request_stop()
        stopped = await running.wait_for_status(SandboxStatus.STOPPED)
        assert (await stopped.wait_until_stopped()).status == SandboxStatus.STOPPED
        started = await stopped.connect_or_start()
        await (await Sandbox.get("worker")).request_kill()
        await started.wait_until_stopped()
        restarted = await (await stopped.refresh()).restart()
        assert restarted.id == made
        await restarted.destroy()
        with pytest.raises(SandboxNotFoundError):
            await Sandbox.get("worker")
        # A record means one sandbox, not whoever has its name now.
        async with await Sandbox.create("worker", image=image, memory=64) as other:
            for stale in (
                stopped.start,
                stopped.kill,
                stopped.remove,
                stopped.refresh,
                stopped.net.rules,
            ):
                with pytest.raises(SandboxNotFoundError):
                    await stale()
            assert other.id != made and len((await other.net.rules())["rules"]) == 2
            assert await other.net.ports() == [] and (
                await other.modify(labels={"a": "b"}, dry_run=True)
            )

    run(main)


def test_commands_files_logs_and_numbers(image, run):
    async def main():
        async with await Sandbox.create(
            "shape-1", image=image, memory=128, replace=True
        ) as sandbox:
            output = await sandbox.exec(
                "sh", {"args": ["-c", "pwd; echo $A"], "cwd": "/tmp", "env": {"A": "b"}}
            )
            assert (output.stdout_text, output.exit_code) == ("/tmp\nb\n", 0)

            wrote, ended = b"", None
            async for event in await sandbox.exec_stream(
                "sh", ["-c", "echo out; echo err >&2; exit 3"]
            ):
                if event.event_type == ExecEventType.STDOUT:
                    wrote += event.data
                elif event.event_type == ExecEventType.EXITED:
                    ended = event.code
            assert (wrote, ended) == (b"out\n", 3)

            fs = sandbox.fs
            await fs.mkdir("/work")
            await fs.write("/work/config.json", b'{"debug": true}')
            assert await fs.read_text("/work/config.json") == '{"debug": true}'
            assert [(e.kind, e.size) for e in await fs.list("/work")] == [("file", 15)]
            assert await fs.exists("/work") and not await fs.exists("/none")

            entries = await sandbox.logs(sources=[LogReadSource.ALL], since_ms=1.0)
            assert any(e.data == b"err\n" and e.timestamp_ms > 1e12 for e in entries)
            m = await sandbox.metrics()
            assert m.memory_limit_bytes == 128 * MiB and m.uptime_ms > 0 and m.vcpu_time_ns > 0
            async for sample in await sandbox.metrics_stream(interval=0.1):
                assert sample.timestamp_ms >= m.timestamp_ms
                break
            assert (await all_sandbox_metrics())["shape-1"].memory_host_resident_bytes > 0

    run(main)


def test_volumes_snapshots_and_patches(image, run, tmp_path):
    async def main():
        data = await Volume.create("shape-data", quota_mib=32)
        assert data.quota_mib == 32
        events = []
        session = Sandbox.create_with_progress(
            "shape-base",
            image=Image.oci(image, upper_size_mib=512),
            memory=128,
            pull_policy=PullPolicy.ALWAYS,
            patches=[Patch.text("/etc/greeting", "Hello\n"), Patch.mkdir("/app", mode=0o755)],
            volumes={"/data": Volume.named(data.name)},
            network=Network.from_profiles(NetworkProfile.PUBLIC),
            ports=[PortBinding.tcp(0, 80)],
            replace=True,
        )
        async with session:
            async for event in session.progress:
                events.append(event.event_type)
            base = await session.result()
        assert PullEventType.COMPLETE in events
        assert (
            await base.shell(
                "cat /etc/greeting; ls -d /app; echo kept > /data/f; df -m / | tail -1"
            )
        ).success
        await base.stop()
        info = await Snapshot.create(
            "shape-snap", from_sandbox="shape-base", labels={"a": "b"}, record_integrity=True
        )
        assert (info.name, info.source_sandbox, info.content[:7]) == (
            "shape-snap",
            "shape-base",
            "sha256:",
        )
        async with await Sandbox.create(
            "shape-fork", from_snapshot="shape-snap", memory=128
        ) as fork:
            assert (await fork.fs.read_text("/etc/greeting")) == "Hello\n"
        reference = (await Image.list())[0]
        assert (reference.os, reference.architecture) == (
            "linux",
            "amd64",
        ) and reference.manifest_digest
        await Image.save(reference.reference, output_path=tmp_path / "image.tar")
        assert os.path.getsize(tmp_path / "image.tar") > 1000
        await Snapshot.remove("shape-snap")
        await (await Sandbox.get("shape-base")).destroy()
        await Volume.remove("shape-data")

    run(main)


def test_the_same_without_await(image):
    from microsandbox import sync

    sandbox = sync.Sandbox.connect_or_create("plain", image=image, memory=128)
    assert sync.PullPolicy.NEVER == "never" and sandbox.name == "plain"
    sandbox.request_stop()
    sandbox.wait_for_status(sync.SandboxStatus.STOPPED).destroy()
    assert sync.Sandbox.list().sandboxes == []
