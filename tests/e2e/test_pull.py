"""Pulling and loading images, from servers and archives that mean well or not."""

import base64
import concurrent.futures
import gzip
import io
import json
import os
import pathlib
import signal
import socket
import subprocess
import tarfile
import time

import pytest

from lib.cli import Cli
from lib.registry import (
    OCI, DockerRegistry, FakeRegistry, Image, answer, assert_store_clean, cut,
    drip, endless, flip, ignore_range, index, instead, make_certificate,
    make_tar, redirect, sha256, silence, slow, tree, wrong_range)

TOP = pathlib.Path(__file__).parents[2]
BUILD = os.environ.get("MSB_TEST_BUILD", str(TOP / "build"))
NOISE = os.urandom(600_000)  # does not compress: offsets are known


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def msb(home, tmp_path):
    docker = tmp_path / "docker"
    docker.mkdir()
    return Cli(BUILD, home, MSB_REGISTRY_TIMEOUT="10s",
               DOCKER_CONFIG=str(docker))


@pytest.fixture
def fake():
    with FakeRegistry() as f:
        yield f


@pytest.fixture
def app(fake):
    """Two layers, the second one large enough to be cut."""
    return fake.add("app", "v1", [{"bin/x": b"#!/bin/sh\n"}, {"big": NOISE}])


def docker_config(tmp_path, doc):
    (tmp_path / "docker" / "config.json").write_text(
        doc if isinstance(doc, str) else json.dumps(doc))


def b64(text):
    return base64.b64encode(text.encode()).decode()


def refused(msb, home, *args, words, parts=False, images=0, bad=None, **kw):
    """@bad: a blob of which nothing may be left; others may be resumable."""
    r = msb(*args, **kw)
    assert 0 < r.returncode < 128, (r.returncode, r.err)
    assert "Sanitizer" not in r.err and "runtime error" not in r.err, r.err
    for w in [words] if isinstance(words, str) else words:
        assert w in r.err, r.err
    assert_store_clean(home, images=images, parts=parts or bad)
    if bad:
        assert not (home / "store" / "blobs" / f"{bad[7:]}.part").exists()
    return r


# What must work.

@pytest.mark.parametrize("how", ["gzip", "zstd", "plain"])
def test_every_compression(msb, home, fake, how):
    fake.add("app", "v1", [{"bin/x": b"hi"}, {"big": NOISE}], how=how)
    msb.ok("pull", fake.ref("app"))
    assert_store_clean(home, images=1)


def test_second_pull_fetches_nothing(msb, home, fake, app):
    msb.ok("pull", fake.ref("app"))
    before = tree(home)
    fake.reset()
    msb.ok("pull", fake.ref("app"))
    assert not any(r.is_blob for r in fake.requests)
    assert [r.method for r in fake.requests] == ["HEAD"]
    assert tree(home) == before


def test_moved_tag_is_followed_and_shared_layers_are_kept(msb, home, fake):
    base = {"base": NOISE}
    old = fake.add("app", "v1", [base, {"v": b"1"}])
    msb.ok("pull", fake.ref("app"))
    new = fake.add("app", "v1", [base, {"v": b"2"}])
    fake.reset()
    msb.ok("pull", fake.ref("app"))
    assert fake.asked(old.layers[0]) == 0
    assert fake.asked(new.layers[1]) == 1
    assert_store_clean(home, images=1)  # the name is one, now for the new
    assert new.digest[7:19] in msb.ok("image", "ls")


def test_by_digest(msb, home, fake, app):
    msb.ok("pull", f"{fake.host}/app@{app.digest}")
    wrong = "sha256:" + "0" * 64
    refused(msb, home, "pull", f"{fake.host}/app@{wrong}",
            words="no such image", images=1)


def test_index_chooses_the_platform(msb, home, fake, app):
    arm = fake.add("app", "arm", [{"arm": b"1"}], arch="arm64")
    note = dict(app.descriptor(), platform={"os": "unknown",
                                            "architecture": "unknown"})
    fake.add_manifest("app", "all", index(
        [note, arm.descriptor(), app.descriptor()]), OCI + "index.v1+json")
    msb.ok("pull", fake.ref("app", "all"))
    assert fake.asked(app.layers[1]) == 1
    assert fake.asked(arm.layers[0]) == 0


def test_missing_platform_lists_what_there_is(msb, home, fake):
    arm = fake.add("app", "arm", [{"arm": b"1"}], arch="arm64")
    fake.add_manifest("app", "all", index([arm.descriptor()]),
                      OCI + "index.v1+json")
    refused(msb, home, "pull", fake.ref("app", "all"),
            words=["linux/amd64", "linux/arm64"])
    refused(msb, home, "pull", fake.ref("app", "arm"), words="linux/arm64")


