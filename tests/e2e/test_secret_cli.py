"""Secrets and TLS options, from the command line to msb-tls: what is kept, what is refused and with which words, what
changes in a sandbox that runs, and where values are not. What goes over the wire is in test_secrets.py."""
import json
import os
import pathlib
import re
import signal
import subprocess

import pytest

from lib.cli import Cli, descendants, wait_until

IMAGE = "test/busybox:1"
VALUE = "v4lue-0f-the-secret/7+8=9"
OTHER = "an0ther-value-0f-it"


@pytest.fixture(scope="module")
def cli(build_dir, busybox_image, tmp_path_factory):
    c = Cli(build_dir, tmp_path_factory.mktemp("secretcli") / "home")
    c.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    yield c
    c("rm", "-q", "-f", *c.ok("ls", "-q").split())


@pytest.fixture
def made(cli):
    """Put one on record: what inspect says of it, then it goes."""
    def make(*args, **kw):
        cli.ok("create", "-q", "--no-start", "-n", "paper", *args, IMAGE, **kw)
        return json.loads(cli.ok("inspect", "paper", "--format", "json"))["config"]
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


def record(cli, name="paper"):
    """The configuration on record; the database's copy is compared with it by others."""
    for path in pathlib.Path(cli.home).glob("sandboxes/*/sandbox.json"):
        o = json.loads(path.read_text())
        if o["name"] == name:
            return json.loads(o["config"])
    raise AssertionError(name)


# ---- on record ------------------------------------------------------------------------------------------------------

def test_without_options_nothing_is_intercepted(cli, made):
    c = made()
    assert c["secrets"] == [] and c["tls"] is None
    assert not re.search(r"^(Secrets|TLS)", cli.ok("inspect", "paper"), re.M)


def test_inspect_has_names_and_hosts_alone(cli, made):
    c = made("--secret", "A@a.org,*.b.org", "--secret", "B:query,body,mask,from=HERE,violation=passthrough,"
             "placeholder=PLACEHOLDER-7@c.org", "--on-secret-violation", "block", env={"A": VALUE, "HERE": OTHER})
    assert c["secrets"] == [
        {"name": "A", "allow": ["a.org", "*.b.org"], "inject": ["header", "basic"], "mask": False,
         "on_violation": "block"},
        {"name": "B", "allow": ["c.org"], "inject": ["query", "body"], "mask": True, "on_violation": "passthrough"}]
    assert c["tls"]["all"] is False and c["tls"]["ports"] == [443] and c["tls"]["block_quic"] is True
    text = cli.ok("inspect", "paper")
    assert "Secrets      A for a.org, *.b.org in header, basic; else block\n" in text
    assert "             B for c.org in query, body, masked in answers; else passthrough\n" in text
    for said in text, json.dumps(c):
        assert "PLACEHOLDER" not in said and "MSB_" not in said and VALUE not in said and OTHER not in said


def test_the_record_has_placeholders_and_no_values(cli, made):
    made("--secret", "A@a.org", "--secret", "B:from=HERE,placeholder=PLACEHOLDER-7@c.org", env={"A": VALUE, "HERE": OTHER})
    a, b = record(cli)["secrets"]
    assert re.fullmatch("MSB_[0-9a-f]{32}", a["placeholder"]) and "source" not in a
    assert b["placeholder"] == "PLACEHOLDER-7" and b["source"] == "HERE"
    assert nowhere(cli, VALUE) and nowhere(cli, OTHER)


def test_every_tls_option_is_kept(made, tmp_path):
    c = made("--tls-intercept", "--tls-intercept-port", "443", "--tls-intercept-port", "8443", "--tls-bypass", "*.bank.org",
             "--no-block-quic", "--tls-intercept-ca-cert", "ca.pem", "--tls-intercept-ca-key", "/ca.key",
             "--tls-upstream-ca-cert", "up.pem", "--tls-upstream-ca-cert-for", "*.x.org=x.pem",
             "--tls-no-verify-upstream-for", "dev.org", "--secret-violation-action", "block", cwd=tmp_path)
    assert c["tls"] == {"all": True, "ports": [443, 8443], "bypass": ["*.bank.org"], "block_quic": False,
                        "ca_cert": f"{tmp_path}/ca.pem", "upstream_ca_certs": [f"{tmp_path}/up.pem"],
                        "upstream_ca_certs_for": [f"*.x.org={tmp_path}/x.pem"], "no_verify_for": ["dev.org"]}


