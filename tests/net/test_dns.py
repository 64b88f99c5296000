"""The name server of the stack with real clients (dig, the C library) and real servers (dnsmasq, unbound)."""
import json
import pathlib
import re
import subprocess
import textwrap
import time

import pytest

from netns import GATEWAY4, GATEWAY6, HOST4, PUBLIC4, PUBLIC6, WORLD4, Stack, ip, need, wait_until

PYTHON = "/usr/bin/python3"
OTHER4 = "203.0.114.1"  # a public address, of another server
SITE4, SITE6, INNER4 = PUBLIC4, PUBLIC6, "10.99.0.77"

RECORDS = [
    f"--host-record=www.site.test,{SITE4},{SITE6}",
    f"--host-record=other.test,{OTHER4}",
    "--host-record=router.test,192.168.1.1",
    "--host-record=meta.test,169.254.169.254",
    f"--host-record=inner.test,{INNER4}",
    f"--host-record=host.test,{HOST4}",
    "--host-record=mapped.test,::ffff:10.0.0.1",
    "--host-record=nat64.test,64:ff9b::a00:1",
    f"--host-record=mixed.test,{SITE4}", "--host-record=mixed.test,127.0.0.1",
    "--cname=alias.test,www.site.test",
    "--cname=trap.test,router.test",
    *(f"--txt-record=large.test,{i}{'x' * 200}" for i in range(10)),
    "--srv-host=_xmpp._tcp.site.test,www.site.test,5222",
    f"--ptr-record=34.216.184.93.in-addr.arpa,www.site.test",
]


class Server:
    """dnsmasq with the records above; its log says what it was asked."""

    def __init__(self, net, ns, address, port, log, *extra):
        self.log = pathlib.Path(log)
        self.log.write_text("")
        self.p = net.start(ns, "dnsmasq", "--no-daemon", "--no-hosts", "--no-resolv", "--no-poll", "--conf-file=/dev/null",
                           "--bind-interfaces", f"--listen-address={address}", f"--port={port}", "--local=//",
                           "--log-queries=extra", f"--log-facility={log}", "--local-ttl=60", "--user=root", *RECORDS,
                           *extra)
        net.listening(ns, port, "udp")

    def asked(self, name):
        return len(re.findall(rf"query\[[A-Z0-9=]+\] {re.escape(name)} ", self.log.read_text(), re.I))

    def stop(self):
        self.p.terminate()
        self.p.wait()


@pytest.fixture(scope="module")
def dns(net, tmp_path_factory):
    """The host's name server, in the world."""
    need("dnsmasq", "dig")
    s = Server(net, net.world, WORLD4, 5300, tmp_path_factory.mktemp("dns") / "log")
    yield s
    s.stop()


@pytest.fixture(scope="module")
def public(net, tmp_path_factory):
    """Another server, at a public address."""
    need("unbound")
    folder = tmp_path_factory.mktemp("unbound")
    conf = folder / "unbound.conf"
    conf.write_text(textwrap.dedent(f"""
        server:
            interface: {OTHER4}
            access-control: 0.0.0.0/0 allow
            do-daemonize: no
            use-syslog: no
            logfile: {folder}/log
            log-queries: yes
            username: ""
            chroot: ""
            directory: {folder}
            pidfile: {folder}/pid
            do-not-query-localhost: no
            module-config: "iterator"
            local-zone: "test." static
            local-data: "www.site.test. 60 IN A {SITE4}"
            local-data: "only.test. 60 IN A {SITE4}"
            local-data: "router.test. 60 IN A 192.168.1.1"
            """))
    p = net.start(net.world, "unbound", "-d", "-c", conf)
    net.listening(net.world, 53, "udp")
    p.log = folder / "log"
    yield p
    p.terminate()
    p.wait()


@pytest.fixture
def stack(net, dns):
    """The default policy; one at a time in the three namespaces."""
    with Stack(net, "--dns", f"{WORLD4}:5300", "--dns-timeout-ms", "2000", "--profile", "public") as s:
        yield s


def dig(stack, *words, ok=True):
    r = stack.guest("dig", "+tries=1", "+time=4", *words, text=True)
    assert not ok or r.returncode == 0, r.stdout + r.stderr
    return r.stdout


def status(text):
    return re.search(r"status: (\w+)", text)[1]


def short(stack, *words):
    return sorted(dig(stack, "+short", *words).split())


def flags(text):
    return re.search(r"flags: ([a-z ]+);", text)[1].split()


# ---- the plain way ----

def test_dig_gets_answers_by_udp_and_tcp_by_both_families(stack):
    for how in ((), ("+tcp",), (f"@{GATEWAY6}",), (f"@{GATEWAY6}", "+tcp")):
        assert short(stack, *how, "www.site.test") == [SITE4]
        assert short(stack, *how, "www.site.test", "AAAA") == [SITE6]
    assert short(stack, "alias.test") == sorted(["www.site.test.", SITE4])
    assert short(stack, "_xmpp._tcp.site.test", "SRV") == sorted("0 0 5222 www.site.test.".split())


