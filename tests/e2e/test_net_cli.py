"""The network's options, from the command line to the machine: what is kept, what is refused and with which words, what
ps, inspect, metrics and net explain say. What flows do is in test_net.py and others; here one machine is enough."""
import json
import re
import socket
import subprocess
import urllib.request

import pytest

from conftest import need
from lib.cli import Cli, wait_until

IMAGE = "test/busybox:1"


@pytest.fixture(scope="module")
def cli(build_dir, busybox_image, tmp_path_factory):
    c = Cli(build_dir, tmp_path_factory.mktemp("netcli") / "home")
    c.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    yield c
    c("rm", "-q", "-f", *c.ok("ls", "-q").split())


@pytest.fixture
def made(cli):
    """Put one on record: what inspect says of it, then it goes."""
    def make(*args, **kw):
        cli.ok("create", "-q", "--no-start", "-n", "paper", *args, IMAGE, **kw)
        return json.loads(cli.ok("inspect", "paper", "--format", "json"))
    yield make
    cli("rm", "-q", "-f", "paper")


@pytest.fixture
def write(tmp_path):
    def put(name, text):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)
    return put


def refused(cli, *args, **kw):
    r = cli("create", "-q", "--no-start", "-n", "wrong", *args, IMAGE, **kw)
    assert r.returncode in (1, 2) and r.err.startswith("error: "), (r.returncode, r.err)
    assert "wrong" not in cli.ok("ls", "-q").split()
    return r.err


# ---- on record ------------------------------------------------------------------------------------------------------

def test_without_options_the_network_is_public(cli, made):
    n = made()["config"]["network"]
    assert n["enabled"] and n["policy"] == "public" and n["rules"] == [] and n["ports"] == []
    assert n["dns"] == {"rebind_protection": True, "nameservers": [], "query_timeout_ms": 5000}
    assert (n["mtu"], n["max_connections"], n["strict"], n["proxy"], n["pcap"]) == (1500, 4096, False, None, None)
    assert re.search(r"^Network +public$", cli.ok("inspect", "paper"), re.M)
    assert cli.ok("net", "rules", "paper").splitlines() == [
        "1        allow@dns", "2        allow@public", "egress   deny, when none of them matches",
        "ingress  allow, when none of them matches"]


def test_every_option_is_kept(made, tmp_path):
    n = made("--net", "public,host", "--net-rule", "deny@10.0.0.0/8,allow@x.org:tcp:443", "--net-rule", "allow@*.y.org",
             "-p", "8080:80", "-p", "[::1]:0:53/udp", "--net-strict", "--trust-host-cas", "--net-log-denied",
             "--no-dns-rebind-protection", "--dns-nameserver", "9.9.9.9", "--dns-nameserver", "[::1]:5353",
             "--dns-query-timeout-ms", "700", "--net-ipv4-pool", "10.9.0.0/16", "--net-ipv6-pool", "fd00:9::/48",
             "--net-egress-bandwidth", "10M/2s", "--net-egress-ops", "50", "--net-ingress-bandwidth", "1M",
             "--net-ingress-bandwidth-burst", "2M", "--net-ingress-ops", "70", "--net-ingress-ops-burst", "700",
             "--max-connections", "77", "--net-mtu", "9000", "--proxy", "socks5://127.0.0.1:1080",
             "--socks5-username", "me", "--socks5-password-env", "PW", "--vsock", f"{tmp_path}/a.sock:5000/dgram",
             "--pcap", f"{tmp_path}/x.pcap")["config"]["network"]
    assert n["policy"] == "public,host" and n["rules"] == ["deny@10.0.0.0/8,allow@x.org:tcp:443", "allow@*.y.org"]
    assert n["ports"] == [{"bind": "127.0.0.1", "host": 8080, "guest": 80, "protocol": "tcp"},
                          {"bind": "::1", "host": 0, "guest": 53, "protocol": "udp"}]
    assert n["strict"] and n["trust_host_cas"] and n["log_denied"]
    assert n["dns"] == {"rebind_protection": False, "nameservers": ["9.9.9.9", "[::1]:5353"], "query_timeout_ms": 700}
    assert (n["ipv4_pool"], n["ipv6_pool"]) == ("10.9.0.0/16", "fd00:9::/48")
    assert n["limits"] == {
        "egress": {"bandwidth": {"per_second": 5 << 20, "burst": 10 << 20}, "ops": {"per_second": 50, "burst": 50}},
        "ingress": {"bandwidth": {"per_second": 1 << 20, "burst": 2 << 20}, "ops": {"per_second": 70, "burst": 700}}}
    assert (n["max_connections"], n["mtu"], n["proxy"]) == (77, 9000, "socks5://127.0.0.1:1080")
    assert (n["socks5_username"], n["socks5_password_env"]) == ("me", "PW")
    assert n["vsock"] == [f"{tmp_path}/a.sock:5000/dgram"] and n["pcap"] == f"{tmp_path}/x.pcap"


