#!/usr/bin/python3
"""Write the machine's initramfs: a "newc" cpio archive, the same bytes for the same agent.

    mkinitramfs.py AGENT OUTPUT

Nothing but the agent as /init, the console's node (a device number in the archive needs no root here), and the empty
folders that src/guest/mount.c names. Uncompressed: the kernel copies it faster than it would unpack it.
"""
import os
import stat
import sys

FOLDERS = ("dev", "sys", "lower", "upper", "root")
LIMIT = 1 << 20


def pad4(data):
    return data + b"\0" * (-len(data) % 4)


def entry(inode, name, mode, data=b"", device=(0, 0)):
    path = name.encode() + b"\0"
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
    header = b"070701" + b"".join(b"%08X" % f for f in fields)
    return pad4(header + path) + pad4(data)


def build(agent):
    items = [(name, stat.S_IFDIR | 0o755) for name in FOLDERS]
    items += [("dev/console", stat.S_IFCHR | 0o600, b"", (5, 1)), ("init", stat.S_IFREG | 0o755, agent)]
    out = b"".join(entry(i, *item) for i, item in enumerate(items, 1))
    out += entry(0, "TRAILER!!!", 0)
    return out + b"\0" * (-len(out) % 512)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as f:
        data = build(f.read())
    if len(data) > LIMIT:
        sys.exit(f"mkinitramfs: {len(data)} bytes, the limit is {LIMIT}")
    temporary = sys.argv[2] + ".tmp"
    with open(temporary, "wb") as f:
        f.write(data)
    os.replace(temporary, sys.argv[2])


if __name__ == "__main__":
    main()