def test_the_case_of_a_question_comes_back(stack):
    assert "\nwWw.SiTe.TeSt.\t" in dig(stack, "wWw.SiTe.TeSt")


def test_a_large_answer_is_cut_by_udp_and_whole_by_tcp(stack):
    cut = dig(stack, "large.test", "TXT", "+ignore", "+bufsize=4096")
    assert "tc" in flags(cut) and "ANSWER: 0" in cut
    assert "udp: 1232" in cut
    assert len(short(stack, "large.test", "TXT")) == 10  # dig goes to TCP by itself
    assert "tc" in flags(dig(stack, "large.test", "TXT", "+ignore", "+noedns"))


def test_many_questions_in_one_connection(stack, tmp_path):
    names = tmp_path / "names"
    names.write_text("www.site.test A\nrouter.test A\nother.test A\nwww.site.test AAAA\n" * 50)
    out = dig(stack, "+tcp", "+keepopen", "+short", "-f", str(names)).split()
    assert sorted(set(out)) == sorted([SITE4, SITE6, OTHER4])
    assert len(out) == 150


def test_the_c_library_resolves(stack):
    out = stack.guest("getent", "ahosts", "www.site.test", text=True).stdout
    assert SITE4 in out and SITE6 in out


def test_names_of_addresses(stack, dns):
    assert short(stack, "-x", SITE4) == ["www.site.test."]
    before = dns.log.read_text().count("in-addr.arpa")
    assert status(dig(stack, "-x", "192.168.1.1")) == "NXDOMAIN"
    assert status(dig(stack, "-x", GATEWAY4)) == "NXDOMAIN"  # nothing of the host is allowed
    assert dns.log.read_text().count("in-addr.arpa") == before


def test_without_a_way_by_ipv6_there_are_no_such_addresses(net, stack):
    ip("-n", net.host, "-6", "route", "del", "default")
    try:
        wait_until(lambda: short(stack, "www.site.test", "AAAA") == [], 5)
        out = dig(stack, "www.site.test", "AAAA")
        assert status(out) == "NOERROR" and "ANSWER: 0" in out
        assert short(stack, "www.site.test") == [SITE4]
    finally:
        ip("-n", net.host, "-6", "route", "add", "default", "via", "2001:db8:99::2")
    wait_until(lambda: short(stack, "www.site.test", "AAAA") == [SITE6], 5)


# ---- answers ----

@pytest.mark.parametrize("name, kind", [("router.test", "A"), ("meta.test", "A"), ("inner.test", "A"), ("host.test", "A"),
                                        ("mapped.test", "AAAA"), ("nat64.test", "AAAA"), ("trap.test", "A")])
def test_inner_addresses_do_not_enter(stack, name, kind):
    for how in ("+notcp", "+tcp"):
        out = dig(stack, name, kind, how)
        assert status(out) == "NXDOMAIN" and "EDE: 15 (Blocked)" in out and "ANSWER: 0" in out


def test_of_a_mixed_answer_the_public_part_enters(stack):
    assert short(stack, "mixed.test") == [SITE4]


def test_an_address_rule_lets_them_in(net, dns):
    with Stack(net, "--dns", f"{WORLD4}:5300", "--profile", "public", "--rule", "allow@10.99.0.0/16") as s:
        assert short(s, "inner.test") == [INNER4]
        assert status(dig(s, "router.test")) == "NXDOMAIN"
    with Stack(net, "--dns", f"{WORLD4}:5300", "--profile", "public", "--no-rebind") as s:
        assert short(s, "router.test") == ["192.168.1.1"]


# ---- other servers ----

def test_another_server_is_asked_where_it_is_public(stack, public):
    assert short(stack, f"@{OTHER4}", "only.test") == [SITE4]
    assert short(stack, f"@{OTHER4}", "only.test", "+tcp") == [SITE4]
    assert short(stack, "only.test") == []  # the gateway's servers do not know it
    assert status(dig(stack, f"@{OTHER4}", "router.test")) == "NXDOMAIN"


def test_inner_servers_are_not_asked(stack, dns):
    before = dns.asked("www.site.test")
    for server in (WORLD4, HOST4, "169.254.169.254", "fd00:ec2::254", "64:ff9b::a63:2"):
        for how in ("+notcp", "+tcp"):
            out = dig(stack, f"@{server}", "www.site.test", how)
            assert status(out) == "NXDOMAIN" and "EDE: 15" in out, (server, out)
    assert dns.asked("www.site.test") == before


def test_encrypted_dns_is_a_flow_as_any_other(stack):
    """DoT at the gateway: refused at once, as the host's ports are."""
    need("openssl")
    begin = time.monotonic()
    out = dig(stack, "+tls", f"@{GATEWAY4}", "www.site.test", ok=False)
    assert "refused" in out and time.monotonic() - begin < 3


# ---- names ----