def test_a_relative_capture_is_where_msb_was(made, tmp_path):
    assert made("--pcap", "x.pcap", cwd=tmp_path)["config"]["network"]["pcap"] == f"{tmp_path}/x.pcap"


@pytest.mark.parametrize("args, message, hint", [
    (["-p", "80"], "'80' is not [BIND:]HOST:GUEST[/tcp|/udp]", "8080:80"),
    (["-p", "1.2.3:80:80"], "'1.2.3' is no address", "127.0.0.1"),
    (["-p", "80:80", "-p", "127.0.0.1:80:81"], "port 80 of the host is published twice", ""),
    (["-p", "0.0.0.0:80:80", "-p", "127.0.0.1:80:81"], "port 80 of the host is published twice", ""),
    (["--net-rule", "allow@host.microsandbox.internal:tcp:80"], 'rules call this host "host"', "allow@host"),
    (["--net", "bogus"], 'no network profile "bogus"', "public, private, host"),
    (["--net", "none,public"], "none", ""),
    (["--net-rule", "alow@public"], 'rule "alow@public"', 'did you mean "allow"?'),
    (["--net-rule", "allow@publc"], "publc", "public"),
    (["--net-rule", "allow@10.0.0.0/33"], "10.0.0.0/33", ""),
    (["--net-rule", "allow@*.com"], "*.com", ""),
    (["--no-net", "--net", "all"], "--no-net and --net exclude each other", "msb create --help"),
    (["--net", "all", "--net-default", "deny"], "--net and --net-default exclude each other", ""),
    (["--no-net", "--net-default-egress", "deny"], "exclude each other", ""),
    (["--net-default", "perhaps"], "--net-default: 'perhaps'", "allow, deny"),
    (["--dns-nameserver", "dns.google"], "'dns.google' is no name server", "1.1.1.1"),
    (["--net-ipv4-pool", "10.0.0.0/31"], "it is too small", "172.16.0.0/12"),
    (["--net-ipv4-pool", "8.8.0.0/16"], "private", ""),
    (["--net-ipv6-pool", "fd00::/65"], "it is too small", "fd42:6d73:62::/48"),
    (["--net-egress-bandwidth", "fast"], "--net-egress-bandwidth: 'fast'", "10M"),
    (["--net-egress-ops", "1/1h"], "less than one a second", ""),
    (["--net-ingress-ops-burst", "5"], "--net-ingress-ops-burst needs --net-ingress-ops", ""),
    (["--max-connections", "10001"], "at most 10000", ""),
    (["--net-mtu", "1000"], "MTU 1000: between 1280 and 65520", ""),
    (["--proxy", "socks5://name:1080"], "'socks5://name:1080' is no proxy", "socks5://127.0.0.1:1080"),
    (["--socks5-username", "u", "--socks5-password-env", "P"], "needs a proxy socks5://", ""),
    (["--vsock", "a.sock:1"], "the path is absolute", "/run/agent.sock:5000"),
    (["--vsock", "/a.sock:1024"], "the machine's own", ""),
    (["--pcap", "/tmp/"], "is no file", ""),
])
def test_what_is_wrong_is_said_with_the_next_step(cli, args, message, hint):
    err = refused(cli, *args)
    assert message in err and hint in err, err