def test_nested_indexes_to_a_depth_of_four(msb, home, fake, app):
    inner = app.descriptor()
    for depth in range(1, 6):
        doc = index([inner])
        digest = fake.add_manifest("app", f"d{depth}", doc,
                                   OCI + "index.v1+json")
        inner = {"mediaType": OCI + "index.v1+json", "digest": digest,
                 "size": len(doc)}
    msb.ok("pull", fake.ref("app", "d4"))
    refused(msb, home, "pull", fake.ref("app", "d5"), words="nested",
            images=1)


def test_same_layer_twice_in_one_image(msb, home, fake):
    app = fake.add("app", "v1", [{"a": b"1"}, {"b": b"2"}, {"a": b"1"}])
    msb.ok("pull", fake.ref("app"))
    assert fake.asked(app.layers[0]) == 1


def test_force_fetches_again(msb, home, fake, app):
    msb.ok("pull", fake.ref("app"))
    fake.reset()
    msb.ok("pull", "--force", fake.ref("app"))
    assert fake.asked(app.layers[1]) == 1
    assert_store_clean(home, images=1)


def test_real_registry_with_login(msb, home, tmp_path):
    folder = tmp_path / "reg"
    folder.mkdir()
    image = Image([{"bin/x": b"hi"}, {"big": NOISE}])
    image.write_layout(tmp_path / "lay")
    with DockerRegistry(folder, "user", "pass word:x") as reg:
        reg.push(f"{tmp_path}/lay:v1", "team/app:v1", "user:pass word:x")
        ref = f"{reg.host}/team/app:v1"
        refused(msb, home, "pull", ref, words=["login", "docker login"])
        docker_config(tmp_path, {"auths": {reg.host: {
            "auth": b64("user:wrong")}}})
        refused(msb, home, "pull", ref, words="does not accept the login")
        docker_config(tmp_path, {"auths": {f"https://{reg.host}/v1/": {
            "auth": b64("user:pass word:x")}}})
        msb.ok("pull", ref)
    assert_store_clean(home, images=1)


# Refusals of names and servers.

def test_unknown_image_tag_and_server(msb, home, fake, app):
    refused(msb, home, "pull", fake.ref("app", "nope"),
            words=["no such image", "manifest unknown", "check the name"])
    refused(msb, home, "pull", fake.ref("nope"), words="no such image")
    fake.close()
    refused(msb, home, "pull", fake.ref("app"),
            words=["Connection refused", "is the registry running?"])
    refused(msb, home, "pull", "registry.invalid/x", words="no such host")


@pytest.mark.parametrize("ref", ["../../x", "x:..", "x@sha256:../../x", "-rf",
                                 "user@host/x", "UPPER", "",
                                 pytest.param("x" * 10240, id="10 KiB"),
                                 "$(id)", "a/../b", "x:\x1b[31mred"])
def test_bad_references(msb, home, ref):
    r = msb("pull", "--", ref)
    assert 0 < r.returncode < 128
    assert "\x1b[31m" not in r.err
    assert not (home / "store" / "refs").exists() or not tree(
        home / "store" / "refs")


# Faults on the way.

@pytest.mark.parametrize("at", [0, 1, 1000, 65536, 300_000, 599_999])
def test_cut_download_goes_on_where_it_was(msb, home, fake, app, at):
    big = app.layers[1]
    fake.fault = lambda rq: cut(at) if rq.name == big and rq.nth == 0 else None
    msb.ok("pull", fake.ref("app"))
    assert fake.bytes_of(big) == len(app.blobs[big])
    assert_store_clean(home, images=1)


def test_cut_manifest_and_config_are_asked_for_again(msb, home, fake, app):
    fake.fault = lambda rq: cut(10) if rq.nth == 0 else None
    msb.ok("pull", fake.ref("app"))
    assert_store_clean(home, images=1)


def test_cut_every_time_gives_up(msb, home, fake, app):
    fake.fault = lambda rq: cut(100) if rq.is_blob else None
    refused(msb, home, "pull", fake.ref("app"), words="broke", parts=True)


def test_server_that_ignores_ranges(msb, home, fake, app):
    big = app.layers[1]

    def fault(rq):
        if rq.name == big:
            return cut(200_000) if rq.nth == 0 else ignore_range()
    fake.fault = fault
    msb.ok("pull", fake.ref("app"))
    assert_store_clean(home, images=1)


@pytest.mark.parametrize("start", [0, 1, 199_999, 10**9])
def test_wrong_content_range_is_refused(msb, home, fake, app, start):
    big = app.layers[1]

    def fault(rq):
        if rq.name == big:
            return cut(200_000) if rq.nth == 0 else wrong_range(start)
    fake.fault = fault
    refused(msb, home, "pull", fake.ref("app"), words="range", bad=big)


def kill_in_the_middle(msb, fake, app, rate=200_000):
    """What the server has sent is not yet what was kept."""
    big = app.layers[1]
    fake.fault = lambda rq: slow(rate) if rq.name == big else None
    p = msb.popen("pull", fake.ref("app"))
    part = msb.home / "store" / "blobs" / f"{big[7:]}.part"
    while not part.exists() or part.stat().st_size <= 150_000:
        assert p.poll() is None
        time.sleep(0.02)
    p.send_signal(signal.SIGKILL)
    p.wait()
    fake.fault = None
    return part


