"""Images end to end: a real registry, a real guest, umoci's tree to compare with."""
import gzip
import json
import os
import pathlib
import subprocess

import oci
import pytest

from conftest import need

LISTING = pathlib.Path(__file__).parent / "guest" / "listing.py"

# What differs on purpose: the guest's init makes sure that these exist, as
# docker does, and mounts on the folders. Their parent's mtime moves with it.
INIT_WRITES = {"etc/hosts", "etc/hostname", "etc/resolv.conf"}
MOUNTED_ON = {"proc", "sys", "dev", "run", "tmp"}
TIME_MOVES = {"", "etc"}

# Where umoci leaves the time of its own work: a folder that it removed a name
# from, and parents that no layer has an entry for (ours: 0).
UMOCIS_TIME = {"torture"} | {
    "torture/" + "/".join(["d" * 100] * n) for n in range(1, 8)}


def rows(text):
    files, links = {}, None
    for line in text.splitlines():
        row = json.loads(line)
        if "links" in row:
            links = row["links"]
        else:
            files[row.pop("name")] = row
    assert links is not None, "the listing is cut short"
    return files, links


def normal(files):
    """Without what differs on purpose, named above."""
    out = {}
    for name, row in files.items():
        top = name.split("/")[0]
        if name in INIT_WRITES or (top in MOUNTED_ON and top != "tmp"):
            continue
        row = dict(row)
        if name in TIME_MOVES | MOUNTED_ON | UMOCIS_TIME:
            row.pop("mtime")
        out[name] = row
    return out


@pytest.fixture(scope="module")
def umoci_tree(python_image, tmp_path_factory):
    need("umoci")
    if os.geteuid() != 0:
        pytest.skip("umoci keeps owners and devices only as root")
    bundle = tmp_path_factory.mktemp("umoci") / "bundle"
    subprocess.run(["umoci", "unpack", "--image", f"{python_image}:3.11",
                    bundle], check=True, capture_output=True)
    return bundle / "rootfs"


@pytest.fixture(scope="module")
def host_listing(umoci_tree):
    return subprocess.run(["/usr/bin/python3", LISTING, umoci_tree], check=True,
                          stdout=subprocess.PIPE, text=True).stdout


def test_hello_from_python(python_msb, python_ref):
    out = python_msb.ok("run", python_ref, "--", "python3", "-c",
                        "print('Hello from a microVM')")
    assert out == "Hello from a microVM\n"


def test_the_guests_tree_is_umocis_tree(python_msb, python_ref, host_listing):
    """Mode, owner, size, SHA-256, times, links, xattrs, devices: no difference."""
    guest = python_msb.ok("run", "-m", "1G", python_ref, "--", "python3", "-B", "-",
                          "/", input=LISTING.read_bytes(), timeout=600)
    files, links = rows(guest)
    want_files, want_links = rows(host_listing)
    files, want_files = normal(files), normal(want_files)
    assert len(want_files) > 5000
    assert sorted(set(want_files) - set(files)) == []
    assert sorted(set(files) - set(want_files)) == []
    different = {n: (files[n], want_files[n]) for n in files
                 if files[n] != want_files[n]}
    assert different == {}, "\n".join(f"{n}: {d}" for n, d in different.items())
    assert links == want_links


def zstd_layout(source, out):
    """The same image with its layers compressed by zstd."""
    layout = oci.Layout(out)
    index = json.loads((source / "index.json").read_text())

    def blob(entry):
        return (source / "blobs" / entry["digest"].replace(":", "/")).read_bytes()
    manifest = json.loads(blob(index["manifests"][0]))
    for i, entry in enumerate(manifest["layers"]):
        packed = subprocess.run(["zstd", "-q", "-3", "-c"], check=True,
                                input=gzip.decompress(blob(entry)),
                                stdout=subprocess.PIPE).stdout
        manifest["layers"][i] = layout.add(
            packed, oci.OCI + "layer.v1.tar+zstd")
    layout.add(blob(manifest["config"]), manifest["config"]["mediaType"])
    entry = layout.add(oci.as_json(manifest), oci.OCI + "manifest.v1+json")
    entry["annotations"] = {"org.opencontainers.image.ref.name": "zstd"}
    layout.manifests.append(entry)
    return layout.finish()


def chains(cli):
    return sorted(p.name for p in (cli.home / "store/chains").glob("*/*"))


def test_zstd_layers_give_the_same_image(msb, registry, python_image, python_msb,
                                         python_ref, tmp_path):
    need("zstd")
    layout = zstd_layout(python_image, tmp_path / "zstd")
    ref = registry.push(layout, "zstd", "python:zstd")
    msb.ok("pull", "-q", ref)
    info = json.loads(msb.ok("image", "inspect", "--format", "json", ref))
    gzipped = json.loads(python_msb.ok("image", "inspect", "--format", "json",
                                       python_ref))
    assert info["digest"] != gzipped["digest"]
    assert chains(msb) == chains(python_msb)


def test_layers_are_shared_between_images(msb, registry, python_image,
                                          python_ref):
    other = registry.push(python_image, "3.11", "again/python:x")
    msb.ok("pull", "-q", python_ref)
    before = sorted((msb.home / "store/layers").glob("*/*"))
    r = msb("pull", other)
    assert r.returncode == 0, r.err
    assert sorted((msb.home / "store/layers").glob("*/*")) == before
    assert len(before) == 4


def test_fsck_finds_nothing_in_our_erofs(python_msb, python_ref, tmp_path):
    need("fsck.erofs")
    store = python_msb.home / "store"
    for chain in (store / "chains").glob("*/*"):
        info = json.loads((chain / "chain.json").read_text())
        disk = tmp_path / "disk"
        with open(disk, "wb") as out:
            out.write((chain / "fsmeta").read_bytes())
            for layer in info["layers"]:
                hexa = layer["diff_id"].removeprefix("sha256:")
                data = store / "layers" / hexa[:2] / hexa / "data"
                out.write(data.read_bytes())
        r = subprocess.run(["fsck.erofs", disk], capture_output=True, text=True)
        assert r.returncode == 0, r.stdout + r.stderr
        disk.unlink()
