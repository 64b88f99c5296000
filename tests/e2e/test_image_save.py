"""msb image save: archives that others read, and from which msb makes the very same image again."""
import hashlib
import io
import json
import os
import signal
import subprocess
import tarfile
import time

import pytest

from conftest import need
from lib.cli import Cli, wait_until

IMAGE = "docker.io/test/busybox:1"
PYTHON = "docker.io/test/python:1"
FORMATS = ["docker", "oci"]


@pytest.fixture(scope="module")
def cli(build_dir, busybox_image, tmp_path_factory):
    """One home for this file; its layers came compressed."""
    c = Cli(build_dir, tmp_path_factory.mktemp("save") / "home")
    c.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    return c


@pytest.fixture
def other(build_dir, tmp_path):
    return Cli(build_dir, tmp_path / "other")


def images(cli):
    return {i["reference"]: i["digest"] for i in json.loads(cli.ok("images", "--format", "json"))}


def inspect(cli, ref):
    i = json.loads(cli.ok("image", "inspect", "--format", "json", ref))
    return i["digest"], i["config"]["digest"], [layer["diff_id"] for layer in i["layers"]]


def chains(cli):
    return {p.name for p in (cli.home / "store/chains").glob("*/*")}


def members(archive):
    with tarfile.open(archive) as t:
        return {m.name: t.extractfile(m).read() for m in t}


def write(archive, files):
    with tarfile.open(archive, "w") as t:
        for name, data in files.items():
            m = tarfile.TarInfo(name)
            m.size = len(data)
            t.addfile(m, io.BytesIO(data))


def sha(data):
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("form", FORMATS)
def test_an_image_is_the_same_after_a_journey(cli, other, tmp_path, form):
    first, second = tmp_path / "first.tar", tmp_path / "second.tar"
    r = cli("image", "save", "--format", form, "-o", first, IMAGE)
    assert r.returncode == 0 and f"Saved        {IMAGE}" in r.err and r.out == ""
    other.ok("load", "-q", "-i", first)
    assert inspect(other, IMAGE) == inspect(cli, IMAGE)
    assert chains(other) == chains(cli)
    other.ok("save", "-q", "--format", form, "-o", second, IMAGE)
    assert first.read_bytes() == second.read_bytes()
    # The layers are what their author made: their digest is the one that the config names.
    digest, config, diff_ids = inspect(cli, IMAGE)
    hashes = {"sha256:" + sha(data) for data in members(first).values()}
    assert {digest, config, *diff_ids} <= hashes


def test_the_form_is_dockers_without_format(cli, tmp_path):
    cli.ok("save", "-q", "-o", tmp_path / "a.tar", IMAGE)
    files = members(tmp_path / "a.tar")
    assert "manifest.json" in files and "index.json" not in files
    entry, = json.loads(files["manifest.json"])
    assert entry["RepoTags"] == [IMAGE]
    _, config, diff_ids = inspect(cli, IMAGE)
    assert "sha256:" + sha(files[entry["Config"]]) == config
    assert ["sha256:" + sha(files[name]) for name in entry["Layers"]] == diff_ids


def test_an_oci_layout_is_whole(cli, tmp_path, other):
    cli.ok("save", "-q", "--format", "oci", "-o", tmp_path / "a.tar", IMAGE)
    files = members(tmp_path / "a.tar")
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    for name, data in files.items():
        if name.startswith("blobs/"):
            assert name == "blobs/sha256/" + sha(data)
    entry, = json.loads(files["index.json"])["manifests"]
    manifest = json.loads(files["blobs/sha256/" + entry["digest"][7:]])
    for d in [entry, manifest["config"], *manifest["layers"]]:
        assert len(files["blobs/sha256/" + d["digest"][7:]]) == d["size"]
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == IMAGE
    # Unpacked it is a layout folder.
    folder = tmp_path / "layout"
    subprocess.run(["tar", "xf", tmp_path / "a.tar", "--one-top-level=" + str(folder)], check=True)
    other.ok("load", "-q", "-i", folder)
    assert inspect(other, IMAGE) == inspect(cli, IMAGE)


@pytest.mark.parametrize("form, transport", [("docker", "docker-archive"), ("oci", "oci-archive")])
def test_skopeo_reads_it(cli, tmp_path, form, transport):
    need("skopeo")
    cli.ok("save", "-q", "--format", form, "-o", tmp_path / "a.tar", IMAGE)
    subprocess.run(["skopeo", "copy", "-q", f"{transport}:{tmp_path}/a.tar:{IMAGE}", f"dir:{tmp_path}/dir"], check=True)
    manifest = json.loads((tmp_path / "dir/manifest.json").read_text())
    _, config, diff_ids = inspect(cli, IMAGE)
    assert manifest["config"]["digest"] == config
    assert [d["digest"] for d in manifest["layers"]] == diff_ids


