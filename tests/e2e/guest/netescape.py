"""Root in the guest that tries to reach what it is told to, by frames of its own and by the kernel's sockets. For
test_net_escape.py: a JSON object on standard input, one on standard output."""
import errno
import fcntl
import json
import resource
import select
import socket
import struct
import sys
import time

sys.path.insert(0, "/t")
import frames  # noqa: E402


class Link:
    def __init__(self):
        self.s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.s.bind(("eth0", 0))
        self.mac = self.s.getsockname()[4]
        self.gateway_mac = self.mac[:-1] + bytes([self.mac[-1] | 1])  # net_launch.c
        v4 = fcntl.ioctl(socket.socket(), 0x8915, struct.pack("16s24x", b"eth0"))[20:24]
        self.v4 = socket.inet_ntoa(v4)
        self.v6 = next(socket.inet_ntop(socket.AF_INET6, bytes.fromhex(line.split()[0]))
                       for line in open("/proc/net/if_inet6") if line.startswith("fd") and "eth0" in line)
        self.gateway4 = socket.inet_ntoa(v4[:3] + bytes([v4[3] - 1]))
        self.gateway6 = self.v6[:-1] + "1"

    def send(self, address, port):
        src, v6 = (self.v6, True) if ":" in address else (self.v4, False)
        for proto, data in ((frames.TCP, frames.tcp(src, address, port)), (frames.UDP, frames.udp(src, address, port)),
                            (frames.ICMP6 if v6 else frames.ICMP, frames.icmp(src, address))):
            packet = frames.ip6(src, address, proto, data) if v6 else frames.ip4(src, address, proto, data)
            self.s.send(frames.eth(packet, frames.IP6 if v6 else frames.IP4, self.mac, self.gateway_mac))
        inner = frames.ip4(src, address, frames.UDP, frames.udp(src, address, port)) if not v6 else b"\0" * 40
        for proto in (2, 4, 33, 41, 47, 50, 51, 103, 132, 136, 255):
            packet = frames.ip6(src, address, proto, inner) if v6 else frames.ip4(src, address, proto, inner)
            self.s.send(frames.eth(packet, frames.IP6 if v6 else frames.IP4, self.mac, self.gateway_mac))
        time.sleep(0.01)


def dial_all(targets, seconds):
    """Which of them answer a connection of the kernel's: [[address, port]], all at once."""
    poll, waiting, open_ones = select.poll(), {}, []
    for address, port in targets:
        s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        s.setblocking(False)
        if s.connect_ex((address, port)) in (0, errno.EINPROGRESS):
            waiting[s.fileno()] = (s, address, port)
            poll.register(s, select.POLLOUT)
    end = time.monotonic() + seconds
    while waiting and time.monotonic() < end:
        for fd, _ in poll.poll(200):
            s, address, port = waiting.pop(fd)
            poll.unregister(fd)
            if not s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                open_ones.append([address, port])
            s.close()
    return open_ones


def families():
    """Those of which there are sockets, and what the odd ones reach."""
    found = []
    for family in range(1, 64):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
            try:
                socket.socket(family, kind).close()
            except OSError:
                continue
            if family not in found:
                found.append(family)
    return found


def vsock():
    """Whom a vsock connects to, and what they say to that: [[cid, port, text]]."""
    found, ports = [], [*range(0, 2100), 5000, 9999, 65535, 65536, 1 << 31, 0xFFFFFFFE]
    some = [1, 1024, 1025, 1026, 5000]
    tries = [(2, p) for p in ports] + [(cid, p) for cid in (0, 1, 3, 4, 5, 0x7FFFFFFF, 0xFFFFFFFE) for p in some]
    for at in range(0, len(tries), 500):
        waiting, poll = {}, select.poll()
        for cid, port in tries[at:at + 500]:
            s = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
            s.setblocking(False)
            try:
                s.connect((cid, port))
            except BlockingIOError:
                pass
            except OSError:
                continue
            waiting[s.fileno()] = (s, cid, port)
            poll.register(s, select.POLLOUT)
        end = time.monotonic() + 4  # the kernel gives up after 2
        while waiting and time.monotonic() < end:
            for fd, _ in poll.poll(200):
                s, cid, port = waiting.pop(fd)
                poll.unregister(fd)
                if not s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    found.append([cid, port, listen_to(s)])
                s.close()
    return found


def listen_to(s):
    s.settimeout(3)
    try:
        return repr(s.recv(100))
    except OSError as e:
        return errno.errorcode.get(e.errno, "timeout")


def listen_on_many():
    """TCP and UDP."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    kept = []
    for port in range(20000, 21000):
        kept.append(socket.create_server(("0.0.0.0", port)))
        kept.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        kept[-1].bind(("0.0.0.0", port))
    return kept


def main():
    job = json.loads(sys.stdin.read())
    out, kept = {}, []
    link = Link()
    here = {"GATEWAY4": link.gateway4, "GATEWAY6": link.gateway6}
    targets = [(here.get(a, a), p) for a, p in job["targets"]]
    for address, port in targets:
        link.send(address, port)
    names = {v: k for k, v in here.items()}
    # The kernel keeps its own loopback to itself.
    dial = [(a, p) for a, p in targets if not a.startswith(("127.", "::1", "0.", "::ffff"))]
    out["connected"] = [[names.get(a, a), p] for a, p in dial_all(dial, 4)]
    if job.get("families"):
        out["families"] = families()
    if job.get("vsock"):
        out["vsock"] = vsock()
    if job.get("listen"):
        kept = listen_on_many()
        out["listening"] = len(kept)
    print(json.dumps(out), flush=True)
    if job.get("serve"):
        s = socket.create_server(("0.0.0.0", job["serve"]))
        print("serving", flush=True)
        while True:
            c, _ = s.accept()
            c.sendall(b"guest")
            c.close()


main()