def test_only_allowed_names_leave_and_only_they_are_reached(net, dns):
    net.start(net.world, PYTHON, "-m", "http.server", "80", "--bind", SITE4)
    net.start(net.world, PYTHON, "-m", "http.server", "80", "--bind", OTHER4)
    net.listening(net.world, 80)
    connect = "import socket, sys\nsocket.create_connection((sys.argv[1], 80), 3)"
    with Stack(net, "--dns", f"{WORLD4}:5300", "--profile", "none", "--rule", "allow@*.site.test", "--log-denied") as s:
        before = dns.asked("other.test")
        assert s.guest(PYTHON, "-c", connect, SITE4).returncode != 0  # known to nobody yet
        assert short(s, "www.site.test") == [SITE4]
        assert s.guest(PYTHON, "-c", connect, "www.site.test").returncode == 0
        assert s.guest(PYTHON, "-c", connect, SITE4).returncode == 0
        for name in ("other.test", "www.site.test.evil.test", "notsite.test", "x" * 60 + ".other.test"):
            for how in ("+notcp", "+tcp"):
                out = dig(s, name, how)
                assert status(out) == "NXDOMAIN" and "EDE: 15" in out
        assert s.guest(PYTHON, "-c", connect, OTHER4).returncode != 0
        assert dns.asked("other.test") == before
        assert "evil" not in dns.log.read_text() and "xxx.other.test" not in dns.log.read_text()
        stats = s.stats()
        assert stats["dns_denied"] == 8 and stats["dns_queries"] >= 10
        assert "denied: dns for other.test: the default of egress: deny" in s.log_text()


def test_the_hosts_name_is_unknown_by_default(stack, dns):
    for name in ("host.microsandbox.internal", "host.docker.internal"):
        assert status(dig(stack, name)) == "NXDOMAIN"
    assert "internal" not in dns.log.read_text()


def test_the_hosts_name_where_it_is_allowed(net, dns):
    with Stack(net, "--dns", f"{WORLD4}:5300", "--profile", "public,host") as s:
        for name in ("host.microsandbox.internal", "host.docker.internal"):
            assert short(s, name) == [GATEWAY4]
            assert short(s, name, "AAAA") == [GATEWAY6]
        assert short(s, "-x", GATEWAY4) == ["host.microsandbox.internal."]
    assert "internal" not in dns.log.read_text()


# ---- servers that fail ----

def test_servers_are_asked_in_order_and_silent_ones_last(net, dns):
    # The first drops what it gets, the second is there.
    with Stack(net, "--dns", "192.0.2.1:53", "--dns", f"{WORLD4}:5300", "--dns-timeout-ms", "3000") as s:
        begin = time.monotonic()
        assert short(s, "www.site.test") == [SITE4]
        assert 2.9 < time.monotonic() - begin
        begin = time.monotonic()
        assert short(s, "other.test") == [OTHER4]  # at once: the first one rests
        assert time.monotonic() - begin < 2.9


def test_a_server_that_comes_back_is_asked_again(net, tmp_path):
    need("dnsmasq", "dig")
    with Stack(net, "--dns", f"{WORLD4}:5301", "--dns-timeout-ms", "1000") as s:
        assert status(dig(s, "www.site.test")) == "SERVFAIL"
        server = Server(net, net.world, WORLD4, 5301, tmp_path / "log")
        assert short(s, "www.site.test") == [SITE4]
        server.stop()
        assert short(s, "www.site.test") == [SITE4]  # from the cache
        assert status(dig(s, "other.test")) == "SERVFAIL"


def test_without_servers_it_says_so(net):
    need("dig")
    with Stack(net) as s:
        out = dig(s, "www.site.test")
        assert status(out) == "SERVFAIL" and "EDE: 22" in out
        assert s.log_text().count("no name server") == 1


# ---- how much ----

def test_a_flood_of_questions_harms_nobody(net, dns):
    """Ten thousand names, as fast as can be; then a plain question is answered."""
    code = textwrap.dedent("""
        import socket, struct, sys, time
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.connect((sys.argv[1], 53))
        s.setblocking(False)
        got = 0
        for i in range(10000):
            name = b"".join(bytes([len(x)]) + x for x in (b"n%d" % i, b"flood", b"test"))
            try:
                s.send(struct.pack(">6H", i, 0x100, 1, 0, 0, 0) + name + b"\\0\\0\\1\\0\\1")
            except BlockingIOError:
                pass
            try:
                s.recv(4096)
                got += 1
            except BlockingIOError:
                pass
        print(got)
        """)
    with Stack(net, "--dns", f"{WORLD4}:5300", "--dns-timeout-ms", "2000") as s:
        r = s.guest(PYTHON, "-c", code, GATEWAY4, text=True)
        assert r.returncode == 0, r.stderr
        # What the flood still has in flight is over after the servers' time.
        wait_until(lambda: "status: NOERROR" in dig(s, "www.site.test", ok=False), 20)
        stats = s.stats()
        asked = dns.log.read_text().count(".flood.test from")
        assert 0 < asked <= 1000 + 500 * 16  # the burst and the rate
        assert stats["refused"] > 0 or stats["dns_queries"] < 10000, json.dumps(stats)
