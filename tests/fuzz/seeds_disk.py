#!/usr/bin/python3
"""Seeds of fuzz_qcow2: small files of every kind that qemu-img makes."""
import pathlib
import subprocess
import tempfile

OUT = pathlib.Path(__file__).parent / "corpus" / "qcow2"
KINDS = {
    "v2": (["-o", "compat=0.10,cluster_size=512"], b"\0\1"),
    "v3": (["-o", "compat=1.1,cluster_size=512"], b"\0\2"),
    "counts1": (["-o", "compat=1.1,cluster_size=512,refcount_bits=1"], b"\0\3"),
    "counts64": (["-o", "compat=1.1,cluster_size=512,refcount_bits=64"], b"\0\4"),
    "read_only": (["-o", "compat=1.1,cluster_size=512"], b"\1\5"),
    "zlib": (["-c", "-o", "compat=1.1,cluster_size=4k"], b"\0\6"),
    "zstd": (["-c", "-o", "compat=1.1,cluster_size=4k,compression_type=zstd"], b"\0\7"),
    "lazy": (["-o", "compat=1.1,cluster_size=1k,lazy_refcounts=on"], b"\0\10"),
}


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as d:
        raw, out = pathlib.Path(d, "raw"), pathlib.Path(d, "out")
        raw.write_bytes(b"abcdefgh" * 256 + bytes(4096) + b"x" * 2048 + bytes(40960))
        for name, (options, mode) in KINDS.items():
            subprocess.run(["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", *options, raw, out], check=True)
            (OUT / name).write_bytes(mode + out.read_bytes())
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=512", "-b", raw, "-F", "raw", out],
                       check=True)
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 9 1024 2048", "-c", "write -z 8192 4096", out],
                       check=True, stdout=subprocess.DEVNULL)
        (OUT / "chain").write_bytes(b"\0\11" + out.read_bytes())


main()