def test_killed_pull_is_resumed(msb, home, fake, app):
    part = kill_in_the_middle(msb, fake, app)
    have = part.stat().st_size
    fake.reset()
    msb.ok("pull", fake.ref("app"))
    big = app.layers[1]
    assert fake.bytes_of(big) == len(app.blobs[big]) - have
    assert_store_clean(home, images=1)


@pytest.mark.parametrize("damage", ["flip", "zeros", "too long", "whole"])
def test_damaged_part_is_thrown_away(msb, home, fake, app, damage):
    part = kill_in_the_middle(msb, fake, app)
    data = bytearray(part.read_bytes())
    whole = app.blobs[app.layers[1]]
    if damage == "flip":
        data[1000] ^= 1
    elif damage == "zeros":
        data = bytearray(len(data))
    elif damage == "too long":
        data = bytearray(whole + b"x")
    else:
        data = bytearray(whole)
    part.write_bytes(data)
    fake.reset()
    msb.ok("pull", fake.ref("app"))
    if damage == "whole":
        assert fake.bytes_of(app.layers[1]) == 0
    assert_store_clean(home, images=1)


def test_416_starts_over(msb, home, fake, app):
    kill_in_the_middle(msb, fake, app)
    fake.fault = lambda rq: answer(416) if rq.range else None
    msb.ok("pull", fake.ref("app"))
    assert_store_clean(home, images=1)


@pytest.mark.parametrize("at", [0, 10, 5000, 123_456, 600_000, -1, -5])
def test_flipped_bit(msb, home, fake, app, at):
    big = app.layers[1]
    fake.fault = lambda rq: flip(at) if rq.name == big else None
    refused(msb, home, "pull", fake.ref("app"), words="pull", bad=big)


def test_wrong_bytes_under_every_name(msb, home, fake, app):
    other = fake.add("app", "other", [{"bin/x": b"evil"}])
    cases = {app.layers[1]: other.blobs[other.layers[0]],
             app.config: other.blobs[other.config]}
    for name, data in cases.items():
        fake.fault = lambda rq: instead(data) if rq.name == name else None
        refused(msb, home, "pull", fake.ref("app"), words="pull", bad=name)
    fake.fault = lambda rq: instead(other.manifest)
    refused(msb, home, "pull", f"{fake.host}/app@{app.digest}",
            words="digest")


def test_a_layer_under_the_diff_id_of_another(msb, home, fake):
    """The way to poison a shared store, so the claim must be checked."""
    good = fake.add("good", "v1", [{"bin/sh": b"good"}])

    def lie(cfg):
        cfg["rootfs"]["diff_ids"] = good.diff_ids
    fake.add("evil", "v1", [{"bin/sh": b"evil"}], edit_config=lie)
    refused(msb, home, "pull", fake.ref("evil"), words="pull")
    msb.ok("pull", fake.ref("good"))


def test_truncated_blob_with_a_matching_length(msb, home, fake, app):
    big = app.layers[1]
    short = app.blobs[big][:-100]
    fake.fault = lambda rq: instead(short) if rq.name == big else None
    refused(msb, home, "pull", fake.ref("app"), words="bytes", bad=big)


@pytest.mark.parametrize("announce", [None, 1 << 40])
def test_body_that_never_ends(msb, home, fake, app, announce):
    big = app.layers[1]
    fake.fault = lambda rq: endless(announce) if rq.name == big else None
    refused(msb, home, "pull", fake.ref("app"), words="more than the", bad=big)
    assert fake.bytes_of(big) < 16 << 20
    fake.fault = lambda rq: endless(announce) if rq.is_manifest else None
    refused(msb, home, "pull", fake.ref("app"), words="more than the",
            parts=True)


def test_slow_drip_and_silence_end_in_time(msb, home, fake, app):
    big = app.layers[1]
    env = {"MSB_REGISTRY_TIMEOUT": "700ms"}
    fake.fault = lambda rq: drip(1000, 0.2) if rq.name == big else None
    start = time.time()
    refused(msb, home, "pull", fake.ref("app"), words="almost nothing",
            parts=True, env=env)
    fake.fault = lambda rq: silence(30)
    refused(msb, home, "pull", fake.ref("app"), words="almost nothing",
            parts=True, env=env)
    assert time.time() - start < 60


def test_429_waits_as_told(msb, home, fake, app):
    fake.fault = lambda rq: answer(429, {"Retry-After": "1"}) \
        if rq.nth == 0 and rq.name == app.layers[0] else None
    start = time.time()
    msb.ok("pull", fake.ref("app"))
    assert 1 <= time.time() - start < 15


def test_429_with_a_huge_wait_is_given_up_at_once(msb, home, fake, app):
    fake.fault = lambda rq: answer(429, {"Retry-After": "100000"})
    start = time.time()
    refused(msb, home, "pull", fake.ref("app"), words="100000 seconds")
    assert time.time() - start < 20


