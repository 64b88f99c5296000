"""Print one JSON line for every file below ROOT, for comparing two trees.

    listing.py ROOT [--no-data]

Stays on ROOT's file system. Runs in the guest and on the host.
"""
import hashlib
import json
import os
import stat
import sys

root = sys.argv[1]
with_data = "--no-data" not in sys.argv
device = os.lstat(root).st_dev
links = {}


def sha256(path):
    h = hashlib.sha256()
    with open(path, "rb", buffering=0) as f:
        while chunk := f.read(1 << 20):
            h.update(chunk)
    return h.hexdigest()


def describe(path, name, st):
    row = {"name": name, "mode": st.st_mode, "uid": st.st_uid, "gid": st.st_gid}
    if not stat.S_ISDIR(st.st_mode):
        row["nlink"] = st.st_nlink
    row["mtime"] = st.st_mtime_ns
    row["xattrs"] = {k: os.getxattr(path, k, follow_symlinks=False).hex()
                     for k in sorted(os.listxattr(path, follow_symlinks=False))}
    if stat.S_ISLNK(st.st_mode):
        row["target"] = os.fsdecode(os.readlink(path))
    if stat.S_ISREG(st.st_mode):
        row["size"] = st.st_size
        if with_data:
            row["sha256"] = sha256(path)
        if st.st_nlink > 1:
            links.setdefault(st.st_ino, []).append(name)
    if stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
        row["device"] = [os.major(st.st_rdev), os.minor(st.st_rdev)]
    return row


todo = [("", os.lstat(root))]
while todo:
    name, st = todo.pop()
    path = os.fsencode(root) + b"/" + os.fsencode(name)
    print(json.dumps(describe(path, name, st)))
    if stat.S_ISDIR(st.st_mode):
        for entry in sorted(os.listdir(path)):
            child = os.fsdecode(entry)
            child_st = os.lstat(path + b"/" + entry)
            if child_st.st_dev == device:
                todo.append((name + "/" + child if name else child, child_st))
print(json.dumps({"links": sorted(sorted(v) for v in links.values())}))
