"""The network as the guest finds it: eth0, routes, /etc/hosts, /etc/resolv.conf, trust stores; and nothing of it in the
image. One machine whose image is odd, one plain, one without a network."""
import io
import ipaddress
import re
import tarfile

import pytest

from lib import vmm
from lib.cli import Cli
from oci import Layout

THEIRS = "10.9.8.7 theirs\n"
STORE = "# the image's own store\n"
IMAGE = "test/odd:1"


def odd_root(folder):
    """A root whose /etc is as images have it, and as they should not have it."""
    vmm.busybox_tree(folder)
    etc = folder / "etc"
    (etc / "hosts").write_text(THEIRS)
    (etc / "resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    (etc / "hostname").symlink_to("/proc/1/root/etc/passwd")  # a magic link: not followed
    (etc / "ssl/certs").mkdir(parents=True)
    (etc / "ssl/certs/ca-certificates.crt").write_text(STORE)
    (etc / "ssl/cert.pem").symlink_to("certs/ca-certificates.crt")
    (etc / "pki/tls/certs").mkdir(parents=True)
    (etc / "pki/tls/certs/ca-bundle.crt").symlink_to("/etc/pki/nowhere/bundle.pem")
    return folder


def layout_of(tree, folder):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.add(tree, arcname=".")
    layout = Layout(folder)
    layout.image("latest", [data.getvalue()], {"Env": ["PATH=/bin"]})
    return layout.finish()


@pytest.fixture(scope="module")
def cli(build_dir, tmp_path_factory):
    tmp = tmp_path_factory.mktemp("netguest")
    c = Cli(build_dir, tmp / "home")
    c.ok("load", "-q", "-i", layout_of(odd_root(tmp / "tree"), tmp / "layout"), "-t", IMAGE)
    yield c
    c("rm", "-q", "-f", *c.ok("ls", "-q").split())


@pytest.fixture(scope="module")
def odd(cli):
    """Its name; it has all there is."""
    cli.ok("run", "-q", "-d", "-n", "odd", "--hostname", "boxy", "--net-mtu", "9000", "--trust-host-cas", IMAGE, "--",
           "sleep", "1000")
    return "odd"


def sh(cli, name, script):
    return cli.ok("exec", name, "--", "sh", "-c", script)


def layers_of(archive):
    """Names and sizes in each layer of an OCI archive, by the layer's own order."""
    found = []
    with tarfile.open(archive) as outer:
        for member in outer:
            try:
                with tarfile.open(fileobj=outer.extractfile(member)) as layer:
                    found.append({m.name.removeprefix("./"): m.size for m in layer})
            except (tarfile.TarError, TypeError):
                continue  # JSON, a folder
    return found


# ---- the interface --------------------------------------------------------------------------------------------------

def test_eth0_is_up_with_both_families(cli, odd):
    text = sh(cli, odd, "ip addr show dev eth0")
    assert re.search(r"<[^>]*\bUP\b[^>]*LOWER_UP[^>]*> mtu 9000 ", text), text
    four = ipaddress.ip_interface(re.search(r"inet (\S+)", text)[1])
    six = ipaddress.ip_interface(re.search(r"inet6 (fd\S+)", text)[1])
    assert four.network.prefixlen == 30 and four.ip == four.network[2]
    assert six.network.prefixlen == 64 and six.ip == six.network[2]
    # Not tentative: usable from the first command on.
    assert "tentative" not in text and not re.search(r"fd\S+ scope global.*flags [48c]", text)
    assert sh(cli, odd, "cat /proc/sys/net/ipv6/conf/eth0/accept_ra").strip() == "0"
    routes = sh(cli, odd, "ip route")
    assert f"default via {four.network[1]} dev eth0" in routes
    assert sh(cli, odd, "ip route | wc -l").strip() == "2"


def test_the_gateway_answers_in_both_families(cli, odd):
    for family, flag in (("-4", ""), ("-6", "-6")):
        net = re.search(r"inet6 (fd\S+)" if flag else r"inet (\S+)", sh(cli, odd, "ip addr show dev eth0"))[1]
        gateway = ipaddress.ip_interface(net).network[1]
        assert " 0% packet loss" in sh(cli, odd, f"ping {family} -c 2 -W 5 {gateway}")


def test_ipv6_has_a_default_route_only_with_the_host(cli, odd):
    here = [line for line in open("/proc/net/ipv6_route", encoding="ascii")
            if line.startswith("0" * 32 + " 00 ") and not line.rstrip().endswith(" lo")]
    there = sh(cli, odd, "ip -6 route")
    assert ("default via fd" in there) == bool(here), (here, there)


# ---- files ----------------------------------------------------------------------------------------------------------

def test_files_say_what_the_machine_has(cli, odd):
    hosts = sh(cli, odd, "cat /etc/hosts").splitlines()
    assert hosts[:2] == ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
    own = [line.split() for line in hosts[2:] if line.endswith("boxy")]
    assert len(own) == 2 and own[0][0].startswith("172.") and own[1][0].startswith("fd42:")
    assert THEIRS.strip() not in hosts
    gateway = re.search(r"default via (\S+)", sh(cli, odd, "ip route"))[1]
    assert sh(cli, odd, "cat /etc/resolv.conf").splitlines()[0] == f"nameserver {gateway}"
    assert sh(cli, odd, "hostname").strip() == "boxy"
    assert " 0% packet loss" in sh(cli, odd, "ping -c 1 -W 5 boxy")


def test_links_of_the_image_are_followed_within_it_only(cli, odd):
    assert sh(cli, odd, "readlink /etc/resolv.conf").strip() == "../run/systemd/resolve/stub-resolv.conf"
    assert "nameserver" in sh(cli, odd, "cat /run/systemd/resolve/stub-resolv.conf")
    # The magic link was left alone.
    assert sh(cli, odd, "cat /etc/passwd").startswith("root:x:0:0")
    mounts = sh(cli, odd, "cat /proc/mounts")
    assert " /etc/hosts tmpfs rw,nosuid,nodev,noexec" in mounts and "/etc/passwd" not in mounts


def test_the_hosts_certificates_are_behind_the_images(cli, odd):
    ours = sh(cli, odd, "cat /.msb/ca.pem")
    assert ours.count("-----BEGIN CERTIFICATE-----") == ours.count("-----END CERTIFICATE-----") > 0
    for path in ("/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem"):
        assert sh(cli, odd, f"cat {path}") == STORE + ours
    assert cli("exec", odd, "--", "test", "-e", "/etc/pki/nowhere").returncode == 1
    assert cli("exec", odd, "--", "sh", "-c", "echo x > /.msb/ca.pem").returncode != 0


def test_nothing_of_it_is_in_a_commit(cli, odd, tmp_path):
    sh(cli, odd, "echo 1.2.3.4 added >> /etc/hosts; echo mine > /kept")
    assert "1.2.3.4 added" in sh(cli, odd, "cat /etc/hosts")
    cli.ok("commit", "-q", odd, "test/committed:1")
    cli.ok("save", "-q", "-o", tmp_path / "odd.tar", "test/committed:1")
    new = [layer for layer in layers_of(tmp_path / "odd.tar") if "kept" in layer]
    assert len(new) == 1
    # The file that the image's link leads to had to be made; it is empty.
    assert new[0].pop("run/systemd/resolve/stub-resolv.conf") == 0
    files = {name for name, size in new[0].items() if size}
    assert files == {"kept"}, new[0]


def test_a_restart_begins_with_the_hosts_word_again(cli, odd):
    cli.ok("stop", "-q", odd)
    cli.ok("start", "-q", odd)
    hosts = sh(cli, odd, "cat /etc/hosts")
    assert "added" not in hosts and "boxy" in hosts
    assert sh(cli, odd, "cat /kept").strip() == "mine"
    cli.ok("stop", "-q", odd)


# ---- without --------------------------------------------------------------------------------------------------------

def test_without_a_network_all_is_as_the_image_has_it(cli, tmp_path):
    (tmp_path / "box.yaml").write_text("network: {enabled: false}\n")
    out = cli.ok("run", "-q", "--conf", tmp_path / "box.yaml", IMAGE, "--", "sh", "-c",
                 "ls /sys/class/net; cat /etc/hosts; test -e /etc/resolv.conf || echo none; cat /etc/ssl/cert.pem; "
                 "grep /etc/ /proc/mounts || true")
    assert out == f"lo\n{THEIRS}none\n{STORE}", out
