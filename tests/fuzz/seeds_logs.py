#!/usr/bin/python3
"""Seeds of fuzz_logs: records with right sums, heads of pairs, cut and mixed up."""
import pathlib
import struct
import sys

MASK = (1 << 64) - 1
PRIME = 0x9E3779B97F4A7C15


def mix(h, word):
    h = ((h ^ word) * PRIME) & MASK
    return h ^ (h >> 29)


def words(data):
    return struct.unpack(f"<{len(data) // 8}Q", data)


def checksum(header, data):
    lanes = [1, 2, 3, 4]
    whole = len(data) // 32 * 32
    for i in range(0, whole, 32):
        lanes = [mix(lane, w) for lane, w in zip(lanes, words(data[i:i + 32]))]
    h = len(data)
    for lane, w in zip(lanes, words(data[whole:].ljust(32, b"\0"))):
        h = mix(mix(h, lane), w)
    for w in words(header[:24]):
        h = mix(h, w)
    return mix(h, struct.unpack("<I", header[24:28])[0]) >> 32


def record(source, session, data=b"", ms=1700000000000):
    header = b"RLG1" + struct.pack("<IQQI", len(data), ms, session, source)
    return header + struct.pack("<I", checksum(header, data)) + data


def seeds():
    one, two = record(1, 7, b"hello\n"), record(2, 7, b"x" * 100)
    pair = [record(0, n) + record(8, 0, b"boot %d\n" % n) for n in (4, 5)]
    yield "append", 0, len(one), one + two + one
    yield "torn", 2, 40, one[:35] + two + one
    yield "pair", 0, len(pair[0]), pair[0] + pair[1]
    yield "pair_turned", 0, len(pair[1]), pair[1] + pair[0]
    yield "pair_same", 2, len(pair[0]), pair[0] + pair[0]
    yield "garbage", 2, 30, b"RLG1" * 40 + one + b"R" * 50
    yield "inner", 2, 10, record(1, 1, one + two)[:-3] + two
    yield "written", 1, 5, bytes([5, 1]) + b"abcde" + bytes([3, 9]) + b"xyz" + one


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                          pathlib.Path(__file__).parent / "corpus" / "logs")
    folder.mkdir(parents=True, exist_ok=True)
    for name, mode, cut, data in seeds():
        (folder / name).write_bytes(struct.pack("<BH", mode, cut) + data)
