"""HAProxy in front of our server, HTTP/2 on both sides: trailers, large messages, cancels, deadlines and
a graceful stop must come through it.

No load here: with fifty streams at once HAProxy 2.6 cuts some short, grpc-go's server behind it or ours.

    client --cleartext--> HAProxy --cleartext--> ours
    client --TLS--------> HAProxy --TLS--------> ours
    client --cleartext--> HAProxy --Unix-------> ours
"""

import subprocess
import sys
import threading
import time

import interop
import peers
import tools

LARGE = 3 << 20
# A thousand large messages both ways at once bring HAProxy 2.6 to a stand whatever is at its ends
# (grpc-go at both, for example): it stops reading either side while it waits for the other's credit.
NOT_THERE = ("concurrent_large_unary",)
GRACE_SECONDS = 5  # of the test server: see tests/interop/server_program.c

CONFIG = """
global
    maxconn 2000
    log stderr format raw local0 err
    stats socket {where}/admin.sock mode 600 level admin

defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 60s
    option http-keep-alive

frontend h2c
    bind 127.0.0.1:{h2c} proto h2
    default_backend h2c
frontend tls
    bind 127.0.0.1:{tls} ssl crt {where}/server.pem alpn h2
    default_backend tls
frontend unix
    bind unix@{where}/front.sock proto h2
    default_backend unix

backend h2c
    server ours 127.0.0.1:{ours_h2c} proto h2
backend tls
    server ours 127.0.0.1:{ours_tls} ssl verify required ca-file {pki}/ca.pem verifyhost localhost sni str(localhost) alpn h2
backend unix
    server ours unix@{ours_unix} proto h2
"""


class HAProxy:
    """A running proxy; like peers.Server, it has ports and a socket."""

    name = "HAProxy"

    def __init__(self, where, pki, server):
        self.ports = {"h2c": peers.free_port(), "tls": peers.free_port()}
        self.socket = where / "front.sock"
        certificate = (pki / "server.pem").read_bytes() + (pki / "server.key").read_bytes()
        (where / "server.pem").write_bytes(certificate)
        config = where / "haproxy.cfg"
        config.write_text(CONFIG.format(where=where, pki=pki, **self.ports, ours_unix=server.socket,
                                        ours_h2c=server.ports["h2c"], ours_tls=server.ports["tls"]))
        self.log = open(where / "haproxy.log", "w+b")
        self.process = subprocess.Popen([tools.need("haproxy"), "-db", "-f", config],
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        peers.wait_until(self.answers, "HAProxy listens")

    def answers(self):
        if self.process.poll() is not None:
            raise peers.Failure(f"HAProxy has ended: {peers.read_log(self.log)}")
        return all(peers.accepts(port) for port in self.ports.values()) and self.socket.exists()

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


def large_messages(client, stub):
    """Both ways, more than any window of any party."""
    request = client.pb.SimpleRequest(response_size=LARGE, payload=client.payload(LARGE))
    client.expect(len(stub.UnaryCall(request, timeout=60).payload.body), LARGE)


def slow_answers(client, n):
    """`n` answers of a stream, 50 ms apart."""
    request = client.ask(0, *[100] * n)
    for wanted in request.response_parameters:
        wanted.interval_us = 50000
    return request


def stop_behind(client, stub, server):
    """A running stream ends by itself while the server stops; its exit code is 0."""
    replies = stub.StreamingOutputCall(slow_answers(client, 20), timeout=30)
    next(replies)
    codes = []
    stopper = threading.Thread(target=lambda: codes.append(server.stop()))
    stopper.start()
    client.expect(len(list(replies)), 19)
    stopper.join()
    client.expect(codes, [0])


def cancel_reaches(client, stub, server):
    """The server learns of a cancel behind the proxy: its stop does not wait for that stream."""
    replies = stub.StreamingOutputCall(slow_answers(client, 1000), timeout=60)
    next(replies)
    replies.cancel()
    client.empty_unary(stub)
    begun = time.monotonic()
    client.expect(server.stop(), 0)
    assert time.monotonic() - begun < GRACE_SECONDS, "the stop waited for a cancelled call"


def with_server_that_stops(client, build, pki, transport, run):
    """Empty when `run`, which stops the server, went well."""
    with peers.folder() as where:
        server = peers.ours(build, where, pki)
        with peers.stopping(server), peers.stopping(HAProxy(where, pki, server)) as front:
            return client.attempt(lambda stub: run(client, stub, server), front, transport, pki)


def run(report, build, pki):
    sys.path.insert(0, str(tools.HOME / "stubs"))
    import python_client  # its stubs are made by the tools part

    with peers.folder() as where, peers.running(peers.ours(build, where, pki),
                                                graceful=True) as server:
        with peers.stopping(HAProxy(where, pki, server)) as front:
            interop.go_client(report, front, pki, "grpc-go -> HAProxy -> ours")
            interop.our_client(report, build, front, pki, but=NOT_THERE,
                               direction="ours -> HAProxy -> ours")
            for transport in peers.TRANSPORTS:
                report.case("large_messages", transport, "grpcio -> HAProxy -> ours",
                            python_client.attempt(
                                lambda stub: large_messages(python_client, stub), front, transport,
                                pki))
    for transport in peers.TRANSPORTS:
        for case in (stop_behind, cancel_reaches):
            report.case(case.__name__, transport, "grpcio -> HAProxy -> ours",
                        with_server_that_stops(python_client, build, pki, transport, case))