def test_what_a_registry_had_compressed_keeps_its_id(cli, build_dir, registry, busybox_image, other, tmp_path):
    """Pulled, saved, loaded: the digest of the registry's manifest is shown everywhere."""
    need("skopeo")
    ref = f"127.0.0.1:{registry.port}/test/busybox:1"
    subprocess.run(["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{busybox_image}", f"docker://{ref}"],
                   check=True)
    puller = Cli(build_dir, tmp_path / "puller")
    puller.ok("pull", "-q", "--insecure", ref)
    puller.ok("save", "-q", "--format", "oci", "-o", tmp_path / "a.tar", ref)
    other.ok("load", "-q", "-i", tmp_path / "a.tar")
    assert inspect(other, ref) == inspect(puller, ref)
    r = subprocess.run(["skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"docker://{ref}"],
                       check=True, stdout=subprocess.PIPE, text=True)
    assert inspect(other, ref)[0] == r.stdout.strip()
    # By the digest that it has at its registry, too.
    assert inspect(other, f"127.0.0.1:{registry.port}/test/busybox@{r.stdout.strip()}") == inspect(puller, ref)


@pytest.mark.parametrize("form", FORMATS)
def test_several_in_one_archive(cli, other, busybox_image, python_image, tmp_path, form):
    cli.ok("load", "-q", "-i", python_image, "-t", PYTHON)
    cli.ok("load", "-q", "-i", busybox_image, "-t", "other/name:2")
    archive = tmp_path / "a.tar"
    short = inspect(cli, PYTHON)[0][7:7 + 12]
    cli.ok("save", "-q", "--format", form, "-o", archive, PYTHON, IMAGE, "other/name:2", short)
    assert len(members(archive)) == len(tarfile.open(archive).getnames())  # each blob once
    other.ok("load", "-q", "-i", archive)
    want = images(cli)
    assert images(other) == want and len(want) == 3
    again = tmp_path / "b.tar"
    other.ok("save", "-q", "--format", form, "-o", again, PYTHON, IMAGE, "other/name:2")
    assert sha(again.read_bytes()) == sha(archive.read_bytes())


def test_through_a_pipe(cli, other):
    save = cli.popen("save", IMAGE)
    load = subprocess.run([other.msb, "load"], env=other.environment(None), stdin=save.stdout, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    save.stdout.close()
    assert save.wait(30) == 0 and load.returncode == 0, load.stderr
    assert images(other)[IMAGE] == images(cli)[IMAGE]


def test_a_terminal_gets_no_archive(cli):
    with cli.terminal("save", IMAGE) as t:
        t.expect("standard output is a terminal")
        t.expect("--output")
        assert t.wait() == 2


def test_a_reader_that_goes_is_an_error(cli):
    p = cli.popen("save", IMAGE)
    p.stdout.close()
    assert p.wait(30) == 1 and b"Broken pipe" in p.stderr.read()


def test_what_cannot_be_saved_leaves_the_old_file(cli, tmp_path):
    target = tmp_path / "a.tar"
    target.write_text("old")
    for args, message in [(["-o", target, "no/such:1"], "there is no image"),
                          (["-o", target, IMAGE, "no/such:1"], "there is no image"),
                          (["-o", tmp_path / "none/a.tar", IMAGE], "No such file or directory"),
                          (["-o", tmp_path, IMAGE], "Is a directory"),
                          (["-o", f"{tmp_path}/x/", IMAGE], "No such file or directory")]:
        r = cli("save", *args)
        assert r.returncode == 1 and message in r.err, r.err
    assert cli("save", "-o", target).returncode == 2
    assert cli("save", "--format", "rar", "-o", target, IMAGE).returncode == 2
    assert target.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.tar"]
    link = tmp_path / "link"
    link.symlink_to("a.tar")
    cli.ok("save", "-q", "-o", link, IMAGE)
    assert link.is_symlink() and "manifest.json" in members(target)


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_save_leaves_nothing(cli, python_image, tmp_path, signo):
    cli.ok("load", "-q", "-i", python_image, "-t", PYTHON)
    p = cli.popen("save", "-q", "-o", tmp_path / "a.tar", PYTHON)

    def is_writing():
        with open(f"/proc/{p.pid}/io") as f:
            return int(f.read().split("write_bytes: ")[1].split()[0]) > 0 or p.poll() is not None
    wait_until(is_writing, 20, "it wrote nothing")
    p.send_signal(signo)
    assert p.wait(30) != 0
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_store_is_not_saved(cli, build_dir, busybox_image, tmp_path):
    c = Cli(build_dir, tmp_path / "damaged")
    c.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    data, = (c.home / "store/layers").glob("*/*/data")
    with open(data, "r+b") as f:
        f.seek(4096 * 9)
        f.write(b"\xff\x00\xff")
    for form in FORMATS:
        r = c("save", "--format", form, "-o", tmp_path / "a.tar", IMAGE)
        assert r.returncode == 1 and "in the store is damaged" in r.err and "pull --force" in r.err
    assert not (tmp_path / "a.tar").exists()


def forge(files, form, change):
    """The archive with another original manifest; @change makes it of the one that is there."""
    key = "dev.microsandbox.manifest" if form == "oci" else "MicrosandboxManifest"
    index = "index.json" if form == "oci" else "manifest.json"
    doc = json.loads(files[index])
    where = doc["manifests"][0]["annotations"] if form == "oci" else doc[0]
    name = "blobs/sha256/" + where[key][7:]
    new = change(files[name])
    if new is None:
        del files[name]
    else:
        where[key] = "sha256:" + sha(new)
        files["blobs/sha256/" + sha(new)] = new
    files[index] = json.dumps(doc).encode()
    return files


@pytest.mark.parametrize("form", FORMATS)
def test_an_id_cannot_be_claimed_for_other_content(cli, other, tmp_path, form):
    cli.ok("save", "-q", "--format", form, "-o", tmp_path / "a.tar", IMAGE)
    good = members(tmp_path / "a.tar")

    def other_config(data):
        m = json.loads(data)
        m["config"]["digest"] = "sha256:" + "1" * 64
        return json.dumps(m).encode()

    def more_layers(data):
        m = json.loads(data)
        m["layers"] *= 2
        return json.dumps(m).encode()

    bad = [(other_config, "another image's"), (more_layers, "another image's"), (lambda _: b"{}", "manifest"),
           (lambda _: b"no json", "manifest"), (lambda _: None, "blobs/sha256")]
    for change, message in bad:
        write(tmp_path / "bad.tar", forge(dict(good), form, change))
        r = other("load", "-q", "-i", tmp_path / "bad.tar")
        assert r.returncode == 1 and message in r.err, r.err
    flipped = dict(good)
    name = "blobs/sha256/" + inspect(cli, IMAGE)[0][7:]
    flipped[name] = flipped[name].replace(b"schemaVersion", b"schemaversion")
    write(tmp_path / "bad.tar", flipped)
    r = other("load", "-q", "-i", tmp_path / "bad.tar")
    assert r.returncode == 1 and "does not have its digest" in r.err, r.err
    text = json.loads(good["index.json" if form == "oci" else "manifest.json"])
    entry = text["manifests"][0]["annotations"] if form == "oci" else text[0]
    entry["dev.microsandbox.manifest" if form == "oci" else "MicrosandboxManifest"] = "sha256:../../x"
    write(tmp_path / "bad.tar", dict(good, **{"index.json" if form == "oci" else "manifest.json": json.dumps(text).encode()}))
    r = other("load", "-q", "-i", tmp_path / "bad.tar")
    assert r.returncode == 1 and "not a sha256 digest" in r.err, r.err
    assert images(other) == {}


def test_saving_while_another_prunes(cli, tmp_path, busybox_image, build_dir):
    """Whole or an error, and then no file."""
    c = Cli(build_dir, tmp_path / "home")
    for i in range(3):
        c.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
        target = tmp_path / f"{i}.tar"
        p = c.popen("save", "-q", "-o", target, IMAGE)
        time.sleep(0.01 * i)
        c.ok("image", "prune", "-q", "--all", "--yes")
        assert (p.wait(30) == 0) == target.exists()
        if target.exists():
            assert "manifest.json" in members(target)


def test_umask_decides_who_reads_it(cli, tmp_path):
    old = os.umask(0o077)
    try:
        cli.ok("save", "-q", "-o", tmp_path / "a.tar", IMAGE)
    finally:
        os.umask(old)
    assert (tmp_path / "a.tar").stat().st_mode & 0o777 == 0o600