def test_files_say_the_same(cli, made, write, tmp_path):
    conf = write("c.yaml", """
secrets:
  A: {value: "${NOT_SET_HERE}", allow: [a.org], inject: [headers, query_params], mask: true}
  B: {allow: [b.org], on_violation: block-and-terminate}
network:
  tls:
    enabled: true
    bypass: [bank.org]
    block_quic: false
    upstream_ca_certs: [up.pem]
    upstream_ca_certs_for: {x.org: x.pem}
    on_secret_violation: passthrough
""")
    more = write("s.yaml", "B: {allow: [c.org]}\nC: {allow: [\"*.d.org\"]}\n")
    c = made("--conf", conf, "--secret-conf", more, "--secret", "C:body@e.org", env={"NOT_SET_HERE": None})
    assert [(s["name"], s["allow"], s["inject"], s["on_violation"]) for s in c["secrets"]] == [
        ("A", ["a.org"], ["header", "query"], "passthrough"),
        ("B", ["c.org"], ["header", "basic"], "block-and-terminate"),
        ("C", ["e.org"], ["body"], "passthrough")]
    assert record(cli)["secrets"][0]["source"] == "NOT_SET_HERE"
    t = c["tls"]
    assert t["all"] and t["bypass"] == ["bank.org"] and not t["block_quic"]
    assert t["upstream_ca_certs"] == [f"{tmp_path}/up.pem"] and t["upstream_ca_certs_for"] == [f"x.org={tmp_path}/x.pem"]


@pytest.mark.parametrize("args, message, hint", [
    (["--secret", "A"], "its text is not ENV[:OPTIONS]@HOST", "API_KEY@api.example.com"),
    (["--secret", f"A={VALUE}@a.org"], "the value itself cannot be given", "--secret A:from=VARIABLE@HOST"),
    (["--secret", f"A:{VALUE}@a.org"], "option '...' is not known", "the value itself is never given"),
    (["--secret", VALUE], "its text is not ENV", ""),
    (["--secret", "A:haeder@a.org"], "option 'haeder' is not known", "header, basic"),
    (["--secret", "A:violation=log@a.org"], "violation=log is not known", "block-and-log"),
    (["--secret", "A@"], "a host is missing behind the @", ""),
    (["--secret", "A@a.org", "--secret", "A@b.org"], "secret A is given twice", "commas"),
    (["--secret", "A@a.org", "-e", "A=1"], "A is both a secret and a plain variable", "leave out one"),
    (["--secret", "MSB_A@a.org"], "reserved", ""),
    (["--secret", "A:from=1B@a.org"], "the source is not a variable's name", "API_KEY"),
    (["--secret", "A@*.com"], "'*.com' is every name below a public suffix", "*.example.com"),
    (["--secret", "A@*.co.uk"], "public suffix", ""),
    (["--secret", "A@*.github.io"], "public suffix", ""),
    (["--secret", "A@a*.org"], "has a * inside", "*.example.com"),
    (["--secret", "A@10.0.0.1"], "is an address", "for names"),
    (["--secret", "A@bücher.example"], "is not ASCII", "xn--"),
    (["--secret", "A@a.org:443"], "is no name", "without a port"),
    (["--secret", "A@https://a.org"], "is no name", "without https://"),
    (["--secret", "A:placeholder=abc@a.org"], "4 to 1024", ""),
    (["--secret", "A:placeholder=a b c@a.org"], "visible ASCII", ""),
    (["--secret", "A:placeholder=MSB_@a.org", "--secret", "B@b.org"], "one's placeholder is in the other's", ""),
    (["--secret", "A@a.org", "--no-net"], "may reach nothing", "--net-rule"),
    (["--secret", "A@a.org", "--tls-no-verify-upstream-for", "*"], "verified servers only", ""),
    (["--on-secret-violation", "explode"], "'explode'", "block-and-terminate"),
    (["--tls-bypass", "a.org"], "nothing is intercepted", "--tls-intercept"),
    (["--tls-intercept", "--tls-bypass", "*"], "would bypass all", ""),
    (["--tls-intercept", "--tls-intercept-port", "https"], "'https' is not a port", ""),
    (["--tls-intercept", "--tls-intercept-ca-cert", "x"], "needs both", ""),
    (["--tls-intercept", "--tls-upstream-ca-cert-for", "a.org"], "is not PATTERN=FILE", ""),
])
def test_what_is_wrong_is_said_with_the_next_step(cli, args, message, hint):
    err = refused(cli, *args)
    assert message in err and hint in err, err
    assert VALUE not in err


