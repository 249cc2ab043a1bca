#!/usr/bin/python3
"""The test service with Python's grpcio as the server.

  python_server.py STUBS [--cert F --key F] ADDRESS...

ADDRESS is unix:PATH, tcp:HOST:PORT or tls:HOST:PORT. For each one "listening ADDRESS" is printed, with
the real port. SIGTERM ends it.
"""

import concurrent.futures
import pathlib
import signal
import sys
import threading
import time

import grpc

sys.path.insert(0, sys.argv[1])

import interop_pb2 as pb  # noqa: E402
import interop_pb2_grpc  # noqa: E402

ECHO_INITIAL, ECHO_TRAILING = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"
CODES = {code.value[0]: code for code in grpc.StatusCode}


def begin(context):
    """Compressed answers are possible from here on, and metadata is on its way."""
    context.set_compression(grpc.Compression.Gzip)
    received = dict(context.invocation_metadata())
    if ECHO_INITIAL in received:
        context.send_initial_metadata([(ECHO_INITIAL, received[ECHO_INITIAL])])
    if ECHO_TRAILING in received:
        context.set_trailing_metadata([(ECHO_TRAILING, received[ECHO_TRAILING])])


def end_if_asked(request, context):
    if request.response_status.code:
        context.abort(CODES[request.response_status.code], request.response_status.message)


def answers(requests, context):
    for request in requests:
        for wanted in request.response_parameters:
            time.sleep(wanted.interval_us / 1e6)
            if not wanted.compressed.value:
                context.disable_next_message_compression()
            yield pb.StreamingOutputCallResponse(payload=pb.Payload(body=bytes(wanted.size)))


class TestService(interop_pb2_grpc.TestServiceServicer):
    def EmptyCall(self, request, context):
        begin(context)
        context.disable_next_message_compression()
        return pb.Empty()

    def UnaryCall(self, request, context):
        begin(context)
        end_if_asked(request, context)
        if not request.response_compressed.value:
            context.disable_next_message_compression()
        return pb.SimpleResponse(payload=pb.Payload(body=bytes(request.response_size)))

    CacheableUnaryCall = UnaryCall

    def StreamingOutputCall(self, request, context):
        begin(context)
        end_if_asked(request, context)
        yield from answers([request], context)

    def StreamingInputCall(self, requests, context):
        begin(context)
        size = sum(len(request.payload.body) for request in requests)
        return pb.StreamingInputCallResponse(aggregated_payload_size=size)

    def FullDuplexCall(self, requests, context):
        begin(context)
        for request in requests:
            end_if_asked(request, context)
            yield from answers([request], context)

    def HalfDuplexCall(self, requests, context):
        begin(context)
        yield from answers(list(requests), context)


def add_listener(server, address, certificate):
    kind, _, where = address.partition(":")
    if kind == "unix":
        server.add_insecure_port(address)
    elif kind == "tls":
        port = server.add_secure_port(where, grpc.ssl_server_credentials([certificate]))
        where = f"{where.rpartition(':')[0]}:{port}"
    else:
        where = f"{where.rpartition(':')[0]}:{server.add_insecure_port(where)}"
    return f"listening {kind}:{where}"


def main():
    arguments = sys.argv[2:]
    certificate = None
    if arguments[0] == "--cert":
        certificate = (pathlib.Path(arguments[3]).read_bytes(),
                       pathlib.Path(arguments[1]).read_bytes())
        arguments = arguments[4:]
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(32))
    interop_pb2_grpc.add_TestServiceServicer_to_server(TestService(), server)
    lines = [add_listener(server, address, certificate) for address in arguments]
    server.start()
    for line in lines:
        print(line, flush=True)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stop.wait()
    server.stop(1).wait()


if __name__ == "__main__":
    main()