def test_ports_for_others_are_noticed(cli, made):
    r = cli("create", "--no-start", "-n", "paper", "-p", "0.0.0.0:8080:80", IMAGE)
    assert r.returncode == 0 and "warn: port 8080 of 0.0.0.0 is open to other machines" in r.err
    cli.ok("rm", "-q", "paper")
    r = cli("create", "--no-start", "-n", "paper", "-p", "127.9.9.9:8080:80", "-p", "[::1]:8080:80", IMAGE)
    assert r.returncode == 0 and "warn" not in r.err


def test_files_say_the_same(made, write, tmp_path):
    conf = write("c.yaml", """
network:
  policy: open
  deny: [evil.org]
  ports: ["8080:80"]
  dns: {rebind_protection: false, nameservers: [1.1.1.1], query_timeout: 3s}
  limits: {egress: {bandwidth: 1M/1s}}
  mtu: 4000
  pcap: ./x.pcap
ports: ["9090:90/udp"]
""")
    n = made("--conf", conf)["config"]["network"]
    assert (n["policy"], n["rules"], n["mtu"], n["pcap"]) == ("all", ["deny@evil.org"], 4000, f"{tmp_path}/./x.pcap")
    assert [(p["host"], p["protocol"]) for p in n["ports"]] == [(8080, "tcp"), (9090, "udp")]
    assert n["dns"] == {"rebind_protection": False, "nameservers": ["1.1.1.1"], "query_timeout_ms": 3000}
    assert n["limits"]["egress"]["bandwidth"] == {"per_second": 1 << 20, "burst": 1 << 20}


def test_an_allow_list_is_all_that_is_allowed(cli, made, write):
    made("--conf", write("c.yaml", "network: {allow: [example.com, '*.x.org:tcp:443'], deny: [y.x.org]}\n"))
    assert json.loads(cli.ok("net", "rules", "paper", "--format", "json")) == {
        "rules": [{"number": 1, "rule": "deny@y.x.org"}, {"number": 2, "rule": "allow@example.com"},
                  {"number": 3, "rule": "allow@*.x.org:tcp:443"}],
        "defaults": {"egress": "deny", "ingress": "allow"}, "strict": False}


def test_options_go_over_files(cli, made, write):
    conf = write("c.yaml", "network: {policy: private, deny: [x.org]}\n")
    net = write("n.yaml", "{mtu: 2000, ports: ['1:1'], strict: true}\n")
    made("--conf", conf, "--net-conf", net, "-p", "2:2", "--net-rule", "allow@z.org")
    n = json.loads(cli.ok("inspect", "paper", "--format", "json"))["config"]["network"]
    assert n["rules"] == ["allow@z.org", "deny@x.org"] and n["policy"] == "private" and n["strict"]
    assert [p["host"] for p in n["ports"]] == [1, 2] and n["mtu"] == 2000
    cli.ok("rm", "-q", "paper")
    n = made("--conf", conf, "--no-net")["config"]["network"]  # all of the file's policy is replaced
    assert (n["policy"], n["rules"], n["default_egress"], n["default_ingress"]) == (None, [], "deny", "deny")


def test_ps_and_inspect_show_what_will_be_published(cli, made):
    i = made("-p", "8080:80", "-p", "[::1]:0:443")
    assert [(p["bind"], p["host"], p["guest"]) for p in i["ports"]] == [("127.0.0.1", 8080, 80), ("::1", 0, 443)]
    assert json.loads(cli.ok("ps", "paper", "--format", "json"))["ports"] == i["ports"]
    table = cli.ok("ps", "-a")
    assert table.split("\n")[0].rstrip().endswith("PORTS") and "127.0.0.1:8080->80/tcp, [::1]:0->443/tcp" in table
    assert re.search(r"^Ports +127\.0\.0\.1:8080->80/tcp, \[::1\]:0->443/tcp$", cli.ok("inspect", "paper"), re.M)


# ---- explain --------------------------------------------------------------------------------------------------------

