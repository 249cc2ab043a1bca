"""Peers that mean no good, against the gRPC server of our own: it stays small, says why, serves others.

Each attack runs while a bystander makes ordinary calls on a connection of its own; all of them must
succeed. The server's memory before and at its peak and the bystander's 99th percentile are printed
(pytest -s); what is asserted of memory is that it has a bound. ND_IDLE_CONNECTIONS sets how many
connections the test of idle ones opens.
"""

import contextlib
import itertools
import os
import pathlib
import random
import resource
import signal
import socket
import ssl
import subprocess
import threading
import time

import grpc
import pytest

import h2_peer as h2
import host
from attacks import (BEGINNINGS, CONNECTION_FLOODS, GARBAGE, HALF_HELLO, HEADERS_BOMB, LARGEST_WINDOW, SERVICE,
                     STREAM_FLOODS, UPLOAD_BYTES, batches, increment, streams)

SERVER = host.BUILD / "tests/interop/echo_server"
MIB = 1 << 20
IDLE = int(os.environ.get("ND_IDLE_CONNECTIONS", "1000"))


class Server:
    """A test server with one listener in the clear and one with TLS."""

    def __init__(self, pki, *limits):
        self.pki = pki
        self.process = subprocess.Popen(
            [SERVER, *limits, "--cert", pki / "server.pem", "--key", pki / "server.key",
             "tcp://127.0.0.1:0", "tls+tcp://127.0.0.1:0"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.plain, self.secure = (
            ("127.0.0.1", int(self.process.stdout.readline().split()[-1])) for _ in range(2))

    def peer(self):
        return h2.Peer(self.plain)

    def tls(self):
        context = ssl.create_default_context(cafile=self.pki / "ca.pem")
        context.set_alpn_protocols(["h2"])
        return context

    def memory(self, what):
        """VmRSS or VmHWM in bytes."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(what):
                return int(line.split()[1]) * 1024
        raise AssertionError(what)

    def forget_peak(self):
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@pytest.fixture(scope="module")
def server(pki):
    if not SERVER.exists():
        pytest.skip(f"{SERVER} is not built")
    running = Server(pki)
    yield running
    assert running.stop() == 0


@contextlib.contextmanager
def limited(pki, *limits):
    """A server of one's own."""
    running = Server(pki, *limits)
    try:
        yield running
    finally:
        code = running.stop()
    assert code == 0


class Bystander:
    """An honest client in a thread."""

    def __init__(self, echo, server):
        self.channel = grpc.insecure_channel("{}:{}".format(*server.plain))
        self.stub = echo.Stub(self.channel)
        self.request = echo.EchoRequest(text="by", payload=b"x" * 100)
        self.seconds = []
        self.failures = []
        self.enough = False
        self.call()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def call(self):
        begin = time.monotonic()
        assert self.stub.Unary(self.request, timeout=h2.SECONDS).text == "by"
        self.seconds.append(time.monotonic() - begin)

    def run(self):
        while not self.enough:
            try:
                self.call()
            except grpc.RpcError as error:
                self.failures.append(error)

    def stop(self):
        """After some more calls: the damage may come late."""
        goal = len(self.seconds) + len(self.failures) + 20
        host.wait_until(lambda: len(self.seconds) + len(self.failures) >= goal, h2.SECONDS, "calls")
        self.enough = True
        self.thread.join()
        self.channel.close()

    def p99(self):
        return sorted(self.seconds)[len(self.seconds) * 99 // 100]


@contextlib.contextmanager
def watched(echo, server, name, most=16 * MIB):
    """What happens inside may cost the server so much memory, and the bystander nothing but time."""
    bystander = Bystander(echo, server)
    server.forget_peak()
    before = server.memory("VmRSS")
    try:
        yield
    finally:
        bystander.stop()
    peak, after = server.memory("VmHWM"), server.memory("VmRSS")
    print(f"\n{name}: memory {before / MIB:.1f} MiB, at its peak {peak / MIB:.1f}, after it "
          f"{after / MIB:.1f}; bystander {len(bystander.seconds)} calls, "
          f"p99 {bystander.p99() * 1e3:.1f} ms")
    assert not bystander.failures
    assert peak - before < most


@pytest.mark.parametrize("name", STREAM_FLOODS)
def test_floods_of_streams_end_the_connection(echo, server, name):
    with watched(echo, server, name), server.peer().hello() as peer:
        peer.pour(batches(STREAM_FLOODS[name])).finish()
        assert peer.goaway is not None
        assert peer.goaway[0] in (h2.ENHANCE_YOUR_CALM, h2.STREAM_CLOSED, h2.PROTOCOL_ERROR)


@pytest.mark.parametrize("name", CONNECTION_FLOODS)
def test_floods_of_frames_end_the_connection(echo, server, name):
    with watched(echo, server, name), server.peer().hello() as peer:
        peer.send(h2.request(1, SERVICE + b"Bidi"))
        peer.pour(itertools.repeat(CONNECTION_FLOODS[name] * 1000, 3000)).finish()
        assert peer.goaway is not None
        assert peer.goaway[0] in (h2.ENHANCE_YOUR_CALM, h2.PROTOCOL_ERROR)
        if name == "ping":
            assert peer.goaway[1] == "too_many_pings"


@pytest.mark.parametrize("piece", [b"", b"\x10\x01x\x01y" * 3000])
def test_a_block_of_headers_without_end_is_cut_off(echo, server, piece):
    with watched(echo, server, f"continuation of {len(piece)}"), server.peer().hello() as peer:
        peer.send(h2.frame(h2.HEADERS, 0, 1, h2.block(SERVICE + b"Bidi")))
        peer.pour(itertools.repeat(h2.frame(h2.CONTINUATION, 0, 1, piece) * 100, 1000)).finish()
        assert peer.goaway is not None and peer.goaway[0] == h2.ENHANCE_YOUR_CALM


def test_a_bomb_of_headers_is_counted_unpacked(echo, server):
    with watched(echo, server, "headers bomb"), server.peer().hello() as peer:
        for stream in itertools.islice(streams(), 50):
            assert peer.send(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, HEADERS_BOMB))
            assert peer.read_until(lambda p, s=stream: s in p.ended)
        assert peer.goaway is None


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_ends_the_connection(echo, server, name):
    with watched(echo, server, f"garbage: {name}"), server.peer() as peer:
        peer.pour([GARBAGE[name]]).finish()


def test_slow_beginnings_are_given_up(echo, pki):
    """Nothing, half a preface, headers without end: whoever goes on like that loses the connection."""
    with limited(pki, "--handshake-timeout", "300ms") as own, watched(echo, own, "slow beginnings"):
        for words in BEGINNINGS:
            with own.peer() as peer:
                peer.send(words)
                peer.finish()


def test_half_open_handshakes_do_not_keep_others_out(echo, pki):
    with limited(pki, "--max-handshakes", "64") as own, watched(echo, own, "half-open TLS"):
        with contextlib.ExitStack() as stack:
            for number in range(100):
                half = stack.enter_context(socket.create_connection(own.secure, h2.SECONDS))
                half.sendall(HALF_HELLO[:number % len(HALF_HELLO)])
            with h2.Peer(own.secure, own.tls()).hello() as peer:
                assert peer.ping()


def test_connections_beyond_the_limit_hear_why(echo, pki):
    with limited(pki, "--max-connections", "20") as own, watched(echo, own, "too many connections"):
        with contextlib.ExitStack() as stack:
            peers = [stack.enter_context(own.peer()).hello() for _ in range(40)]
            refused = []
            for peer in peers:
                peer.read_until(lambda p: p.goaway or p.counts.get(h2.SETTINGS, 0) == 2)
                refused += [peer.goaway] if peer.goaway else []
            assert refused == [(h2.ENHANCE_YOUR_CALM, "too many connections")] * 21
            assert all(peer.ping() for peer in peers if not peer.goaway)


@pytest.mark.parametrize("kind, most_kib", [("plain", 24), ("secure", 56)])
def test_idle_connections_cost_little(echo, pki, kind, most_kib):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    number = min(IDLE, limit - 500)
    # They do not answer PINGs, which would end them while the others still come.
    limits = ["--max-connections", str(number + 10), "--keepalive-time", "1h"]
    with limited(pki, *limits) as own:
        address, tls = (own.plain, None) if kind == "plain" else (own.secure, own.tls())
        with watched(echo, own, f"{number} idle connections, {kind}", number * most_kib * 1024 + 8 * MIB):
            with contextlib.ExitStack() as stack:
                for _ in range(number):
                    peer = stack.enter_context(h2.Peer(address, tls)).hello()
                    assert peer.read_until(lambda p: p.counts.get(h2.SETTINGS, 0) == 2)


def ask(echo, **values):
    return h2.message(echo.EchoRequest(**values).SerializeToString())


@pytest.mark.parametrize("settings", [b"", LARGEST_WINDOW], ids=["small window", "large window"])
def test_a_reader_that_never_reads_holds_little(echo, server, settings):
    """Fifty endless replies that nobody takes, neither from the windows nor from the socket."""
    words = ask(echo, repeat=1 << 30, reply_size=100000)
    with watched(echo, server, "a reader that never reads", 50 * MIB), server.peer() as peer:
        peer.hello(settings)
        peer.send(increment(0, 0x7FFF0000) if settings else b"")
        for stream in itertools.islice(streams(), 50):
            peer.send(h2.request(stream, SERVICE + b"ServerStream") +
                      h2.frame(h2.DATA, h2.END_STREAM, stream, words))
        with server.peer().hello() as other:  # by now the server has begun all of them
            assert other.ping()


def test_a_writer_that_never_ends_holds_little(echo, server):
    """64 MiB of messages flow; a request that claims four gigabytes is refused by its first bytes."""
    piece = h2.frame(h2.DATA, 0, 1, ask(echo, payload=b"x" * 16000))
    with watched(echo, server, "a writer that never ends"), server.peer().hello() as peer:
        peer.send(h2.request(3, SERVICE + b"Unary") +
                  h2.frame(h2.DATA, 0, 3, b"\0\xff\xff\xff\xff" + bytes(10000)))
        assert peer.read_until(lambda p: 3 in p.ended)
        peer.send(h2.request(5, SERVICE + b"ClientStream"))
        piece = piece[:8] + b"\5" + piece[9:]
        for _ in range(64 * MIB // len(piece)):
            assert peer.read_until(lambda p: p.credit(5) >= len(piece))
            peer.spend(5, len(piece) - 9)
            assert peer.send(piece)
        assert peer.goaway is None


def upload_without_end(peer, number):
    """Requests of almost 4 MiB, each without its last byte. Returns how many were refused."""
    begin = b"\0" + UPLOAD_BYTES.to_bytes(4, "big")
    pieces = [begin + bytes(16000)] + [bytes(16000)] * (UPLOAD_BYTES // 16000 - 1)
    refused = 0
    for stream in itertools.islice(streams(), number):
        peer.send(h2.request(stream, SERVICE + b"Unary"))
        for piece in pieces:
            if not peer.read_until(lambda p, s=stream: s in p.ended or p.credit(s) >= 16384):
                break
            if stream in peer.ended:
                break
            peer.spend(stream, len(piece))
            peer.send(h2.frame(h2.DATA, 0, stream, piece))
        refused += stream in peer.ended
    return refused


def test_uploads_that_are_never_complete_have_a_limit(echo, server):
    with watched(echo, server, "incomplete uploads", 144 * MIB), server.peer().hello() as peer:
        assert upload_without_end(peer, 200) > 100
        assert peer.goaway is None


def test_uploads_that_are_never_complete_do_not_keep_others_out(echo, pki):
    """Four connections hold all that incomplete requests may hold; a fifth has a large request of its own."""
    with contextlib.ExitStack() as stack:
        own = stack.enter_context(limited(pki))
        stack.enter_context(watched(echo, own, "incomplete uploads of many", 300 * MIB))
        for _ in range(4):
            upload_without_end(stack.enter_context(own.peer()).hello(), 22)
        assert own.memory("VmRSS") > 200 * MIB
        with grpc.insecure_channel("{}:{}".format(*own.plain)) as channel:
            request = echo.EchoRequest(text="large", payload=b"x" * 3_500_000)
            for _ in range(5):
                assert echo.Stub(channel).Unary(request, timeout=h2.SECONDS).text == "large"


def test_answers_that_nobody_reads_have_a_limit(echo, server):
    """Two hundred answers of 3 MiB to questions of some bytes: beyond the limit, the answer is a refusal."""
    question = ask(echo, reply_size=3 << 20)
    with watched(echo, server, "answers that nobody reads", 320 * MIB), server.peer().hello() as peer:
        for stream in itertools.islice(streams(), 200):
            peer.send(h2.request(stream, SERVICE + b"Unary") + h2.frame(h2.DATA, h2.END_STREAM, stream, question))
        assert peer.read_until(lambda p: len(p.ended) > 100)
        assert peer.goaway is None


def test_any_path_gets_an_answer(echo, server):
    chance = random.Random(3)
    paths = [chance.randbytes(chance.randrange(0, 400)) for _ in range(1500)]
    paths += [b"", b"/", b"//", b"///", SERVICE, SERVICE + b"Unary/", SERVICE + b"unary", b"/" * 8000,
              b"/a/" + b"b" * 8000, b"/\xff/\xfe", b"/%2e%2e/x", b"*", b"/nd.test.v1.EchoService"]
    answered = 0
    with watched(echo, server, f"{len(paths)} paths"):
        while paths:
            with server.peer().hello() as peer:
                for stream, path in zip(streams(), paths[:200]):
                    assert peer.send(h2.request(stream, path, h2.END_HEADERS | h2.END_STREAM))
                    assert peer.read_until(lambda p, s=stream: s in p.ended)
                    answered += 1
                assert peer.goaway is None
            paths = paths[200:]
    assert answered == 1513


def test_honest_cancels_are_never_cut_off(echo, server):
    """A thousand calls that are cancelled after their first reply, on one connection."""
    words = ask(echo, repeat=1000000)
    cancel = h2.CANCEL.to_bytes(4, "big")
    with watched(echo, server, "1000 honest cancels"), server.peer().hello() as peer:
        for stream in itertools.islice(streams(), 1000):
            before = peer.counts.get(h2.HEADERS, 0)
            peer.send(h2.request(stream, SERVICE + b"ServerStream", h2.END_HEADERS) +
                      h2.frame(h2.DATA, h2.END_STREAM, stream, words))
            assert peer.read_until(lambda p, b=before: p.counts.get(h2.HEADERS, 0) > b)
            peer.send(h2.frame(h2.RST_STREAM, 0, stream, cancel))
        assert peer.ping()
        assert peer.goaway is None


def test_cancels_of_the_official_client_are_never_cut_off(echo, server):
    lost = []
    channel = grpc.insecure_channel("{}:{}".format(*server.plain))
    stub = echo.Stub(channel)
    stub.Unary(echo.EchoRequest(text="x"), timeout=h2.SECONDS)
    channel.subscribe(lambda state: lost.append(state) if state not in (
        grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.IDLE) else None)
    for _ in range(1000):
        stub.ServerStream(echo.EchoRequest(repeat=10, delay_ms=1000), timeout=h2.SECONDS).cancel()
    assert stub.Unary(echo.EchoRequest(text="x"), timeout=h2.SECONDS).text == "x"
    channel.close()
    assert lost == []
