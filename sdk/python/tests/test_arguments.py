"""What is wrong raises before anything starts: there is no library here, so nothing can."""
import asyncio

import pytest

import microsandbox
from microsandbox import (
    DnsConfig,
    InvalidConfigError,
    InvalidTypeError,
    MicrosandboxError,
    Mount,
    Network,
    Patch,
    Port,
    Rlimit,
    Sandbox,
    Secret,
    Size,
    TlsConfig,
    UnsupportedError,
    Volume,
)
from microsandbox import _native, sync


@pytest.fixture(autouse=True)
def no_library(monkeypatch):
    """Whatever gets as far as the library fails with another error than those below."""
    monkeypatch.setenv("MICROSANDBOX_LIBRARY", "/nonexistent/libmicrosandbox.so.0")
    monkeypatch.setattr(_native, "lib", _native.Library())
    monkeypatch.setattr(_native.Library, "_cdll", None)


WRONG_TYPES = [
    ("a name that is a number", (7,), {"image": "x"}),
    ("an image that is a number", ("n",), {"image": 7}),
    ("cpus as text", ("n",), {"cpus": "2"}),
    ("cpus as a fraction", ("n",), {"cpus": 1.5}),
    ("cpus as a truth", ("n",), {"cpus": True}),
    ("memory as text", ("n",), {"memory": "512M"}),
    ("env as a list", ("n",), {"env": ["A=b"]}),
    ("a value of env as a number", ("n",), {"env": {"A": 1}}),
    ("a key of env as a number", ("n",), {"env": {1: "A"}}),
    ("labels as text", ("n",), {"labels": "a=b"}),
    ("a command as text", ("n",), {"cmd": "sleep 1"}),
    ("a command with a number", ("n",), {"cmd": ["sleep", 1]}),
    ("detached as a number", ("n",), {"detached": 1}),
    ("max_duration as text", ("n",), {"max_duration": "1h"}),
    ("volumes as a list", ("n",), {"volumes": [Volume.tmpfs()]}),
    ("a volume as text", ("n",), {"volumes": {"/a": "/b"}}),
    ("a source as a number", ("n",), {"volumes": {"/a": Mount("bind", 1)}}),
    ("a flag of a mount as text", ("n",), {"volumes": {"/a": Volume.bind("/b", readonly="yes")}}),
    ("patches as a mapping", ("n",), {"patches": {"/a": "b"}}),
    ("a patch as text", ("n",), {"patches": ["/a"]}),
    ("a patch's data as a number", ("n",), {"patches": [Patch.text("/a", 1)]}),
    ("a network as text", ("n",), {"network": "none"}),
    ("rules as text", ("n",), {"network": Network(rules="allow@any")}),
    ("a rule as a number", ("n",), {"network": Network(rules=[1])}),
    ("dns as a list", ("n",), {"network": Network(dns=["1.1.1.1"])}),
    ("ports as a number", ("n",), {"ports": 80}),
    ("a port as text", ("n",), {"ports": {"8080": 80}}),
    ("secrets as a mapping", ("n",), {"secrets": {"K": "v"}}),
    ("a secret as text", ("n",), {"secrets": ["K=v@h"]}),
    ("a secret's value as bytes", ("n",), {"secrets": [Secret.env("K", value=b"v")]}),
    ("hosts as text", ("n",), {"secrets": [Secret("K", "v", None, "h")]}),
    ("tls as a truth", ("n",), {"tls": True}),
    ("rlimits as a mapping", ("n",), {"rlimits": {"nofile": 1}}),
    ("scripts with bytes", ("n",), {"scripts": {"a": b"#!"}}),
    ("init as a list", ("n",), {"init": ["/sbin/init"]}),
    ("progress as text", ("n",), {"progress": "yes"}),
    ("home as a number", ("n",), {"home": 1}),
    ("an option that there is not", ("n",), {"no_such_option": 1}),
]
WRONG_VALUES = [
    ("no image", ("n",), {"image": None}),
    ("an image and a snapshot", ("n",), {"from_snapshot": "s"}),
    ("an empty name", ("",), {}),
    ("NUL in a name", ("a\0b",), {}),
    ("NUL in env", ("n",), {"env": {"A": "a\0b"}}),
    ("a lone surrogate", ("n",), {"user": "\ud800"}),
    ("no processors", ("n",), {"cpus": 0}),
    ("cpus below zero", ("n",), {"cpus": -1}),
    ("cpus past 32 bits", ("n",), {"cpus": 2**32 + 1}),
    ("memory past 64 bits", ("n",), {"memory": 2**63}),
    ("a size below zero", ("n",), {"memory": Size(-1)}),
    ("time below zero", ("n",), {"max_duration": -1}),
    ("time that is none", ("n",), {"idle_timeout": float("nan")}),
    ("time without end", ("n",), {"boot_timeout": float("inf")}),
    ("a variable without a name", ("n",), {"env": {"": "x"}}),
    ("a variable with =", ("n",), {"env": {"A=B": "x"}}),
    ("a port past 65535", ("n",), {"ports": {8080: 65536}}),
    ("a port of the guest that is 0", ("n",), {"ports": [Port(8080, 0)]}),
    ("a port as other text", ("n",), {"ports": ["80"]}),
    ("a protocol that is none", ("n",), {"ports": ["8080:80/sctp"]}),
    ("a kind of mount that is none", ("n",), {"volumes": {"/a": Mount("nfs", "/b")}}),
    ("a tmpfs of something", ("n",), {"volumes": {"/a": Mount("tmpfs", "/b")}}),
    ("an owner of one number", ("n",), {"volumes": {"/a": Volume.bind("/b", owner=[1])}}),
    ("a mode past 07777", ("n",), {"patches": [Patch.mkdir("/a", mode=0o10000)]}),
    ("an action that is none", ("n",), {"network": Network(default_egress="maybe")}),
    ("a policy that is none", ("n",), {"pull_policy": "sometimes"}),
    ("an engine that is none", ("n",), {"engine": "xen"}),
    ("tls said twice", ("n",), {"tls": TlsConfig(), "network": Network(tls=TlsConfig())}),
    ("a place that is none", ("n",), {"secrets": [Secret.env("K", headers=False, basic_auth=False)]}),
    ("a script with a slash", ("n",), {"scripts": {"a/b": "#!"}}),
    ("a time of dns past 32 bits", ("n",), {"network": Network(dns=DnsConfig(query_timeout=1e9))}),
]


