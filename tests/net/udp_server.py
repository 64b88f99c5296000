"""UDP servers for the tests: `udp_server.py echo|dns|large|black ADDR PORT`, one line on standard output when it runs.

    echo    what came, back to where it came from
    dns     an answer with one A record, 192.0.2.77, to any question
    large   a datagram of so many bytes as the number that came says
    count   how many came so far, to each that is the word "count"; the rest is only counted
"""
import socket
import struct
import sys


def dns(query):
    question = query[12:query.index(b"\0", 12) + 5]
    head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0)
    return head + question + struct.pack(">HHHIH4s", 0xC00C, 1, 1, 60, 4, socket.inet_aton("192.0.2.77"))


def main(kind, address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    s.bind((address, int(port)))
    print("ready", flush=True)
    count = 0
    while True:
        data, peer = s.recvfrom(65536)
        if kind == "echo":
            s.sendto(data, peer)
        elif kind == "dns":
            s.sendto(dns(data), peer)
        elif kind == "large":
            s.sendto(bytes(i * 31 & 255 for i in range(int(data))), peer)
        elif data == b"count":
            s.sendto(str(count).encode(), peer)
        else:
            count += 1


main(*sys.argv[1:])
