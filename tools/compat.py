#!/usr/bin/python3
"""Write docs/compat.md: every command and option of the Rust msb 0.6.18, and what is here.

    tools/compat.py BUILD/msb           write it
    tools/compat.py BUILD/msb --check   fail when it is not what would be written

The peer's names are in docs/peer-0.6.18.txt, ours come from `msb --tree`. What is there under the same name counts as
the same unless DIFFERENT says how it is not; what is missing must be in LATER or NEVER, or this program fails.
"""
import fnmatch
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[1]
PEER = TOP / "docs" / "peer-0.6.18.txt"
PAGE = TOP / "docs" / "compat.md"

# "COMMAND --option", "COMMAND" or "* --option"; the first that matches.
LATER = [
    ("ssh*", "`msb exec -it`, `msb shell` and `msb cp` reach a sandbox without a server in it"),
    ("registry*", "the logins of docker, podman and skopeo are used"),
]
NEVER = [
    ("image pull --materialize", "nothing is flattened: layers are blocks that all images share"),
    ("pull --materialize", "nothing is flattened: layers are blocks that all images share"),
    ("context*", "there is one backend, this host"),
    ("snapshot reindex", "there is no index: the folders of MSB_HOME/snapshots are the record"),
    ("snapshot create --dest-dir", "all are in MSB_HOME/snapshots, where what they share is; `snapshot save` writes them elsewhere"),
    ("snapshot create --resumable", "refused: memory snapshots are not there yet"),
    ("*update*", "packages are updated by what installed them"),
    ("*downgrade*", "packages are changed by what installed them; state.db of a newer schema is refused, not damaged"),
    ("* --max-cpus", "no hot-plug: `modify --cpus` counts from the next start"),
    ("* --max-memory", "no hot-plug: memory is given to a guest as it touches it and taken back as it frees it"),
    ("* --cpu-placement", "the host's scheduler places; taskset and cgroups narrow it"),
    ("* --placement-profile", "the host's scheduler places; taskset and cgroups narrow it"),
    ("* --thp", "the guest's kernel is built with madvise, the default there"),
    ("* --deployment-profile", "the jail around every machine is always the strict one"),
    ("* --security", "no issue plans it yet; the machine is the boundary"),
    ("* --log-level", "the global --error ... --trace do this"),
    ("modify --root-disk", "here as --root-disk"),
]
DIFFERENT = {
    "run": "a pipe or file on standard input is passed on, output streams; death by signal N is exit code 128+N (there 255); "
           "an existing name is an error (there it is used again); what msb itself cannot do is 125",
    "run --detach-keys": "the command goes on and so does its machine; `msb attach` takes it back (there neither)",
    "run --max-duration": "ends with a clean shutdown (there without a flush)",
    "create --max-duration": "ends with a clean shutdown (there without a flush)",
    "* --root-disk": "SIZE or tmpfs[:SIZE]; image and upper are always apart (no `flat:`), and a disk of your own is the root itself "
                   "(IMAGE is its path) or a mount (`--mount-disk`)",
    "* --init": "auto looks for an init in the file system; the image's ENTRYPOINT is not asked (there it is, first)",
    "exec": "a sandbox that does not run is an error with a hint (there it is started for the command and stopped again); "
            "output streams without --stream",
    "exec --stream": "accepted; it is always so",
    "copy": "a sandbox that does not run is an error with a hint; also - for tar streams, --archive, --follow-link",
    "logs": "a terminal gets no control sequences of the guest but colours; --raw gives the bytes",
    "logs --source": "what the kernel said is `console` (or `kernel`), `system` is marks of the life cycle",
    "logs --grep": "an extended POSIX expression; with --tail the last lines of those that match",
    "logs --json": "`id` is text: a random number of 63 bits, which JSON readers would round",
    "snapshot load": "DEST is a name; `-` is standard input",
    "snapshot remove": "children keep what they need, so none is refused; --force: fine when it is not there",
    "snapshot save": "what it has of its parents is always in it, --with-parents only says so",
    "doctor": "also the jail, QEMU, and whether KVM is real",
    "status": "in JSON `command` is an array, and `thp` is not there",
    "inspect": "also how it ended, its processes and its walls; in JSON `pending_changes` without `active_config`",
    "ping": "says how long the answer took",
    "* --volume": "as --mount-dir; a file of the host is seen as one; a bare word that is no volume's name is an error",
    "* --mount-dir": "no quota unless one is given (there 4 GiB); `stat-virt` is always strict, `host-perms` always mirror; "
                     "also `cache=`; a ':' of a path is written `\\:`",
    "* --mount-file": "as --mount-dir",
    "* --mount-named": "`quota=` and `size=` both are the volume's, dir or disk; also `cache=`",
    "* --mount-disk": "raw and qcow2 (no vmdk); a format that is not said is told by the name's end and kept for good",
    "* --tmpfs": "also `mode=`, `size=`",
    "volume create --size": "of a dir, too: a quota (there of disks only)",
    "volume list": "also what is used and whether a machine has it mounted",
    "volume inspect": "also --format json, what is used, and by which sandboxes",
    "volume remove": "one that a sandbox on record mounts needs --force (there not)",
    "* --port": "also /tcp; HOST 0 picks one that is free, `ps` shows it; a port that is taken is an error before the start (there later)",
    "* --net-rule": "groups are the same, but `host` is every address that this host has (there the gateway's alone), and more metadata "
                    "addresses count as meta",
    "* --dns-nameserver": "an address (there a name, too)",
    "* --net-ipv4-pool": "private addresses only",
    "* --net-ipv6-pool": "private addresses only",
    "* --net-egress-bandwidth-burst": "so much at once at any time (there once, at the start)",
    "* --net-egress-ops-burst": "so many at once at any time (there once, at the start)",
    "* --net-ingress-bandwidth-burst": "so much at once at any time (there once, at the start)",
    "* --net-ingress-ops-burst": "so many at once at any time (there once, at the start)",
    "* --max-connections": "4096 unless said, 10000 at most (there 256 and 4096)",
    "* --proxy": "also http:// (CONNECT)",
    "* --secret": "also OPTIONS, as header, query, body, mask, placeholder=, violation=, from= (there in 0.7 alone); the placeholder is "
                  "MSB_ and 32 random digits (there $MSB_ENV); `*.` of a public suffix is refused; only TLS to a verified server gets a value",
    "modify --secret": "also adds one to a sandbox that runs with secrets, and ENV without hosts only gives a new value",
    "* --secret-conf": "a value cannot stand in the file: `value` is \"${VARIABLE}\", read at each start (there also the value itself); also "
                       "body, mask, placeholder, on_violation; require_tls_identity is always true",
    "* --on-secret-violation": "also as --secret-violation-action; inside TLS it is seen towards hosts of secrets, with --tls-intercept "
                               "towards all (there always all)",
    "* --tls-intercept": "HTTP/2, too (there no ALPN); hosts of secrets alone without it; the authority is made at each start (there one for all)",
    "* --tls-bypass": "*.NAME is NAME, too",
    "* --no-block-quic": "QUIC is refused at once with ICMP (there dropped)",
    "install": "launchers go to ~/.local/bin (there ~/.microsandbox/bin)",
}