def test_503_for_ever_is_given_up(msb, home, fake, app):
    fake.fault = lambda rq: answer(503)
    refused(msb, home, "pull", fake.ref("app"), words="in trouble")
    assert len(fake.requests) <= 6


def test_redirect_to_another_port_brings_the_blob_but_no_secret(
        msb, home, fake, app, tmp_path):
    with FakeRegistry() as cdn:
        cdn.blobs.update(app.blobs)
        fake.want_basic("u", "p")
        docker_config(tmp_path, {"auths": {fake.host: {"auth": b64("u:p")}}})
        fake.fault = lambda rq: redirect(
            f"http://{cdn.host}/v2/x/blobs/{rq.name}") \
            if rq.is_blob and rq.auth else None
        msb.ok("pull", fake.ref("app"))
        assert len(cdn.requests) == 3
        assert not any(r.auth for r in cdn.requests)
    assert_store_clean(home, images=1)


@pytest.mark.parametrize("url", [
    "file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/",
    "http://user:secret@127.0.0.1/", "dict://127.0.0.1:11/", "//",
    "http://", "http://[::1", "\\\\host\\x", "http://a b/"])
def test_bad_redirects(msb, home, fake, app, url):
    fake.fault = lambda rq: redirect(url) if rq.is_blob else None
    refused(msb, home, "pull", fake.ref("app"), words="pull")


def test_endless_redirects(msb, home, fake, app):
    fake.fault = lambda rq: redirect(rq.path) if rq.is_blob else None
    refused(msb, home, "pull", fake.ref("app"), words="redirect")
    assert len(fake.requests) < 60


def own_name():
    """A name of this machine that does not look like one."""
    name = socket.gethostname()
    try:
        ip = socket.gethostbyname(name)
    except OSError:
        pytest.skip("this machine's name does not resolve")
    if not ip.startswith("127.0.0.") or name.startswith("localhost"):
        pytest.skip("this machine's name is no other name for 127.0.0.1")
    return name


def other_name(name):
    """One more, which only its address gives away."""
    for line in pathlib.Path("/etc/hosts").read_text().splitlines():
        ip, *names = line.split("#")[0].split() or [""]
        for n in names if ip.startswith("127.") or ip == "::1" else []:
            if n != name and not n.startswith("localhost"):
                return n
    return pytest.skip("this machine has no second name in /etc/hosts")


@pytest.mark.parametrize("target", [
    "127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "0.0.0.0",
    "[::ffff:127.0.0.1]", "169.254.169.254", "another name"])
def test_no_redirect_from_outside_to_this_machine(msb, home, fake, app,
                                                  target):
    """What serves only this machine must not be reached through a registry."""
    name = own_name()
    if target == "another name":
        target = other_name(name)
    with FakeRegistry() as inner:
        inner.blobs.update(app.blobs)
        to = f"http://{target}:{inner.port}"
        fake.fault = lambda rq: redirect(to + rq.path) if rq.is_blob else None
        refused(msb, home, "pull", "--insecure", f"{name}:{fake.port}/app:v1",
                words="this machine")
        assert not inner.requests
        fake.fault = None
        msb.ok("pull", "--insecure", f"{name}:{fake.port}/app:v1")


def test_huge_headers(msb, home, fake, app):
    fake.fault = lambda rq: answer(200, {"X": ["y" * 60000] * 3})
    refused(msb, home, "pull", fake.ref("app"), words="pull")


# TLS.

def test_tls_is_verified(home, tmp_path, msb):
    pair = make_certificate(str(tmp_path))
    with FakeRegistry(tls=pair) as fake:
        fake.add("app", "v1", [{"x": b"1"}])
        refused(msb, home, "pull", fake.ref("app"),
                words=["certificate", "--ca-certs", "--insecure"])
        refused(msb, home, "pull", "--ca-certs", "/nonexistent",
                fake.ref("app"), words="CA")
        msb.ok("pull", "--ca-certs", pair[0], fake.ref("app"))
        msb.ok("pull", "--force", "--insecure", fake.ref("app"))


def test_certificate_for_another_host(home, tmp_path, msb):
    pair = make_certificate(str(tmp_path), "example.org")
    with FakeRegistry(tls=pair) as fake:
        fake.add("app", "v1", [{"x": b"1"}])
        refused(msb, home, "pull", "--ca-certs", pair[0], fake.ref("app"),
                words="pull")


def test_no_way_from_https_to_http(home, tmp_path, msb):
    pair = make_certificate(str(tmp_path))
    with FakeRegistry(tls=pair) as fake, FakeRegistry() as plain:
        app = fake.add("app", "v1", [{"x": b"1"}])
        plain.blobs.update(app.blobs)
        fake.fault = lambda rq: redirect(
            f"http://{plain.host}{rq.path}") if rq.is_blob else None
        refused(msb, home, "pull", "--ca-certs", pair[0], fake.ref("app"),
                words="from https to http")
        assert not plain.requests


