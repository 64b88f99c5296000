#!/usr/bin/python3
"""Write the seeds of the targets ref, manifest, challenge and tar_index."""
import io
import json
import os
import tarfile

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
D = "sha256:" + "0123456789abcdef" * 4
OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."


def put(target, name, data):
    os.makedirs(os.path.join(TOP, target), exist_ok=True)
    with open(os.path.join(TOP, target, name), "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())


for i, ref in enumerate([
        "busybox", "a/b:1.2", "h.x:5000/a/b_c/d--e:T_1.-", "localhost/x",
        "[::1]:5000/x:t", "x@" + D, "GHCR.io/a:b@" + D, "a__b/c.d:_x",
        "-rf", "../../x", "user@host/x", "h:99999/x"]):
    put("ref", f"{i:02}", ref)

conf = {"mediaType": OCI + "config.v1+json", "digest": D, "size": 10}
layer = {"mediaType": OCI + "layer.v1.tar+gzip", "digest": D, "size": 9}
docker_layer = {"mediaType": DOCKER + "image.rootfs.diff.tar.gzip",
                "digest": D, "size": 9}
entry = {"mediaType": OCI + "manifest.v1+json", "digest": D, "size": 5,
         "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"},
         "annotations": {"org.opencontainers.image.ref.name": "v1"}}
nested = {"mediaType": OCI + "index.v1+json", "digest": D, "size": 5}
put("manifest", "oci", json.dumps(
    {"schemaVersion": 2, "config": conf, "layers": [layer, layer]}))
put("manifest", "docker", json.dumps(
    {"schemaVersion": 2,
     "mediaType": DOCKER + "distribution.manifest.v2+json",
     "config": dict(conf, mediaType=DOCKER + "container.image.v1+json"),
     "layers": [docker_layer]}))
put("manifest", "index", json.dumps(
    {"schemaVersion": 2, "manifests": [entry, nested]}))
put("manifest", "config", "\x02" + json.dumps(
    {"os": "linux", "architecture": "amd64", "created": "2024-01-02T03:04:05Z",
     "config": {"Cmd": ["a"], "Env": ["A=1"], "User": "u", "WorkingDir": "/"},
     "rootfs": {"type": "layers", "diff_ids": [D, D]}}))

for i, text in enumerate([
        'Bearer realm="https://a/t",service="s",scope="repository:x:pull"\n',
        'Basic realm="x"\nBearer realm = y , error="a\\"b"\n',
        'Negotiate abc, Basic\n', '{"token":"t","expires_in":60}',
        '{"access_token":"t"}']):
    put("challenge", str(i), text)

for name, form in ("pax", tarfile.PAX_FORMAT), ("gnu", tarfile.GNU_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for path, kind, link in (("manifest.json", tarfile.REGTYPE, ""),
                                 ("n" * 120 + "/layer.tar", tarfile.REGTYPE, ""),
                                 ("a/l", tarfile.SYMTYPE, "../manifest.json"),
                                 ("h", tarfile.LNKTYPE, "a/l"),
                                 ("loop", tarfile.SYMTYPE, "loop")):
            info = tarfile.TarInfo(path)
            info.type, info.linkname = kind, link
            info.size = 3 if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(b"abc"))
    put("tar_index", name, out.getvalue()[:6656])