def peer_rows():
    for line in PEER.read_text().splitlines():
        if line and not line.startswith("#"):
            command, what = line.split("\t")
            yield command, what


def our_tree(msb):
    """{command: (aliases, {option: letter})}"""
    found, stack = {"": ([], {})}, []
    for line in subprocess.run([msb, "--tree"], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines():
        m = re.match(r"((?:│   |    )*)(?:├── |└── )(.*)", line)
        if not m:
            continue
        depth, body = len(m[1]) // 4, re.split(r"\s{2,}", m[2])[0]
        del stack[depth:]
        option = re.match(r"(?:-(\w), )?\s*--([\w-]+)", body)
        if option:
            found[" ".join(stack)][1]["--" + option[2]] = option[1]
            stack.append("-")
            continue
        aliases = re.search(r"\(([^)]*)\)", body)
        stack.append(body.split(" ")[0])
        found[" ".join(stack)] = (re.split(r"[ ,]+", aliases[1]) if aliases else [], {})
    return found


def look_up(table, command, option):
    """The first row of a list of patterns that names this command or option."""
    key = f"{command} {option}".strip()
    for pattern, what in table:
        if pattern.startswith("* "):
            if option and fnmatch.fnmatchcase(option, pattern[2:]):
                return what
        elif fnmatch.fnmatchcase(key, pattern) or fnmatch.fnmatchcase(command, pattern):
            return what
    return None


def difference(command, option):
    for key in (f"{command} {option or ''}".strip(), f"* {option}"):
        if key in DIFFERENT:
            return DIFFERENT[key]
    return None


def verdict(ours, command, option, letter):
    there = command in ours and (not option or option in ours[command][1])
    if there:
        other = difference(command, option)
        if other:
            return f"different: {other}"
        here = option and ours[command][1][option]
        if letter and here != letter:
            return f"different: -{letter} there, {'-' + here if here else 'no letter'} here"
        return "same"
    instead = look_up(LATER, command, option)
    if instead:
        return "not yet" if option else f"not yet: {instead}"
    why = look_up(NEVER, command, option)
    if why:
        return f"no: {why}"
    raise SystemExit(f"compat: msb {command} {option or ''} is not here and tools/compat.py does not say why")


def main():
    msb, check = sys.argv[1], "--check" in sys.argv
    ours, peers, lines, counts = our_tree(msb), {}, [], {}
    for command, what in peer_rows():
        option, letter = None, None
        if what.startswith("--"):
            option, *rest = what.split(" -")
            letter = rest[0] if rest else None
        peers.setdefault(command, set()).add(option)
        said = verdict(ours, command, option, letter)
        kind = said.split(":")[0].split(" (")[0]
        counts[kind] = counts.get(kind, 0) + 1
        name = f"`{option}`" + (f" `-{letter}`" if letter else "") if option else f"**msb {command}**".replace("msb **", "msb**")
        lines.append((command, f"| {name} | {said} |"))
    page = ["# What is the same as in the Rust msb 0.6.18", "",
            "Every command and option of its `--tree`, and what is here. Written by `tools/compat.py`; a test keeps it true.",
            "A name alone says that it is there and means the same.", "",
            "In sum: " + ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items(), key=lambda x: -x[1])) + ".", ""]
    last = None
    for command, row in lines:
        if command != last:
            if last is not None:
                page += beyond(ours, peers, last)
            page += [f"## {'msb ' + command if command else 'Any command'}", "", "| there | here |", "| --- | --- |"]
            last = command
        page.append(row)
    page += beyond(ours, peers, last)
    more = [c for c in ours if c and c not in peers]
    page += ["## Commands that are only here", "", ", ".join(f"`msb {c}`" for c in more), ""]
    text = "\n".join(page)
    if check:
        if PAGE.read_text() != text:
            raise SystemExit("docs/compat.md is not what tools/compat.py writes: run tools/compat.py build/msb")
    else:
        PAGE.write_text(text)


def beyond(ours, peers, command):
    extra = [o for o in ours.get(command, ([], {}))[1] if o not in peers[command]]
    return (["", "Only here: " + ", ".join(f"`{o}`" for o in extra)] if extra else []) + [""]


if __name__ == "__main__":
    main()