# Logins.

def test_token_for_anyone(msb, home, fake, app):
    fake.want_token()
    msb.ok("pull", fake.ref("app"))
    asked = [r.path for r in fake.requests if r.path.startswith("/token")]
    assert asked == ["/token?service=test&scope=repository%3Aapp%3Apull"]


def test_token_for_a_user(msb, home, fake, app, tmp_path):
    fake.want_token("u", "p")
    refused(msb, home, "pull", fake.ref("app"), words="login")
    docker_config(tmp_path, {"auths": {fake.host: {"auth": b64("u:p")}}})
    msb.ok("pull", fake.ref("app"))


def test_token_that_expires_is_bought_again(msb, home, fake):
    fake.add("app", "v1", [{f"f{i}": os.urandom(1000)} for i in range(6)])
    fake.want_token()
    fake.fault = lambda rq: fake.tokens.clear() \
        if rq.is_blob and rq.nth == 0 else None
    msb.ok("pull", fake.ref("app"))
    assert_store_clean(home, images=1)


def test_401_for_ever(msb, home, fake, app):
    fake.want_token()
    fake.token_life = -1
    refused(msb, home, "pull", fake.ref("app"), words="login")
    assert len(fake.requests) < 12


def test_realm_must_be_safe(home, tmp_path, msb):
    pair = make_certificate(str(tmp_path))
    with FakeRegistry(tls=pair) as fake:
        fake.add("app", "v1", [{"x": b"1"}])
        for realm in ("http://token.invalid/", "file:///etc/passwd", "x",
                      "ftp://127.0.0.1/"):
            fake.want_token(realm=realm)
            refused(msb, home, "pull", "--ca-certs", pair[0],
                    fake.ref("app"), words="not safe")


@pytest.mark.parametrize("header", [
    "", "Bearer", 'Bearer realm="', "Negotiate abc", 'Bearer realm=""',
    pytest.param("Basic " * 2000, id="long"), 'Bearer realm="http://127.0.0.1:1/\\', "\xff\xfe"])
def test_odd_challenges(msb, home, fake, app, header):
    fake.fault = lambda rq: answer(401, {"WWW-Authenticate": header})
    refused(msb, home, "pull", fake.ref("app"), words="pull")


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"token": 5}',
                                  b'{"token": ""}', b"\xff",
                                  b'{"token": "a\\r\\nX-Evil: 1"}'])
def test_odd_tokens(msb, home, fake, app, body):
    fake.want_token()
    fake.fault = lambda rq: answer(200, body=body) \
        if rq.path.startswith("/token") else None
    refused(msb, home, "pull", fake.ref("app"), words="token")


def helper(tmp_path, name, script):
    path = tmp_path / "bin" / f"docker-credential-{name}"
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    return {"PATH": f"{path.parent}:{os.environ['PATH']}"}


def test_credential_helper(msb, home, fake, app, tmp_path):
    fake.want_basic("u", 'p"$x')
    env = helper(tmp_path, "good", 'read host; echo "$1 $host" > "$0.log"\n'
                 'echo \'{"Username":"u","Secret":"p\\"$x"}\'\n')
    docker_config(tmp_path, {"credHelpers": {fake.host: "good"},
                             "credsStore": "missing"})
    msb.ok("pull", fake.ref("app"), env=env)
    log = tmp_path / "bin" / "docker-credential-good.log"
    assert log.read_text() == f"get {fake.host}\n"


