"""Who watches in the host's and the world's namespace: servers that write down what arrives and from whom, and a packet
socket that sees all that goes over the host's interfaces. One thread for all; sockets are made in their namespace."""
import collections
import ctypes
import ipaddress
import os
import select
import socket
import struct
import threading

import frames

CLONE_NEWNET = 0x40000000
ETH_P_ALL, SOL_PACKET, PACKET_STATISTICS, SO_RCVBUFFORCE = 3, 263, 6, 33
PACKET_OUTGOING = 4
libc = ctypes.CDLL(None, use_errno=True)


def inside(namespace, call, *args):
    """What call() returns in a thread in that namespace: the sockets that it makes stay there."""
    got = {}

    def run():
        fd = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        try:
            assert libc.setns(fd, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            got["value"] = call(*args)
        except BaseException as e:
            got["error"] = e
        finally:
            os.close(fd)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if "error" in got:
        raise got["error"]
    return got["value"]


def packet_socket(interface=None):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
    if interface:
        s.bind((interface, ETH_P_ALL))
    return s


class Packet(collections.namedtuple("Packet", "kind src sport dst dport flags data")):
    """kind: tcp, udp, icmp (the type is its dport), arp, or another protocol's number."""


def parse(frame):
    ethertype = struct.unpack_from(">H", frame, 12)[0]
    if ethertype == frames.ARP:
        return Packet("arp", str(ipaddress.ip_address(frame[28:32])), 0, str(ipaddress.ip_address(frame[38:42])), 0, 0, b"")
    if ethertype == frames.IP4:
        head = 14 + (frame[14] & 15) * 4
        proto, src, dst = frame[23], frame[26:30], frame[30:34]
        if struct.unpack_from(">H", frame, 20)[0] & 0x1FFF:
            return None  # not the first fragment
    elif ethertype == frames.IP6:
        head, proto, src, dst = 54, frame[20], frame[22:38], frame[38:54]
        if proto == 0:  # multicast listener reports
            head, proto = head + 8 + frame[head + 1] * 8, frame[head]
        if proto == 44:
            if struct.unpack_from(">H", frame, head + 2)[0] & 0xFFF8:
                return None
            head, proto = head + 8, frame[head]
    else:
        return Packet(f"ethertype {ethertype:#x}", "", 0, "", 0, 0, frame)
    src, dst = str(ipaddress.ip_address(src)), str(ipaddress.ip_address(dst))
    if proto in (frames.TCP, frames.UDP):
        sport, dport = struct.unpack_from(">HH", frame, head)
        tcp = proto == frames.TCP
        return Packet("tcp" if tcp else "udp", src, sport, dst, dport, frame[head + 13] if tcp else 0,
                      frame[head + (frame[head + 12] >> 4) * 4:] if tcp else frame[head + 8:])
    if proto in (frames.ICMP, frames.ICMP6):
        return Packet("icmp" if proto == frames.ICMP else "icmp6", src, 0, dst, frame[head], 0, b"")
    return Packet(proto, src, 0, dst, 0, 0, frame)


class Watch(threading.Thread):
    """`ports`: where servers listen in each of the namespaces, at every address."""

    def __init__(self, spaces, ports, questions=None):
        super().__init__(daemon=True)
        self.lock, self.stop, self.poll = threading.Lock(), os.eventfd(0), select.epoll()
        self.poll.register(self.stop, select.EPOLLIN)
        self.jobs, self.packets, self.tally = {}, {"host": [], "world": []}, []
        self.answers, self.asked = questions or {}, []
        self.sniffers = {"host": inside(spaces.host, packet_socket), "world": inside(spaces.world, packet_socket, "in0")}
        for where, s in self.sniffers.items():
            self.add(s, self.on_packet, where)
        for where in ("host", "world"):
            for kind, port in ports:
                make = self.listen if kind == "tcp" else self.bind
                self.add(inside(getattr(spaces, where), make, port), self.on_client if kind == "tcp" else self.on_datagram,
                         where)
        self.add(inside(spaces.world, self.bind, 53), self.on_question, "world")

    def add(self, s, call, where):
        s.setblocking(False)
        self.jobs[s.fileno()] = (s, call, where)
        self.poll.register(s, select.EPOLLIN)

    @staticmethod
    def listen(port):
        s = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
        return s

    @staticmethod
    def bind(port):
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        s.bind(("::", port))
        return s

    def run(self):
        while True:
            for fd, _ in self.poll.poll():
                if fd == self.stop:
                    return
                if fd in self.jobs:
                    s, call, where = self.jobs[fd]
                    with self.lock:
                        self.all_of(s, call, where)

    @staticmethod
    def all_of(s, call, where):
        try:
            while call(s, where):
                pass
        except (BlockingIOError, ConnectionError, OSError):
            pass

    def on_packet(self, s, where):
        frame, (interface, _, direction, _, _) = s.recvfrom(4096)
        # The host's interfaces: once each, when it leaves. The world's: when it comes.
        if (direction == PACKET_OUTGOING) == (where == "host"):
            packet = parse(frame)
            if packet:
                self.packets[where].append((interface, packet))
        return True

    def on_client(self, s, where):
        c, peer = s.accept()
        record = [where, "tcp", plain(c.getsockname()[0]), s.getsockname()[1], plain(peer[0]), b""]
        self.tally.append(record)
        self.add(c, lambda conn, _: self.on_data(conn, record), where)
        return True

    def on_data(self, c, record):
        data = c.recv(4096)
        if not data:
            del self.jobs[c.fileno()]
            c.close()
            return False
        record[5] += data
        c.send(b"answer")
        return True

    def on_datagram(self, s, where):
        data, control, _, peer = s.recvmsg(4096, 256)
        to = next(d for level, kind, d in control if kind == socket.IPV6_PKTINFO)
        self.tally.append([where, "udp", plain(str(ipaddress.ip_address(to[:16]))), s.getsockname()[1], plain(peer[0]), data])
        s.sendmsg([b"answer"], [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, to)], 0, peer)
        return True

    def on_question(self, s, _):
        """The name server: each answer is a list of addresses; what it does not know is not there."""
        data, control, _, peer = s.recvmsg(4096, 256)
        to = next(d for level, kind, d in control if kind == socket.IPV6_PKTINFO)
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1:at + 1 + data[at]].decode())
            at += 1 + data[at]
        kind, name = struct.unpack_from(">H", data, at + 1)[0], ".".join(labels).lower()
        self.asked.append((name, kind))
        found = [a for a in map(frames.packed, self.answers.get(name, [])) if len(a) == {1: 4, 28: 16}.get(kind)]
        records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, len(a)) + a for a in found)
        code = 0 if name in self.answers else 3
        reply = data[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(found), 0, 0) + data[12:at + 5] + records
        s.sendmsg([reply], [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, to)], 0, peer)
        return True

    def counts(self):
        with self.lock:
            return sum(map(len, self.packets.values())) + len(self.tally)

    def reset(self):
        with self.lock:
            for each in self.packets.values():
                each.clear()
            self.tally.clear()
            self.asked.clear()

    def close(self):
        os.eventfd_write(self.stop, 1)
        self.join()
        self.poll.close()
        for s in self.sniffers.values():
            lost = struct.unpack("II", s.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
            assert lost == 0, f"{lost} packets were not seen"
        for s, _, _ in self.jobs.values():
            s.close()
        os.close(self.stop)

    def requests(self, where):
        """What somebody began: {(interface, kind, address, port)}. All else has to belong to it, or is the kernel's own
        talk with its neighbours; a packet that is neither is an error. ICMP has no port: 0."""
        with self.lock:
            packets = list(self.packets[where])
        begun, flows, odd = set(), set(), []
        for interface, p in packets:
            there, back = (p.kind, p.src, p.sport, p.dst, p.dport), (p.kind, p.dst, p.dport, p.src, p.sport)
            if p.kind == "tcp" and p.flags & 0x17 == frames.SYN or p.kind == "udp" and back not in flows and there not in flows:
                flows.add(there)
                begun.add((interface, p.kind, p.dst, p.dport))
            elif p.kind in ("tcp", "udp") and (there in flows or back in flows):
                continue
            elif (p.kind, p.dport) in (("icmp", 8), ("icmp6", 128)):
                flows.add(("icmp", p.src, p.dst))
                begun.add((interface, "icmp", p.dst, 0))
            elif not is_neighbourly(interface, p, flows):
                odd.append((interface, p))
        assert not odd, (where, odd[:20])
        return begun


def plain(address):
    return str(ipaddress.ip_address(address).ipv4_mapped or address) if ":" in address else address


def is_neighbourly(interface, p, flows):
    """ARP, neighbour discovery, and on the loopback what the kernel answers there."""
    if p.kind == "arp":
        return {p.src, p.dst} <= {"10.99.0.1", "10.99.0.2"}
    if p.kind == "icmp6" and 133 <= p.dport <= 136 or p.kind == "icmp6" and p.dport == 143:
        return True
    if interface != "lo":
        return False
    answered = ("icmp", p.dst, p.src) in flows
    # No server is there: the kernel says so to the one who asked.
    return (p.kind, p.dport) in (("icmp", 3), ("icmp6", 1)) or answered and (p.kind, p.dport) in (("icmp", 0), ("icmp6", 129))