def explain(cli, name, target, *args):
    return json.loads(cli.ok("net", "explain", name, target, "--format", "json", *args))


@pytest.mark.parametrize("target, verdict, rule", [
    ("1.1.1.1:443", "allow", "allow@public"),
    ("https://1.1.1.1/path", "allow", "allow@public"),
    ("8.8.8.8:53", "deny", "deny@8.8.8.8"),
    ("10.0.0.1", "deny", "the default of egress: deny"),
    ("169.254.169.254", "deny", "the default of egress: deny"),
    ("[::ffff:127.0.0.1]:80", "deny", "the default of egress: deny"),
    ("[64:ff9b::10.0.0.1]:80", "deny", "the default of egress: deny"),
    ("::1", "deny", "the default of egress: deny"),
    ("good.example.com:443", "allow", "allow@*.example.com:tcp:443"),
    ("bad.example.com:443", "deny", "deny@bad.example.com"),
    ("host.microsandbox.internal:80", "deny", "the default of egress: deny"),
])
def test_explain_of_one_that_does_not_run(cli, made, target, verdict, rule):
    made("--net-rule", "deny@8.8.8.8,deny@bad.example.com,allow@*.example.com:tcp:443")
    e = explain(cli, "paper", target)
    assert (e["verdict"], e["rule"]) == (verdict, rule), e
    assert cli.ok("net", "explain", "paper", target).startswith(f"Verdict  {verdict}, by ")


def test_explain_knows_protocols_and_refuses_nonsense(cli, made):
    made("--net-rule", "deny@1.1.1.1:udp:53")
    assert explain(cli, "paper", "1.1.1.1:53", "--protocol", "udp")["verdict"] == "deny"
    assert explain(cli, "paper", "1.1.1.1:53", "--protocol", "tcp")["verdict"] == "allow"
    assert explain(cli, "paper", "1.1.1.1", "--protocol", "icmp")["verdict"] == "allow"
    for args, code, message in [(["paper", "x.org:99999"], 2, "is not HOST[:PORT]"), (["paper", "[::1"], 2, "is not HOST"),
                                (["paper", "a b"], 1, "neither an address nor a name"),
                                (["nobody", "x.org"], 1, "there is no sandbox nobody"),
                                (["paper", "x.org", "--protocol", "gre"], 2, "--protocol: 'gre'")]:
        r = cli("net", "explain", *args)
        assert r.returncode == code and message in r.err, r.err


def test_one_without_an_interface_says_so(cli, made, write):
    made("--conf", write("c.yaml", "network: {enabled: false}\n"))
    assert re.search(r"^Network +disabled$", cli.ok("inspect", "paper"), re.M)
    for args in (["explain", "paper", "x.org"], ["rules", "paper"]):
        r = cli("net", *args)
        assert r.returncode == 1 and "paper has no network" in r.err
    assert "there cannot be published ports" in refused(cli, "--conf", write("c.yaml", "network: {enabled: false}\n"),
                                                        "-p", "1:1")


# ---- ports that cannot be had ---------------------------------------------------------------------------------------

def test_a_port_that_somebody_has_is_told_before_anything_is_made(cli):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        r = cli("create", "-q", "-n", "late", "-v", "lost:/v", "-p", f"{port}:80", IMAGE)
    assert r.returncode == 1 and f"port {port} (tcp) of 127.0.0.1 is taken" in r.err
    assert f"ss -tlnp 'sport = :{port}'" in r.err and "-p 0:80" in r.err
    assert cli.ok("ls", "-q").split() == [] and "lost" not in cli.ok("volume", "ls")


def test_udp_ports_are_not_shared(cli):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
        r = cli("create", "-q", "-n", "late", "-p", f"{port}:53/udp", IMAGE)
    assert r.returncode == 1 and f"port {port} (udp) of 127.0.0.1 is taken" in r.err


