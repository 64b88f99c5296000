"""Write OCI layouts: what the test images and the demo image are made of."""
import gzip
import hashlib
import json
import os

OCI = "application/vnd.oci.image."


def as_json(value):
    return json.dumps(value, sort_keys=True).encode()


class Layout:
    """An OCI image layout folder that images are added to."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.blobs = os.path.join(self.folder, "blobs", "sha256")
        os.makedirs(self.blobs, exist_ok=True)
        self.manifests = []

    def add(self, data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(self.blobs, digest), "wb") as f:
            f.write(data)
        return {"mediaType": media_type, "digest": "sha256:" + digest,
                "size": len(data)}

    def image(self, name, tars, config=None, compress=True, **override):
        """Add an image of uncompressed layers (bytes); gives its manifest."""
        layers, diff_ids = [], []
        for tar in tars:
            blob = gzip.compress(tar, 6, mtime=0) if compress else tar
            layers.append(self.add(blob, OCI + "layer.v1.tar" +
                                   ("+gzip" if compress else "")))
            diff_ids.append("sha256:" + hashlib.sha256(tar).hexdigest())
        body = {"architecture": "amd64", "os": "linux",
                "created": "1970-01-01T00:00:00Z", "config": config or {},
                "rootfs": {"type": "layers",
                           "diff_ids": override.get("diff_ids", diff_ids)}}
        manifest = {"schemaVersion": 2,
                    "mediaType": OCI + "manifest.v1+json",
                    "config": self.add(as_json(body), OCI + "config.v1+json"),
                    "layers": override.get("layers", layers)}
        entry = self.add(as_json(manifest), OCI + "manifest.v1+json")
        entry["annotations"] = {"org.opencontainers.image.ref.name": name}
        entry["platform"] = {"architecture": "amd64", "os": "linux"}
        self.manifests.append(entry)
        return manifest

    def finish(self):
        for path, data in (("oci-layout", {"imageLayoutVersion": "1.0.0"}),
                           ("index.json", {
                               "schemaVersion": 2,
                               "mediaType": OCI + "index.v1+json",
                               "manifests": self.manifests})):
            with open(os.path.join(self.folder, path), "wb") as f:
                f.write(as_json(data))
        return self.folder