@pytest.mark.parametrize("args, options", [w[1:] for w in WRONG_TYPES], ids=[w[0] for w in WRONG_TYPES])
def test_wrong_types(args, options):
    options = {"image": "alpine", **options}
    for create in (lambda: asyncio.run(Sandbox.create(*args, **options)),
                   lambda: sync.Sandbox.create(*args, **options)):
        with pytest.raises(InvalidTypeError) as e:
            create()
        assert isinstance(e.value, (TypeError, MicrosandboxError)) and e.value.code_name == "invalid"


@pytest.mark.parametrize("args, options", [w[1:] for w in WRONG_VALUES], ids=[w[0] for w in WRONG_VALUES])
def test_wrong_values(args, options):
    options = {"image": "alpine", **options}
    for create in (lambda: asyncio.run(Sandbox.create(*args, **options)),
                   lambda: sync.Sandbox.create(*args, **options)):
        with pytest.raises(InvalidConfigError) as e:
            create()
        assert isinstance(e.value, ValueError)


def test_a_text_is_no_list_of_hosts():
    for make in (lambda: Secret.env("K", value="v", allow_hosts="h"), lambda: Network.allow_only("h")):
        with pytest.raises(InvalidTypeError):
            make()


def test_what_others_have_is_said_to_be_missing():
    with pytest.raises(UnsupportedError, match="max_cpus"):
        sync.Sandbox.create("n", image="alpine", max_cpus=2)


OTHERS = [
    lambda m: m.Image.pull(1),
    lambda m: m.Image.pull("x", policy="maybe"),
    lambda m: m.Image.pull("x", force=1),
    lambda m: m.Image.save([1], "/x"),
    lambda m: m.Image.save("x", "/x", format="zip"),
    lambda m: m.Volume.create("v", size=-1),
    lambda m: m.Volume.create("v", kind="tape"),
    lambda m: m.Volume.remove("v", force="yes"),
    lambda m: m.Snapshot.create("s", "n", labels=["a"]),
    lambda m: m.Snapshot.save("n", b"/x"),
    lambda m: m.Sandbox.remove(None),
    lambda m: m.Sandbox.list(labels="a=b"),
    lambda m: m.Sandbox.start("n", secrets="K"),
    lambda m: m.Sandbox.restart("n", timeout="10"),
    lambda m: m.doctor(home=3),
    lambda m: m.repair(dry_run=1),
]


@pytest.mark.parametrize("call", OTHERS, ids=range(len(OTHERS)))
def test_other_calls(call):
    async def main():
        await call(microsandbox)

    with pytest.raises(InvalidConfigError):
        asyncio.run(main())
    with pytest.raises(InvalidConfigError):
        call(sync)


def test_limits_of_resources():
    from microsandbox._pack import rlimits

    assert rlimits([Rlimit.nofile(5), Rlimit.as_(soft=1, hard=2), "core=0"], "r") == [
        b"nofile=5:5", b"as=1:2", b"core=0"]
    with pytest.raises(InvalidConfigError):
        rlimits([Rlimit.nofile(-1)], "r")


def test_values_are_values():
    a, b = Port(1, 2), Port(host_port=1, guest_port=2)
    assert a == b and hash(a) == hash(b) and a != Port(1, 3) and repr(a) == "Port(host_port=1, guest_port=2)"
    with pytest.raises(AttributeError):
        a.host_port = 3
    assert a.replace(host_port=3) == Port(3, 2)
    with pytest.raises(TypeError):
        Port(1)
    with pytest.raises(TypeError):
        Port(1, 2, color="red")
    with pytest.raises(TypeError):
        Port(1, 2, host_port=1)
    assert "hunter2" not in repr(Secret.env("K", value="hunter2", allow_hosts=["h"]))
    assert {Network.none(), Network.none()} == {Network.none()}