@pytest.mark.parametrize("text, message", [
    (f"secrets: {{A: {{allow: [a.org], value: {VALUE}}}}}\n", "a secret's value cannot stand in a file"),
    ("secrets: {A: {allow: [a.org], require_tls_identity: false}}\n", "is always true here"),
    ("secrets: {A: {inject: [headers]}}\n", "secret A has no host"),
    ("network: {enabled: false}\nsecrets: {A: {allow: [a.org]}}\n", "the network is disabled"),
    ("network: {tls: {enabled: true, verify_upstream: false}}\nsecrets: {A: {allow: [a.org]}}\n", "verified servers only"),
])
def test_wrong_files_are_refused(cli, write, text, message):
    err = refused(cli, "--conf", write("bad.yaml", text))
    assert message in err and VALUE not in err


def test_a_secret_for_every_host_is_noticed(cli, made):
    r = cli("create", "--no-start", "-n", "paper", "--secret", "A@*", IMAGE)
    assert r.returncode == 0 and "warn: secret A may go to every host" in r.err
    cli.ok("rm", "-q", "paper")
    r = cli("create", "--no-start", "-n", "paper", "--secret", "A@*.a.org", IMAGE)
    assert r.returncode == 0 and "warn" not in r.err


def test_a_launcher_has_names_only(cli, tmp_path):
    cli.ok("install", "-q", "--tmp", "-n", "tool", "--secret", "A@a.org", "--tls-upstream-ca-cert", "ca.pem", IMAGE, "--", "true",
           env={"A": VALUE, "MSB_BIN": str(tmp_path)}, cwd=tmp_path)
    text = (tmp_path / "tool").read_text()
    assert "A@a.org" in text and f"{tmp_path}/ca.pem" in text and VALUE not in text


# ---- before a start -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("env, message, hint", [
    ({"HERE": None}, "secret A: the variable HERE, which has its value, is not set here", "export HERE"),
    ({"HERE": ""}, "secret A: its value is empty", ""),
    ({"HERE": "PLACE-7"}, "its own placeholder", "what the guest sees"),
    ({"HERE": "x" * 65537}, "more than 64 KiB", ""),
])
def test_values_are_asked_for_before_anything_starts(cli, made, env, message, hint):
    made("--secret", "A:from=HERE,placeholder=PLACE-7@a.org")
    r = cli("start", "paper", env=env)
    assert r.returncode == 1 and message in r.err and hint in r.err, r.err
    assert "Created" in cli.ok("ls")


def test_a_replacement_that_cannot_start_replaces_nothing(cli, made):
    made("--secret", "A@a.org")
    before = record(cli)
    r = cli("create", "-q", "--replace", "-n", "paper", "--secret", "B@b.org", IMAGE, env={"B": None})
    assert r.returncode == 1 and "the variable B" in r.err
    assert record(cli) == before