@pytest.mark.parametrize("name,script", [
    ("no", "echo credentials not found in native keychain; exit 1"),
    ("fail", "echo broken >&2; exit 3"),
    ("text", "echo hello"),
    ("flood", "yes xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
    ("half", "echo '{\"Username\":\"u\"}'"),
    ("../../bin/sh", None), ("a b", None), ("x;id", None), ("", None),
    ("absent", None)])
def test_helper_that_does_not_help(msb, home, fake, app, tmp_path, name,
                                   script):
    env = helper(tmp_path, name, script) if script else {}
    docker_config(tmp_path, {"credsStore": name})
    msb.ok("pull", fake.ref("app"), env=env)  # it was not needed
    fake.want_basic("u", "p")
    refused(msb, home, "pull", "--force", fake.ref("app"), env=env,
            words="login", images=1)


@pytest.mark.parametrize("text", ["{", "[]", '{"auths": []}', "\xff" * 100,
                                  '{"auths": {"x": 1}}',
                                  pytest.param("x" * 2_000_000, id="huge")])
def test_docker_config_that_is_broken(msb, home, fake, app, tmp_path, text):
    docker_config(tmp_path, text)
    fake.want_basic("u", "p")
    refused(msb, home, "pull", fake.ref("app"), words="login")


def test_identity_token(msb, home, fake, app, tmp_path):
    fake.want_token()
    docker_config(tmp_path, {"auths": {fake.host: {
        "identitytoken": "it&x=1"}}})
    msb.ok("pull", fake.ref("app"))
    posts = [r.body for r in fake.requests if r.method == "POST"]
    assert len(posts) == 1 and b"refresh_token=it%26x%3D1" in posts[0]


# Documents.

def manifest_of(app, edit):
    doc = json.loads(app.manifest)
    edit(doc)
    return json.dumps(doc).encode()


@pytest.mark.parametrize("name,edit", [
    ("schema 1", lambda d: d.update(schemaVersion=1)),
    ("no schema", lambda d: d.pop("schemaVersion")),
    ("fsLayers", lambda d: d.update(fsLayers=[])),
    ("both kinds", lambda d: d.update(manifests=[])),
    ("no layers", lambda d: d.pop("layers")),
    ("wrong type", lambda d: d.update(mediaType=OCI + "index.v1+json")),
    ("negative size", lambda d: d["layers"][0].update(size=-1)),
    ("huge size", lambda d: d["layers"][0].update(size=2**63 - 1)),
    ("size as text", lambda d: d["layers"][0].update(size="5")),
    ("size with fraction", lambda d: d["layers"][0].update(size=5.0)),
    ("bad digest", lambda d: d["layers"][0].update(digest="sha256:../../x")),
    ("sha512", lambda d: d["layers"][0].update(digest="sha512:" + "0" * 128)),
    ("layer type", lambda d: d["layers"][0].update(mediaType="text/html")),
    ("foreign layer", lambda d: d["layers"][0].update(
        mediaType="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")),
    ("config type", lambda d: d["config"].update(
        mediaType="application/vnd.cncf.helm.config.v1+json")),
    ("10000 layers", lambda d: d.update(layers=d["layers"] * 10000)),
    ("one layer less", lambda d: d["layers"].pop()),
    ("one layer more", lambda d: d["layers"].append(d["layers"][0])),
])
def test_bad_manifests(msb, home, fake, app, name, edit):
    fake.add_manifest("app", "bad", manifest_of(app, edit))
    refused(msb, home, "pull", fake.ref("app", "bad"), words="pull")


@pytest.mark.parametrize("data", [
    b"", b"null", b"[]", b"{", b'{"schemaVersion": 2, "schemaVersion": 2}',
    pytest.param(b'{"a":' * 10000 + b"1" + b"}" * 10000, id="deep"),
    b"\xff\xfe", b'"x"',
    b'{"schemaVersion": 99999999999999999999999}'])
def test_manifests_that_are_none(msb, home, fake, data):
    fake.add_manifest("app", "bad", data)
    refused(msb, home, "pull", fake.ref("app", "bad"), words="pull")


def test_manifest_of_100_mib(msb, home, fake):
    fake.add_manifest("app", "bad", b" " * (100 << 20))
    refused(msb, home, "pull", fake.ref("app", "bad"), words="more than")


@pytest.mark.parametrize("edit", [
    lambda c: c.pop("rootfs"),
    lambda c: c["rootfs"].update(type="x"),
    lambda c: c["rootfs"]["diff_ids"].pop(),
    lambda c: c["rootfs"]["diff_ids"].__setitem__(0, "sha256:x"),
    lambda c: c.update(architecture="$(id)"),
    lambda c: c.update(os="windows"),
    lambda c: c["config"].update(Cmd="sh"),
    lambda c: c["config"].update(Env=[1]),
    lambda c: c["config"].update(Env=["A=1"] * 100000),
    lambda c: c.update(config=[]),
])
def test_bad_configs(msb, home, fake, edit):
    fake.add("app", "v1", [{"x": b"1"}, {"y": b"2"}], edit_config=edit)
    refused(msb, home, "pull", fake.ref("app"), words="pull")


# Many at once, and interruption.

def test_eight_pulls_fetch_each_blob_once(msb, home, fake, app):
    fake.fault = lambda rq: slow(2_000_000) if rq.is_blob else None
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: msb("pull", fake.ref("app")), range(8)))
    assert [r.returncode for r in runs] == [0] * 8, [r.err for r in runs]
    for name, data in app.blobs.items():
        assert fake.asked(name) == 1, name
        assert fake.bytes_of(name) == len(data)
    assert_store_clean(home, images=1)


def test_images_that_share_a_layer_fetch_it_once(msb, home, fake):
    base = {"base": NOISE}
    a = fake.add("a", "v1", [base, {"a": b"1"}])
    fake.add("b", "v1", [base, {"b": b"1"}])
    fake.fault = lambda rq: slow(1_000_000) if rq.is_blob else None
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda n: msb("pull", fake.ref(n)), "ab"))
    assert [r.returncode for r in runs] == [0, 0], [r.err for r in runs]
    assert fake.asked(a.layers[0]) == 1
    assert_store_clean(home, images=2)


