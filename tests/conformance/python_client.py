"""The interoperability cases with Python's grpcio as the client; it shares its core with C++ and Ruby.

Each case gets the stubs of one channel and fails by an assertion or a status.
"""

import concurrent.futures
import queue

import grpc
import interop_pb2 as pb
import interop_pb2_grpc

SECONDS = 60
LARGE_REQUEST, LARGE_RESPONSE = 271828, 314159
PING_PONG = ((27182, 31415), (8, 9), (1828, 2653), (45904, 58979))
INITIAL = ("x-grpc-test-echo-initial", "test_initial_metadata_value")
TRAILING = ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab")
SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"


def payload(size):
    return pb.Payload(body=bytes(size))


def ask(request_size, *sizes):
    return pb.StreamingOutputCallRequest(
        payload=payload(request_size),
        response_parameters=[pb.ResponseParameters(size=size) for size in sizes])


def large_request():
    return pb.SimpleRequest(response_size=LARGE_RESPONSE, payload=payload(LARGE_REQUEST))


def expect(found, wanted):
    assert found == wanted, f"{found!r} instead of {wanted!r}"


def failure(call):
    """The error of a call that must not succeed."""
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call succeeded")


def empty_unary(stub):
    expect(stub.EmptyCall(pb.Empty(), timeout=SECONDS), pb.Empty())


def large_unary(stub):
    reply = stub.UnaryCall(large_request(), timeout=SECONDS)
    expect(reply.payload.body, bytes(LARGE_RESPONSE))


def client_streaming(stub):
    requests = [pb.StreamingInputCallRequest(payload=payload(n)) for n in (27182, 8, 1828, 45904)]
    reply = stub.StreamingInputCall(iter(requests), timeout=SECONDS)
    expect(reply.aggregated_payload_size, 74922)


def server_streaming(stub):
    sizes = (31415, 9, 2653, 58979)
    replies = stub.StreamingOutputCall(ask(0, *sizes), timeout=SECONDS)
    expect([len(reply.payload.body) for reply in replies], list(sizes))


def ping_pong(stub):
    requests = queue.Queue()
    replies = stub.FullDuplexCall(iter(requests.get, None), timeout=SECONDS)
    for request_size, size in PING_PONG:
        requests.put(ask(request_size, size))
        expect(len(next(replies).payload.body), size)
    requests.put(None)
    expect(list(replies), [])


def half_duplex(stub):
    replies = stub.HalfDuplexCall(iter([ask(*pair) for pair in PING_PONG]), timeout=SECONDS)
    expect([len(reply.payload.body) for reply in replies], [size for _, size in PING_PONG])


def empty_stream(stub):
    expect(list(stub.FullDuplexCall(iter([]), timeout=SECONDS)), [])


def client_compressed_unary(stub):
    request = large_request()
    request.expect_compressed.value = True
    error = failure(lambda: stub.UnaryCall(request, timeout=SECONDS))
    expect(error.code(), grpc.StatusCode.INVALID_ARGUMENT)
    reply = stub.UnaryCall(request, timeout=SECONDS, compression=grpc.Compression.Gzip)
    expect(len(reply.payload.body), LARGE_RESPONSE)
    request.expect_compressed.value = False
    expect(len(stub.UnaryCall(request, timeout=SECONDS).payload.body), LARGE_RESPONSE)


def client_compressed_streaming(stub):
    """grpcio compresses all messages of a call or none."""
    def sized(size, compressed):
        return pb.StreamingInputCallRequest(payload=payload(size),
                                            expect_compressed=pb.BoolValue(value=compressed))
    error = failure(lambda: stub.StreamingInputCall(iter([sized(27182, True)]), timeout=SECONDS))
    expect(error.code(), grpc.StatusCode.INVALID_ARGUMENT)
    for compression in (grpc.Compression.Gzip, grpc.Compression.NoCompression):
        compressed = compression == grpc.Compression.Gzip
        reply = stub.StreamingInputCall(iter([sized(n, compressed) for n in (27182, 45904)]),
                                        timeout=SECONDS, compression=compression)
        expect(reply.aggregated_payload_size, 73086)


def server_compressed_unary(stub):
    for compressed in (True, False):
        request = large_request()
        request.response_compressed.value = compressed
        expect(len(stub.UnaryCall(request, timeout=SECONDS).payload.body), LARGE_RESPONSE)


def server_compressed_streaming(stub):
    request = ask(0, 31415, 92653)
    request.response_parameters[0].compressed.value = True
    request.response_parameters[1].compressed.value = False
    replies = stub.StreamingOutputCall(request, timeout=SECONDS)
    expect([len(reply.payload.body) for reply in replies], [31415, 92653])