def test_other_failures_of_a_start_name_what_to_do(cli, tmp_path):
    r = cli("create", "-q", "-n", "late", "-p", "192.0.2.1:0:80", IMAGE)
    assert r.returncode == 1 and "this host has no address 192.0.2.1" in r.err
    (tmp_path / "link").symlink_to(tmp_path / "x")
    r = cli("create", "-q", "-n", "late", "--pcap", tmp_path / "link", IMAGE)
    assert r.returncode == 1 and "it is a symbolic link" in r.err and not (tmp_path / "x").exists()
    proxy = ["--proxy", "socks5://127.0.0.1:1", "--socks5-username", "u", "--socks5-password-env", "MSB_TEST_NO_PW"]
    r = cli("create", "-q", "-n", "late", *proxy, IMAGE)
    assert r.returncode == 1 and "MSB_TEST_NO_PW, which is not set" in r.err and "read at each start" in r.err
    r = cli("create", "-q", "-n", "late", "--vsock", tmp_path / "none/a.sock:5000", IMAGE)
    assert r.returncode == 1 and "No such file" in r.err
    r = cli("create", "-q", "-n", "late", "--trust-host-cas", IMAGE, env={"SSL_CERT_FILE": str(tmp_path / "none")})
    assert r.returncode == 1 and "certificates were not found" in r.err and "SSL_CERT_FILE" in r.err
    assert cli.ok("ls", "-q") == ""


# ---- a machine ------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def pcap(tmp_path_factory):
    return tmp_path_factory.mktemp("pcap") / "x.pcap"


@pytest.fixture(scope="module")
def web(cli, pcap):
    """It publishes a server, may reach the host, and what it does is captured."""
    cli.ok("create", "-q", "-n", "web", "-m", "192M", "-p", "0:80", "-p", "[::1]:0:80", "--net", "host", "--pcap", pcap,
           "--net-log-denied", IMAGE)
    cli.ok("exec", "web", "--", "sh", "-c", "mkdir -p /w && echo hello > /w/index.html && httpd -p 80 -h /w")
    yield "web"
    cli.ok("rm", "-q", "-f", "web")


def ports(cli, name="web"):
    return json.loads(cli.ok("ps", name, "--format", "json"))["ports"]


def fetch(host, port):
    with urllib.request.urlopen(f"http://{host}:{port}/index.html", timeout=20) as r:
        return r.read().decode()


def metrics(cli):
    return json.loads(cli.ok("metrics", "web", "--format", "json"))


def guest_address(cli, name="web"):
    return re.search(r"inet (172\.[\d.]+)/30", cli.ok("exec", name, "--", "ip", "addr", "show", "eth0"))[1]


def gateway(cli):
    return re.search(r"default via ([\d.]+)", cli.ok("exec", "web", "--", "ip", "route"))[1]


def test_a_port_is_picked_shown_and_served(cli, web):
    four, six = ports(cli)
    assert (four["bind"], four["guest"]) == ("127.0.0.1", 80) and four["host"] > 0
    assert (six["bind"], six["guest"]) == ("::1", 80) and six["host"] > 0
    assert fetch("127.0.0.1", four["host"]) == fetch("[::1]", six["host"]) == "hello\n"
    assert f"127.0.0.1:{four['host']}->80/tcp" in cli.ok("ps")
    assert f"[::1]:{six['host']}->80/tcp" in cli.ok("inspect", "web")
    assert json.loads(cli.ok("inspect", "web", "--format", "json"))["ports"] == [four, six]


def test_its_port_is_told_to_who_wants_it_too(cli, web):
    port = ports(cli)[0]["host"]
    r = cli("create", "-q", "-n", "late", "-p", f"{port}:80", IMAGE)
    assert r.returncode == 1 and f"port {port} (tcp) of 127.0.0.1 is taken: the sandbox web has it" in r.err
    assert "msb stop web frees it" in r.err and "late" not in cli.ok("ls", "-q")


def test_explain_asks_the_machine(cli, web):
    own = explain(cli, "web", f"{gateway(cli)}:8080")
    assert (own["verdict"], own["rule"]) == ("allow", "allow@host") and own["addresses"][0]["host_own"]
    assert explain(cli, "web", "host.microsandbox.internal:8080")["verdict"] == "allow"
    assert explain(cli, "web", "1.1.1.1:443")["verdict"] == "deny"
    assert explain(cli, "web", "127.0.0.1:22")["addresses"][0]["host_own"]
    assert "Verdict  deny, by the default" in cli.ok("net", "explain", "web", "169.254.169.254")