def test_files_that_are_missing_are_named_before_anything_starts(cli, made, write):
    made("--tls-intercept", "--tls-upstream-ca-cert", "/nonexistent.pem")
    r = cli("start", "paper")
    assert r.returncode == 1 and "the CA /nonexistent.pem" in r.err
    cli.ok("rm", "-q", "paper")
    made("--tls-intercept", "--tls-upstream-ca-cert", write("x.pem", "nothing"))
    r = cli("start", "paper")
    assert r.returncode == 1 and "has no certificate (PEM)" in r.err


def test_what_msb_tls_refuses_is_told(cli, made, write):
    cert = write("c.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    made("--tls-intercept", "--tls-intercept-ca-cert", cert, "--tls-intercept-ca-key", write("k.pem", "no key"))
    r = cli("start", "paper")
    assert r.returncode == 1 and r.err.startswith("error: TLS interception: "), r.err
    assert "Created" in cli.ok("ls")


def test_without_msb_tls_its_installation_is_asked_for(build_dir, cli, made, tmp_path):
    for name in "msb-vmm", "vmlinux", "initramfs.cpio", "cmdline":
        (tmp_path / name).symlink_to(pathlib.Path(build_dir) / name)
    made("--secret", "A@a.org")
    r = cli("start", "paper", env={"A": VALUE, "MSB_RUNTIME": str(tmp_path)})
    assert r.returncode == 1 and "msb-tls, which secrets and TLS interception need" in r.err and "install" in r.err


def test_modify_of_one_that_does_not_run_needs_no_value(cli, made):
    made("--secret", "A:body@a.org", env={"A": None})
    before = record(cli)["secrets"][0]["placeholder"]
    out = cli.ok("modify", "paper", "--secret", "A@b.org", "--secret", "B@c.org", env={"A": None, "B": None})
    assert re.search(r"secret.A +change +a.org \(body\) +b.org \(body\) +now", out)
    assert re.search(r"secret.B +set +- +c.org \(header, basic\) +now", out)
    a, b = record(cli)["secrets"]
    assert a["placeholder"] == before and a["hosts"] == ["b.org"], "what the guest may have kept stays right"
    out = cli.ok("modify", "paper", "--secret-rm", "A")
    assert re.search(r"secret.A +remove +b.org \(body\) +- +now", out)
    assert [s["env"] for s in record(cli)["secrets"]] == ["B"]


def test_what_modify_does_not_say_stays(cli, made):
    """mask alone does not move a secret to other places, and places alone do not end masking."""
    made("--secret", "A:query@a.org", env={"A": None})
    for options, after in ("mask", "query, mask"), ("body", "body, mask"), ("violation=block", "body, mask; block"):
        out = cli.ok("modify", "paper", "--secret", f"A:{options}", env={"A": None})
        assert re.search(rf"secret.A +change +a.org .* +a.org \({after}\) +now", out), out


@pytest.mark.parametrize("args, message", [
    (["--secret", "B"], "secret B has no host"),
    (["--secret", "A=x@b.org"], "the value itself cannot be given"),
    (["--secret", "A@*.com"], "public suffix"),
    (["--secret-rm", "B"], "paper has no secret 'B'"),
    (["--secret", "A", "--secret-rm", "A"], "cannot be set and removed at once"),
    (["-e", "A=1"], "A is both a secret and a plain variable"),
])
def test_wrong_changes_change_nothing(cli, made, args, message):
    made("--secret", "A@a.org")
    before = record(cli)
    r = cli("modify", "paper", *args)
    assert r.returncode in (1, 2) and message in r.err, r.err
    assert record(cli) == before


# ---- while it runs --------------------------------------------------------------------------------------------------

def helpers(name):
    """The pids of msb-tls whose sandbox is @name."""
    found = []
    for pid in descendants(os.getpid()):
        try:
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if words[0] == b"msb-tls" and words[1] == name.encode() and state != "Z":
            found.append(pid)
    return found


def nowhere(cli, value):
    """Not in any file of the home, as it is or as base64 or hex has it."""
    import base64
    forms = [value.encode(), base64.b64encode(value.encode()).rstrip(b"="), value.encode().hex().encode()]
    for path in pathlib.Path(cli.home).rglob("*"):
        if not path.is_file() or path.is_symlink():
            continue
        for form in forms:
            if subprocess.run(["grep", "-qF", "-e", form.decode(), path], check=False).returncode == 0:
                return False
    return True


def environs_and_argv(but):
    """What all our processes but @but show of themselves."""
    for pid in descendants(os.getpid()):
        for name in "environ", "cmdline", "comm":
            try:
                data = pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
            except OSError:
                continue
            if pid not in but:
                yield pid, name, data


@pytest.fixture(scope="module")
def box(cli):
    cli.ok("create", "-q", "-n", "box", "--secret", "A@a.org", "--secret", "B:from=HERE@b.org", IMAGE,
           env={"A": VALUE, "HERE": OTHER}, timeout=120)
    yield "box"
    cli("rm", "-q", "-f", "box")


def guest_env(cli, name="box"):
    lines = cli.ok("exec", name, "env").splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_the_guest_has_placeholders_and_the_authority(cli, box):
    env = guest_env(cli)
    secrets = {s["env"]: s["placeholder"] for s in record(cli, "box")["secrets"]}
    assert env["A"] == secrets["A"] and env["B"] == secrets["B"]
    bundle = cli.ok("exec", "box", "sh", "-c", 'cat "$SSL_CERT_FILE"')
    assert bundle.count("BEGIN CERTIFICATE") == 1 and "PRIVATE KEY" not in bundle


def test_values_are_in_no_file_environment_or_argument(cli, box):
    assert len(helpers("box")) == 1
    for value in VALUE, OTHER:
        assert nowhere(cli, value)
        for pid, name, data in environs_and_argv(()):
            assert value.encode() not in data, (pid, name)
        for source in "all", "system":
            assert value not in cli.ok("logs", "--source", source, "box")
    assert value not in cli.ok("inspect", "box", "--format", "json")
    pid, = helpers("box")
    assert pathlib.Path(f"/proc/{pid}/environ").read_bytes() in (b"", b"MSB_LOG=warn\0")


def test_its_socket_is_its_owners(cli, box):
    path, = pathlib.Path(cli.home).glob("sandboxes/*/tls.sock")
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700


def test_a_dry_run_sends_nothing(cli, box):
    before = record(cli, "box")
    out = cli.ok("modify", "box", "--secret", "A@c.org", "--secret-rm", "B", "--dry-run", env={"A": "new"})
    assert re.search(r"secret.A +change +a.org \(header, basic\) +c.org \(header, basic\), new value +now", out)
    assert re.search(r"secret.B +remove +b.org \(header, basic\) +- +now", out)
    assert record(cli, "box") == before
    assert "B" in guest_env(cli)


def test_a_rotation_needs_the_new_value(cli, box):
    before = record(cli, "box")
    r = cli("modify", "box", "--secret", "A", env={"A": None})
    assert r.returncode == 1 and "the variable A, which has its value, is not set here" in r.err
    r = cli("modify", "box", "--secret", "A", "--secret", "C@c.org", env={"A": "x", "C": None})
    assert r.returncode == 1 and "the variable C" in r.err
    assert record(cli, "box") == before


def test_secrets_change_at_once(cli, box):
    before = {s["env"]: s["placeholder"] for s in record(cli, "box")["secrets"]}
    out = cli.ok("modify", "box", "--secret", "A", env={"A": "rotated-value-1"})
    assert re.search(r"secret.A +change +a.org \(header, basic\) +a.org \(header, basic\), new value +now", out)
    assert "rotated" not in out
    cli.ok("modify", "box", "--secret", "C:query@c.org", "--secret-rm", "B", env={"C": "rotated-value-2"})
    now = {s["env"]: s["placeholder"] for s in record(cli, "box")["secrets"]}
    assert set(now) == {"A", "C"} and now["A"] == before["A"]
    env = guest_env(cli)
    assert env["A"] == now["A"] and env["C"] == now["C"] and "B" not in env
    assert nowhere(cli, "rotated-value")
    cli.ok("modify", "box", "--secret-rm", "C", "--secret", "B:from=HERE@b.org", env={"HERE": OTHER})


def test_what_msb_tls_has_not_taken_is_not_on_record(cli, box):
    pid, = helpers("box")
    before = record(cli, "box")
    os.kill(pid, signal.SIGSTOP)
    try:
        r = cli("modify", "box", "--secret", "A", env={"A": "other"}, timeout=60)
        assert r.returncode == 1 and "msb-tls does not answer" in r.err
    finally:
        os.kill(pid, signal.SIGCONT)
    assert record(cli, "box") == before


def test_one_without_secrets_gets_them_at_its_next_start(cli):
    cli.ok("create", "-q", "-n", "plain", IMAGE, timeout=120)
    try:
        assert not helpers("plain")
        r = cli("modify", "plain", "--secret", "A@a.org", env={"A": VALUE})
        assert r.returncode == 1 and "plain is running: these cannot change while it does: secret.A" in r.err
        out = cli.ok("modify", "plain", "--next-start", "--secret", "A@a.org", env={"A": None})
        assert re.search(r"secret.A +set +- +a.org \(header, basic\) +next start", out)
        assert "A" not in guest_env(cli, "plain"), "nobody would put its value in"
        assert re.search(r"^Next start +secret.A a.org \(header, basic\), now -$", cli.ok("inspect", "plain"), re.M)
        r = cli("restart", "plain", env={"A": None})
        assert r.returncode == 1 and "the variable A" in r.err
        assert "Running" in cli.ok("ps", "-a"), "it is not stopped for a start that cannot be"
        cli.ok("restart", "-q", "plain", env={"A": VALUE}, timeout=120)
        assert guest_env(cli, "plain")["A"] == record(cli, "plain")["secrets"][0]["placeholder"]
        pid, = helpers("plain")
        cli.ok("stop", "-q", "plain")
        wait_until(lambda: not helpers("plain"), 30, "msb-tls goes on")
    finally:
        cli("rm", "-q", "-f", "plain")


def test_it_ends_with_a_machine_that_is_killed(cli, box):
    vmm = json.loads(cli.ok("inspect", "box", "--format", "json"))["pid"]
    os.kill(vmm, signal.SIGKILL)
    wait_until(lambda: not helpers("box"), 30, "msb-tls goes on")


def test_a_machine_outlives_its_msb_tls(cli, box):
    """Then nothing is put in any more; a change says what to do."""
    values = {"A": VALUE, "HERE": OTHER}
    cli.ok("start", "-q", "box", env=values, timeout=120)
    try:
        pid, = helpers("box")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not helpers("box"), 30, "msb-tls goes on")
        assert cli.ok("exec", "box", "echo", "alive") == "alive\n"
        r = cli("modify", "box", "--secret", "A", env=values)
        assert r.returncode == 1 and "its msb-tls does not listen" in r.err and "msb restart" in r.err
        cli.ok("restart", "-q", "box", env=values, timeout=120)
        assert helpers("box")
    finally:
        cli("stop", "-q", "-f", "box")


def test_an_attached_machine_leaves_nothing(cli):
    out = cli.ok("run", "-q", "--secret", "A@a.org", IMAGE, "--", "sh", "-c", 'echo "$A"', env={"A": VALUE}, timeout=120)
    assert re.fullmatch("MSB_[0-9a-f]{32}\n", out)
    assert nowhere(cli, VALUE)


def test_interception_needs_no_secret(cli):
    out = cli.ok("run", "-q", "--tls-intercept", IMAGE, "--", "sh", "-c", 'cat "$SSL_CERT_FILE"', timeout=120)
    assert out.count("BEGIN CERTIFICATE") == 1


def test_doctor_knows(cli):
    assert re.search(r"secrets", cli("doctor").out)