def test_winner_killed_the_waiter_goes_on(msb, home, fake, app):
    big = app.layers[1]
    fake.fault = lambda rq: slow(300_000) if rq.name == big else None
    first = msb.popen("pull", fake.ref("app"))
    while fake.bytes_of(big) < 100_000:
        assert first.poll() is None
        time.sleep(0.02)
    second = msb.popen("pull", fake.ref("app"))
    time.sleep(0.3)
    first.kill()
    first.wait()
    fake.fault = None
    assert second.wait(30) == 0, second.stderr.read()
    assert fake.bytes_of(big) < len(app.blobs[big]) + 200_000
    msb.ok("image", "ls")  # sweeps what the killed one staged
    assert_store_clean(home, images=1)


def test_ctrl_c_leaves_only_what_can_be_resumed(msb, home, fake, app):
    big = app.layers[1]
    fake.fault = lambda rq: slow(40_000) if rq.name == big else None
    p = msb.popen("pull", fake.ref("app"))
    while fake.bytes_of(big) < 50_000:
        time.sleep(0.02)
    p.send_signal(signal.SIGINT)
    start = time.time()
    assert p.wait(30) != 0
    assert time.time() - start < 6  # the rest would take twice as long
    if p.returncode > 0:  # ended by itself, not by the signal
        assert_store_clean(home, parts=True)


def test_prune_beside_pulls(msb, home, fake):
    for i in range(6):
        fake.add("app", f"v{i}", [{"base": NOISE}, {f"f{i}": os.urandom(9)}])
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(msb, "pull", fake.ref("app", f"v{i}"))
                for i in range(6)]
        jobs += [pool.submit(msb, "image", "prune", "-y") for _ in range(10)]
        runs = [j.result() for j in jobs]
    assert all(r.returncode == 0 for r in runs), [r.err for r in runs]
    for i in range(6):
        msb.ok("image", "inspect", fake.ref("app", f"v{i}"))
    assert_store_clean(home, images=6)


def test_remove_and_prune_free_everything(msb, home, fake, app):
    msb.ok("pull", fake.ref("app"))
    msb.ok("image", "rm", fake.ref("app"))
    msb.ok("image", "prune", "-y")
    left = [f for f in tree(home / "store")
            if not f.startswith(("locks/", "templates/"))]
    assert left == ["VERSION"]


def test_disk_full(msb, tmp_path, fake):
    fake.add("app", "v1", [{"big": os.urandom(3 << 20)}])
    small = tmp_path / "small"
    small.mkdir()
    r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=66m,mode=700",
                        "none", small], capture_output=True)
    if r.returncode:
        pytest.skip("needs the right to mount")
    try:
        env = {"MSB_HOME": str(small)}
        r = msb("pull", fake.ref("app"), env=env)
        assert r.returncode and "space" in r.err, r.err
        assert_store_clean(str(small))
        (small / "filler").write_bytes(b"")  # the store itself still works
        assert msb("image", "ls", env=env).returncode == 0
    finally:
        subprocess.run(["umount", small], check=True)


# At rest.

