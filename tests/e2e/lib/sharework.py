"""Programs that count on a file system, to be run in a guest on a folder of a share: each a script for bash, which sees
$D (an empty folder of its own, on the share) and $E (one on ext4). A script that ends well has found nothing wrong."""
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[3]
# What a share cannot hold, each with its reason in docs/shares.md; passed to fscompare -x.
NOT_COMPARED = "acl,trust,shift,linkowner"

FIO = """
cd $D; fio --name=v --directory=. --size={size} --bs=512-64k --bsrange=512-64k --ioengine={engine} --rw=randrw \
    --verify=crc32c --verify_fatal=1 --do_verify=1 --randrepeat=0 --fallocate={fallocate} {more} --output=$D/fio.log \
    || {{ tail -5 $D/fio.log; exit 1; }}
"""

DBENCH = "dbench -D $D -t {seconds} -c /usr/share/dbench/client.txt 4 | tail -3"

GIT = """
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'
cd $D; git clone -q {more} /opt/repo.git repo && cd repo
test -z "$(git status --short)"
echo more >>init/main.c; git mv mm memory; rm ipc/shm.c
git -c user.name=t -c user.email=t@t commit -qam change; git gc -q; git fsck --no-progress
git reset -q --hard HEAD~1; test -z "$(git status --short)"
"""

NPM = """
cp -r /opt/npm/app $D/app; cp -r /opt/npm/cache $D/cache; cd $D/app
npm ci --offline --no-audit --no-fund --cache $D/cache
node -e 'require("express"); if (require("lodash").chunk([1,2,3],2).length != 2) process.exit(1)'
node_modules/.bin/mocha --version
"""

# The same with little to do.
GIT_SMALL = """
cd $D; git init -q one; cp -r /usr/lib/python3.11/email /usr/lib/python3.11/json /usr/lib/python3.11/asyncio one
export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t
git -C one add .; git -C one commit -qm first
git clone -q one two; cd two; test -z "$(git status --short)"
echo more >>json/tool.py; git mv email mail; git commit -qam change; git gc -q; git fsck --no-progress
git reset -q --hard HEAD~1; test -z "$(git status --short)"; git -C ../one pull -q ../two
"""

PIP_SMALL = """
cd $D; python3 -m pip install -q --no-index --find-links /opt/wheels --target $D/lib --root-user-action ignore requests
PYTHONPATH=$D/lib python3 -c 'import requests; assert requests.__file__.startswith("/mnt")'
"""

PIP = """
cd $D; python3 -m venv env
env/bin/pip install -q --no-index --find-links /opt/wheels {packages}
env/bin/python -c 'import {modules}'
"""

SQLITE = """
cd $D; cat >w.py <<'P'
import sqlite3, sys
d = sqlite3.connect("db", timeout=60, isolation_level=None)
for i in range({rows}):
    d.execute("begin immediate")
    d.execute("insert into t select ?, ?, randomblob(300)", (sys.argv[1], i))
    d.execute("update c set n = n + 1")
    d.execute("commit")
P
sqlite3 db 'pragma journal_mode=wal; create table t (who, i, b); create table c (n); insert into c values (0)'
for i in 1 2 3; do python3 w.py $i & done; wait
test "$(sqlite3 db 'select count(*), (select n from c) from t')" = "$((3 * {rows}))|$((3 * {rows}))"
test "$(sqlite3 db 'pragma integrity_check')" = ok
"""

POSTGRES_UP = """
P=/usr/lib/postgresql/15/bin; chown postgres $D; cd $D; mkdir -p /tmp/pgs; chown postgres /tmp/pgs
pg() {{ runuser -u postgres -- "$@"; }}
pg $P/initdb -D $D/pg -A trust {initdb} >$D/log
pg $P/pg_ctl -D $D/pg -w -t 240 -o "-k /tmp/pgs -c listen_addresses={listen}" -l /tmp/pgs/log start
trap 'pg $P/pg_ctl -D $D/pg -m immediate stop' EXIT
"""

