"""One end of a probe: what this process's user and network namespace make of it is the test's to see."""

import socket
import struct
import sys

VRRP = 112


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def ask(proto, source, source_port, target, port):
    kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family(target), kind) as client:
        if proto == "tcp":
            # The port is free at once when the connection ends.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.bind((source, int(source_port)))
        client.connect((target, int(port)))
        try:
            client.send(b"ping")
        except PermissionError:
            pass  # dropped on its way out: the counters tell
        return client.recv(4) == b"ping"


def advertise(source, target):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, VRRP) as sender:
        sender.bind((source, 0))
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(source))
        try:
            sender.sendto(b"advertisement", (target, 0))
        except PermissionError:
            pass
    return True


def hear(interface_address, source):
    """Prints a line when it listens, and ends when it has heard."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, VRRP) as receiver:
        member = socket.inet_aton("224.0.0.18") + socket.inet_aton(interface_address)
        receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        print("listening", flush=True)
        while receiver.recvfrom(64)[1][0] != source:
            pass
    return True


roles = {"ask": ask, "advertise": advertise, "hear": hear}
sys.exit(0 if roles[sys.argv[1]](*sys.argv[2:]) else 1)