def flip_file(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


@pytest.mark.parametrize("kind", ["manifests", "configs"])
def test_damage_in_the_store_is_seen_and_repaired(msb, home, fake, app, kind):
    msb.ok("pull", fake.ref("app"))
    victim, = (home / "store" / kind).iterdir()
    flip_file(victim)
    r = msb("image", "inspect", fake.ref("app"))
    assert r.returncode and "damaged" in r.err and "--force" in r.err, r.err
    msb.ok("pull", fake.ref("app"))
    msb.ok("image", "inspect", fake.ref("app"))


# Archives.

def docker_archive(path, image, tars, tags=("my/app:1",), last=True,
                   layers=None, extra=(), config="c.json", how="w"):
    """In the form of docker save; manifest.json last, as that may be."""
    names = layers or [f"{i}/layer.tar" for i in range(len(tars))]
    doc = json.dumps([{"Config": config, "RepoTags": list(tags) or None,
                       "Layers": names}]).encode()
    members = [(n, t) for n, t in zip(names, tars)]
    members += [("c.json", image.blobs[image.config]), *extra]
    members.insert(len(members) if last else 0, ("manifest.json", doc))
    with tarfile.open(path, how) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            if isinstance(data, str):
                info.type, info.linkname, data = tarfile.SYMTYPE, data, b""
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def parts():
    tars = [make_tar({"a": b"1"}), make_tar({"b": b"2"})]
    return Image(tars), tars


def load(msb, path, *more, **kw):
    return msb("load", "-i", path, *more, **kw)


@pytest.mark.parametrize("how", ["w", "w:gz"])
@pytest.mark.parametrize("last", [True, False])
def test_docker_archive(msb, home, tmp_path, parts, how, last):
    a = docker_archive(tmp_path / "a.tar", *parts, last=last, how=how)
    r = load(msb, a)
    assert r.returncode == 0, r.err
    msb.ok("image", "inspect", "my/app:1")
    assert_store_clean(home, images=1)


def test_docker_archive_with_linked_layers(msb, home, tmp_path):
    tar = make_tar({"a": b"1"})
    image = Image([tar, tar])
    a = docker_archive(tmp_path / "a.tar", image, [tar, "../0/layer.tar"])
    assert load(msb, a).returncode == 0
    assert_store_clean(home, images=1)


@pytest.mark.parametrize("name,change", [
    ("dot-dot", dict(layers=["../../etc/passwd", "1/layer.tar"])),
    ("absolute", dict(layers=["/etc/passwd", "1/layer.tar"])),
    ("missing", dict(config="nope.json")),
    ("config outside", dict(config="/etc/passwd")),
    ("bad tag", dict(tags=["../../x"])),
    ("tag with escape", dict(tags=["x:\x1b[31m"])),
    ("two manifests", dict(extra=[("manifest.json", b"[]")])),
    ("two configs", dict(extra=[("./c.json", b"{}")])),
])
def test_tricks_in_docker_archives(msb, home, tmp_path, parts, name, change):
    a = docker_archive(tmp_path / "a.tar", *parts, **change)
    if change.get("layers"):
        os.rename(a, tmp_path / "b.tar")
        a = tmp_path / "b.tar"
    r = refused(msb, home, "load", "-i", a, words="")
    assert "\x1b[31m" not in r.err


@pytest.mark.parametrize("target", ["../../../etc/passwd", "/etc/passwd",
                                    "layer.tar", "../1/layer.tar"])
def test_layer_links_that_lead_nowhere(msb, home, tmp_path, parts, target):
    image, tars = parts
    a = docker_archive(tmp_path / "a.tar", image, [tars[0], target])
    refused(msb, home, "load", "-i", a, words="archive")


def test_compressed_twice(msb, home, tmp_path, parts):
    a = docker_archive(tmp_path / "a.tar", *parts)
    twice = tmp_path / "twice"
    twice.write_bytes(gzip.compress(gzip.compress(a.read_bytes())))
    refused(msb, home, "load", "-i", twice, words="twice")


def test_cut_and_flipped_archives(msb, home, tmp_path, parts):
    image, tars = parts
    whole = docker_archive(tmp_path / "a.tar", image, tars).read_bytes()
    bad = tmp_path / "bad.tar"
    for n in range(0, len(whole) - 11000, 700):
        bad.write_bytes(whole[:n])
        refused(msb, home, "load", "-i", bad, words="")
    for at in range(0, 4096, 97):
        data = bytearray(whole)
        data[at] ^= 0x10
        bad.write_bytes(data)
        r = load(msb, bad)
        assert 0 <= r.returncode < 128
        assert not os.listdir(home / "store" / "tmp")


def test_layout_folder_and_archive_from_stdin(msb, home, tmp_path, parts):
    image, _ = parts
    image.write_layout(tmp_path / "lay")
    out = msb.ok("load", "-i", tmp_path / "lay")
    with tarfile.open(tmp_path / "oci.tar", "w") as tar:
        tar.add(tmp_path / "lay", arcname=".")
    data = (tmp_path / "oci.tar").read_bytes()
    r = msb("load", "-i", "-", "-t", "my/name:7", input=data)
    assert r.returncode == 0, r.err
    one = msb.ok("image", "inspect", "my/name:7")
    assert image.digest in one, (one, out)
    assert_store_clean(home, images=2)


def test_tricks_in_layout_folders(msb, home, tmp_path, parts):
    image, _ = parts
    lay = tmp_path / "lay"
    image.write_layout(lay)
    blob = lay / "blobs" / "sha256" / image.layers[0][7:]
    keep = blob.read_bytes()
    blob.write_bytes(keep[:-1] + b"x")
    refused(msb, home, "load", "-i", lay, words="")
    blob.unlink()
    blob.symlink_to("/etc/passwd")
    refused(msb, home, "load", "-i", lay, words="cannot be opened")
    blob.unlink()
    os.mkfifo(blob)
    refused(msb, home, "load", "-i", lay, words="")
    blob.unlink()
    refused(msb, home, "load", "-i", lay, words="missing")
    blob.write_bytes(keep)
    os.rename(lay / "blobs", lay / "elsewhere")
    (lay / "blobs").symlink_to("elsewhere")
    refused(msb, home, "load", "-i", lay, words="cannot be opened")


def test_oci_names_are_references_too(msb, home, tmp_path, parts):
    image, _ = parts
    for i, name in enumerate(["../../x", "a:b:c", "-rf", "x\x1b[31m", "a" * 300]):
        image.write_layout(tmp_path / f"lay{i}", name=name)
        refused(msb, home, "load", "-i", tmp_path / f"lay{i}", words="")


@pytest.mark.parametrize("data", [b"", b"x", b"\0" * 10240, b"x" * 10240,
                                  b"\x1f\x8b" + b"x" * 100, b"BZh9",
                                  b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"])
def test_files_that_are_no_archive(msb, home, tmp_path, data):
    f = tmp_path / "f"
    f.write_bytes(data)
    refused(msb, home, "load", "-i", f, words="")
    refused(msb, home, "pull", f, words="")