POSTGRES = POSTGRES_UP + """
export PGHOST=/tmp/pgs; cd /tmp
pg $P/pgbench -q -i -s {scale} postgres 2>&1 | tail -1
pg $P/pgbench -c 4 -T {seconds} postgres | grep -E 'processed|failed'
test "$(pg psql -Atc 'select sum(abalance) = (select sum(delta) from pgbench_history) from pgbench_accounts' postgres)" = t
pg $P/pg_ctl -D $D/pg -m immediate stop; pg $P/pg_ctl -D $D/pg -w -t 240 -o "-k /tmp/pgs" -l /tmp/pgs/log start
test "$(pg psql -Atc 'select sum(abalance) = (select sum(delta) from pgbench_history) from pgbench_accounts' postgres)" = t
pg psql -qc 'vacuum full' postgres
"""

REGRESS = POSTGRES_UP + """
cp -r /opt/regress $D/regress; mkdir $D/ts; chown -R postgres $D/regress $D/ts; cd $D/regress; ulimit -s 8192
pg ./pg_regress --host=/tmp/pgs --bindir=/usr/lib/postgresql/15/bin --dlpath=$D/regress --inputdir=. \
    --max-connections=4 {tests} >$D/out 2>&1 || {{ grep -a -E 'FAILED|of .* failed' $D/out || true
    tail -5 $D/out; head -c 3000 $D/regress/regression.diffs || true; exit 1; }}
tail -4 $D/out
"""

# tar by itself does not set the times of folders whose files are not next to each other in the archive, here 146.
TAR = """
cd $D; mkdir tree; s=$SECONDS; tar --delay-directory-restore -xf {archive} -C tree; sync
echo "tar x: $((SECONDS - s)) s"; echo 3 >/proc/sys/vm/drop_caches
s=$SECONDS; tar -df {archive} -C tree >differs 2>&1 || {{ echo "tar d: $(wc -l <differs)"; head -5 differs; exit 1; }}
echo "tar d: $((SECONDS - s)) s"; find tree | wc -l
"""

# Out of scope here: they need a kernel option, a device or a right that the guest has not, whatever the file system.
STRESSORS = """access chattr chdir chmod chown copy-file dentry dir dirdeep dirmany dnotify dup fallocate fanotify
fcntl fiemap file-ioctl filename flock fpunch fsize fstat getdent handle hdd inode-flags inotify io iomix ioprio lease link
locka lockf lockofd mknod open procfs rename symlink sync-file touch utime verity xattr""".split()

STRESS = """
mkdir -p $D; timeout -k 5 {timeout} stress-ng --{name} {workers} --timeout {seconds} --temp-path $D --verify --metrics-brief --no-rand-seed
"""


def fscompare(target):
    """Compiles the comparer."""
    subprocess.run(["gcc", "-std=gnu17", "-O2", "-static", "-o", target, ROOT / "tests/e2e/guest/fscompare.c"], check=True)


class Work:
    """Runs them in a guest: `guest(line)` gives (exit code, output); `share` and `ext4` are folders there."""

    def __init__(self, guest, share="/mnt", ext4="/ext"):
        self.guest, self.share, self.ext4, self.n = guest, share, ext4, 0

    def run(self, script, on=None, look=None):
        """(exit code, output) in fresh folders, which are removed afterwards; before that, `look` gets the name of the share's
        and gives (whether it is right, what to say)."""
        self.n += 1
        d, e = f"{on or self.share}/w{self.n}", f"{self.ext4}/w{self.n}"
        code, said = self.guest(f"export D={d} E={e}; mkdir {d}; mkdir -p {e}; (set -e -o pipefail\n{script}\n) 2>&1")
        if look and not code and not on:
            right, more = look(pathlib.Path(d).name)
            code, said = int(not right), said + more
        gone, why = self.guest(f"rm -rf {d} {e}")
        return code or gone, said + why

    def ok(self, script):
        code, said = self.run(script)
        assert code == 0, said[-3000:]
        return said