def deflate_is_refused(stub):
    """A compression that we do not have: the client is told so, and the connection lives."""
    error = failure(lambda: stub.UnaryCall(large_request(), timeout=SECONDS,
                                           compression=grpc.Compression.Deflate))
    expect(error.code(), grpc.StatusCode.UNIMPLEMENTED)
    empty_unary(stub)


def custom_metadata(stub):
    _, unary = stub.UnaryCall.with_call(large_request(), metadata=[INITIAL, TRAILING],
                                        timeout=SECONDS)
    duplex = stub.FullDuplexCall(iter([ask(LARGE_REQUEST, LARGE_RESPONSE)]),
                                 metadata=[INITIAL, TRAILING], timeout=SECONDS)
    expect(len(list(duplex)), 1)
    for call in (unary, duplex):
        expect([v for k, v in call.initial_metadata() if k == INITIAL[0]], [INITIAL[1]])
        expect([v for k, v in call.trailing_metadata() if k == TRAILING[0]], [TRAILING[1]])


def status_of(call):
    error = failure(call)
    return error.code(), error.details()


def status_code_and_message(stub):
    status = pb.EchoStatus(code=2, message="test status message")
    wanted = grpc.StatusCode.UNKNOWN, status.message
    expect(status_of(lambda: stub.UnaryCall(pb.SimpleRequest(response_status=status),
                                            timeout=SECONDS)), wanted)
    request = pb.StreamingOutputCallRequest(response_status=status)
    expect(status_of(lambda: list(stub.FullDuplexCall(iter([request]), timeout=SECONDS))), wanted)


def special_status_message(stub):
    request = pb.SimpleRequest(response_status=pb.EchoStatus(code=2, message=SPECIAL))
    expect(status_of(lambda: stub.UnaryCall(request, timeout=SECONDS)),
           (grpc.StatusCode.UNKNOWN, SPECIAL))


def unimplemented(stub, path):
    call = stub.channel.unary_unary(path)
    expect(failure(lambda: call(b"", timeout=SECONDS)).code(), grpc.StatusCode.UNIMPLEMENTED)
    empty_unary(stub)


def unimplemented_method(stub):
    unimplemented(stub, "/grpc.testing.TestService/UnimplementedCall")


def unimplemented_service(stub):
    unimplemented(stub, "/grpc.testing.UnimplementedService/UnimplementedCall")


def cancel_after_begin(stub):
    requests = queue.Queue()
    call = stub.StreamingInputCall.future(iter(requests.get, None), timeout=SECONDS)
    call.cancel()
    requests.put(None)
    assert call.cancelled()
    expect(call.code(), grpc.StatusCode.CANCELLED)


def cancel_after_first_response(stub):
    requests = queue.Queue()
    replies = stub.FullDuplexCall(iter(requests.get, None), timeout=SECONDS)
    requests.put(ask(27182, 31415))
    expect(len(next(replies).payload.body), 31415)
    replies.cancel()
    requests.put(None)
    expect(failure(lambda: next(replies)).code(), grpc.StatusCode.CANCELLED)
    empty_unary(stub)


def timeout_on_sleeping_server(stub):
    empty_unary(stub)
    requests = queue.Queue()
    requests.put(ask(27182))
    replies = stub.FullDuplexCall(iter(requests.get, None), timeout=0.001)
    error = failure(lambda: next(replies))
    requests.put(None)
    expect(error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)


def concurrent_large_unary(stub):
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        list(pool.map(lambda _: large_unary(stub), range(1000)))


def rpc_soak(stub):
    for _ in range(500):
        large_unary(stub)


CASES = (
    empty_unary, large_unary, client_streaming, server_streaming, ping_pong, half_duplex,
    empty_stream, client_compressed_unary, server_compressed_unary, client_compressed_streaming,
    server_compressed_streaming, deflate_is_refused, custom_metadata, status_code_and_message, special_status_message,
    unimplemented_method, unimplemented_service, cancel_after_begin, cancel_after_first_response,
    timeout_on_sleeping_server, concurrent_large_unary, rpc_soak,
)


def open_channel(server, transport, pki):
    if transport == "unix":
        return grpc.insecure_channel(f"unix:{server.socket}")
    target = f"127.0.0.1:{server.ports[transport]}"
    if transport == "h2c":
        return grpc.insecure_channel(target)
    credentials = grpc.ssl_channel_credentials((pki / "ca.pem").read_bytes())
    return grpc.secure_channel(target, credentials,
                               options=[("grpc.ssl_target_name_override", "localhost")])


def attempt(case, server, transport, pki):
    """Empty when the case passes, else what went wrong."""
    with open_channel(server, transport, pki) as channel:
        stub = interop_pb2_grpc.TestServiceStub(channel)
        stub.channel = channel
        try:
            case(stub)
        except (AssertionError, grpc.RpcError, StopIteration) as error:
            return f"{type(error).__name__}: {error}"
    return ""
