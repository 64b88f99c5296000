"""Links that appear between the look at a path of the host and its opening: by then a guest may have put one there."""
import io
import json
import os
import shutil
import subprocess
import tarfile

import pytest


@pytest.fixture
def slow_image(serve, image):
    """An image that is read when the test writes it: by then the paths of a call were looked at."""
    pipe = serve.work / "image.tar"
    os.mkfifo(pipe)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        tar.add(image, arcname=".")
    return lambda between: slowly(pipe, made.getvalue(), between)


def slowly(pipe, data, between):
    with open(pipe, "wb") as f:  # waits for who reads
        between()
        f.write(data)


LINK = "a part of its path is a symbolic link"


def test_a_folder_swapped_behind_the_look_is_not_opened(serve, slow_image, outside):
    """Between the look at a path and its opening, a part of it becomes a link."""
    (outside / "m").mkdir()
    (outside / "m" / "secret").write_text("secret")
    for name in outside / "secret", outside / "m" / "secret":
        with open(name, "r+b") as f:
            f.truncate(1 << 20)
    deep, aside = serve.work / "deep", serve.work / "aside"
    server = serve()
    for more, swapped in (({"mounts": [{"hostPath": "deep", "guestPath": "/m"}]}, deep),
                          ({"mounts": [{"hostPath": "deep/m", "guestPath": "/m"}]}, deep),
                          ({"mounts": [{"hostPath": "deep/m/secret", "guestPath": "/m", "kind": "disk",
                                        "format": "raw"}]}, deep / "m"),
                          ({"patches": [{"kind": "copy_dir", "path": "/m", "hostPath": "deep/m"}]}, deep),
                          ({"patches": [{"kind": "copy_file", "path": "/m", "hostPath": "deep/m/secret"}]}, deep / "m")):
        (deep / "m").mkdir(parents=True)
        with open(deep / "m" / "secret", "wb") as f:
            f.truncate(1 << 20)

        def swap():
            swapped.rename(aside)
            swapped.symlink_to(outside if swapped == deep else outside / "m")

        call = server.start_call("sandbox_create", name="s", image="./image.tar", memoryMib=64, **more)
        slow_image(swap)
        error = server.result(call)["_meta"]["microsandbox/error"]
        assert error["code"] == "invalid" and LINK in error["message"], (more, error)
        assert str(deep) in error["message"] and str(outside) not in json.dumps(error), error
        assert server.call("sandbox_list") == {"sandboxes": []}
        swapped.unlink()
        shutil.rmtree(aside)
        shutil.rmtree(deep, ignore_errors=True)


def msb(build_dir, env, *args):
    return subprocess.run([build_dir / "msb", *args], env=env, capture_output=True, text=True, timeout=120)


def test_no_later_start_follows_a_link(serve, image, build_dir, mcp_env):
    """What an agent mounts has no link in it at any start, whoever starts it, also none within what is allowed."""
    server = serve("--allow-path", ".", "--allow-path", os.path.dirname(image))
    deep, other = serve.work / "deep", serve.work / "other"
    for folder in deep, other:
        (folder / "m").mkdir(parents=True)
    server.call("sandbox_create", name="s", image=image, memoryMib=64,
                mounts=[{"hostPath": "deep/m", "guestPath": "/m"}])
    server.call("sandbox_stop", name="s", force=True)
    r = msb(build_dir, mcp_env, "create", "-q", "-n", "p", "-m", "64M", "-v", f"{deep}/m:/m", image)
    assert r.returncode == 0, r.stderr
    msb(build_dir, mcp_env, "stop", "-t", "0", "p")
    shutil.rmtree(deep)
    deep.symlink_to(other)
    r = msb(build_dir, mcp_env, "start", "s")
    assert r.returncode != 0 and LINK in r.stderr and f"{deep}/m" in r.stderr, r.stderr
    for name in "s", "p":  # p is a person's, who may have meant the link
        error = server.failed("sandbox_start", name=name)
        assert error["code"] == "invalid" and LINK in error["message"], (name, error)
    r = msb(build_dir, mcp_env, "start", "p")
    assert r.returncode == 0, r.stderr
    msb(build_dir, mcp_env, "stop", "-t", "0", "p")


def test_no_later_start_follows_a_link_to_a_root(serve, build_dir, mcp_env, tmp_path):
    """The same of a disk image that is the root."""
    if not shutil.which("mke2fs"):
        pytest.skip("mke2fs is not installed")
    tree, deep, other = tmp_path / "tree", serve.work / "deep", serve.work / "other"
    for folder in "bin", "dev", "proc", "sys", "tmp", "etc", "run", "root":
        (tree / folder).mkdir(parents=True)
    shutil.copy("/bin/busybox", tree / "bin/busybox")
    (tree / "bin/sh").symlink_to("busybox")
    for folder in deep, other:
        folder.mkdir()
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, deep / "root.raw", "32M"], check=True,
                   capture_output=True)
    server = serve()
    server.call("sandbox_create", name="s", image="./deep/root.raw", memoryMib=64)
    server.call("sandbox_stop", name="s", force=True)
    assert server.call("sandbox_inspect", name="s")["config"]["image"] == str(deep / "root.raw")
    server.call("sandbox_start", name="s")
    server.call("sandbox_stop", name="s", force=True)
    (deep / "root.raw").rename(other / "root.raw")
    deep.rmdir()
    deep.symlink_to(other)
    r = msb(build_dir, mcp_env, "start", "s")
    assert r.returncode != 0 and LINK in r.stderr and str(deep / "root.raw") in r.stderr, r.stderr
    error = server.failed("sandbox_start", name="s")
    assert error["code"] == "invalid" and LINK in error["message"], error