def test_metrics_count_what_it_does(cli, web):
    before = metrics(cli)
    fetch("127.0.0.1", ports(cli)[0]["host"])
    cli("exec", "web", "--", "nc", "-w", "5", "1.1.1.1", "80")
    after = metrics(cli)
    for key in ("net_rx_bytes", "net_tx_bytes", "net_rx_packets", "net_tx_packets"):
        assert after[key] > before[key], key
    assert after["net_denied"] == before["net_denied"] + 1 and after["net_refused"] == before["net_refused"]
    assert after["net_flows"] >= before["net_flows"] + 1


def test_what_was_denied_is_in_the_log(cli, web):
    cli("exec", "web", "--", "nc", "-w", "5", "10.11.12.13", "8081")
    line = "denied: tcp to 10.11.12.13 port 8081: the default of egress: deny"
    wait_until(lambda: line in cli.ok("logs", "--source", "system", "web"), 20, "it is not in the log")


def test_the_capture_is_read_by_tcpdump_while_it_grows(cli, web, pcap):
    need("tcpdump")
    cli("exec", "web", "--", "nc", "-w", "5", "9.9.9.9", "81")
    address = guest_address(cli)

    def packets():
        r = subprocess.run(["tcpdump", "-nr", pcap], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return r.stdout
    wait_until(lambda: f"9.9.9.9.81 > {address}" in packets(), 10, "the answer is not in the capture")
    assert re.search(rf"IP {re.escape(address)}\.\d+ > 9\.9\.9\.9\.81: Flags \[S\]", packets())
    assert pcap.stat().st_mode & 0o777 == 0o600


def test_the_next_start_has_the_same_addresses_and_another_port(cli, tmp_path):
    pcap = tmp_path / "x.pcap"
    cli.ok("create", "-q", "-n", "twice", "-m", "128M", "-p", "0:80", "--pcap", pcap, IMAGE)
    address, port = guest_address(cli, "twice"), ports(cli, "twice")[0]["host"]
    cli.ok("stop", "-q", "twice")
    assert ports(cli, "twice")[0]["host"] == 0
    pcap.rename(tmp_path / "old")
    with socket.socket() as s:  # so that it cannot get the same
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", port))
        s.listen()
        cli.ok("start", "-q", "twice")
    assert guest_address(cli, "twice") == address and pcap.read_bytes()[:4] == (tmp_path / "old").read_bytes()[:4]
    assert ports(cli, "twice")[0]["host"] not in (0, port)
    cli.ok("exec", "twice", "--", "sh", "-c", "mkdir /w && echo hello > /w/index.html && httpd -p 80 -h /w")
    assert fetch("127.0.0.1", ports(cli, "twice")[0]["host"]) == "hello\n"
    cli.ok("rm", "-q", "-f", "twice")


def test_without_an_interface_there_is_only_lo(cli, write):
    out = cli.ok("run", "-q", "-m", "128M", "--conf", write("c.yaml", "network: {enabled: false}\n"), IMAGE, "--",
                 "ls", "/sys/class/net")
    assert out.split() == ["lo"]


def test_addresses_and_mtu_are_as_asked(cli):
    out = cli.ok("run", "-q", "-m", "128M", "--net-mtu", "9000", "--net-ipv4-pool", "10.77.0.4/30", "--net-ipv6-pool",
                 "fd77:1:2:3::/64", "--dns-nameserver", "9.9.9.9", IMAGE, "--", "sh", "-c",
                 "ip addr show eth0; cat /etc/resolv.conf; cat /sys/class/net/eth0/mtu")
    assert "inet 10.77.0.6/30" in out and "inet6 fd77:1:2:3::2/64" in out and "nameserver 10.77.0.5" in out
    assert out.split()[-1] == "9000"
