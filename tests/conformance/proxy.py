"""HAProxy and nginx in front of our server: trailers, large messages, cancels, deadlines and a graceful
stop must come through them.

No load here: with fifty streams at once HAProxy 2.6 cuts some short, grpc-go's server behind it or ours.
"""

import sys
import threading
import time

import interop
import peers
import proxies
import tools

LARGE = 3 << 20
GRACE_SECONDS = 5  # of the test server: see tests/interop/server_program.c


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


def with_server_that_stops(kind, client, build, pki, transport, case):
    """Empty when the case, which stops the server, goes well."""
    with peers.folder() as where:
        server = peers.ours(build, where, pki)
        with peers.stopping(server), peers.stopping(kind(where, pki, server)) as front:
            return client.attempt(lambda stub: case(client, stub, server), front, transport, pki)


def all_cases(report, kind, client, build, pki):
    with peers.folder() as where, peers.running(peers.ours(build, where, pki),
                                                graceful=True) as server:
        with peers.stopping(kind(where, pki, server)) as front:
            interop.go_client(report, front, pki, f"grpc-go -> {kind.name} -> ours")
            interop.our_client(report, build, front, pki, but=kind.cannot,
                               direction=f"ours -> {kind.name} -> ours")
            for transport in peers.TRANSPORTS:
                report.case("large_messages", transport, f"grpcio -> {kind.name} -> ours",
                            client.attempt(lambda stub: large_messages(client, stub), front,
                                           transport, pki))


def run(report, build, pki):
    sys.path.insert(0, str(tools.HOME / "stubs"))
    import python_client  # its stubs are made by the tools part

    for kind in (proxies.HAProxy, proxies.Nginx):
        all_cases(report, kind, python_client, build, pki)
        for transport in peers.TRANSPORTS:
            for case in (stop_behind, cancel_reaches):
                report.case(case.__name__, transport, f"grpcio -> {kind.name} -> ours",
                            with_server_that_stops(kind, python_client, build, pki, transport,
                                                   case))
