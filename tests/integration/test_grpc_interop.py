"""The gRPC server of our own against the official Python client, over each kind of listener.

The client shares no code with us, so an error on both sides of our own stack cannot hide here. It
needs the test server of the echo service (tests/interop); ND_ECHO_SERVER names another build of it.
"""

import concurrent.futures
import importlib.util
import os
import pathlib
import queue
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

grpc = pytest.importorskip("grpc")
descriptor_pb2 = pytest.importorskip("google.protobuf.descriptor_pb2")

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("ND_BUILD", ROOT / "build")).resolve()
SERVER = pathlib.Path(os.environ.get("ND_ECHO_SERVER", BUILD / "tests/interop/echo_server"))
DETAILS = "grpc-status-details-bin"


def openssl(cwd, *args):
    subprocess.run(["openssl", *args], cwd=cwd, check=True, capture_output=True)


def issue(pki, name, subject, extension):
    (pki / f"{name}.ext").write_text(extension)
    openssl(pki, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)  # fmt: skip
    openssl(pki, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "2", "-out", f"{name}.pem",
            "-extfile", f"{name}.ext")  # fmt: skip


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """A certificate authority, and what it issued to a server and to a client."""
    pki = tmp_path_factory.mktemp("pki")
    openssl(pki, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test CA")  # fmt: skip
    issue(pki, "server", "/CN=server", "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    issue(pki, "client", "/CN=client/O=tests", "subjectAltName=URI:spiffe://test/client\n")
    return pki


class Server:
    """The test server with a Unix socket, a TCP and a TLS listener."""

    def __init__(self, directory, pki):
        if not SERVER.exists():
            pytest.skip(f"{SERVER} is not built")
        self.socket = directory / "echo.sock"
        arguments = ["--cert", pki / "server.pem", "--key", pki / "server.key",
                     "--ca", pki / "ca.pem", "--require"]  # fmt: skip
        listeners = [f"unix://{self.socket}", "tcp://127.0.0.1:0", "tls+tcp://127.0.0.1:0"]
        self.process = subprocess.Popen(
            [SERVER, *arguments, *listeners], stdout=subprocess.PIPE, text=True
        )
        ports = [self.process.stdout.readline().split()[-1] for _ in listeners]
        self.targets = {
            "unix": f"unix:{self.socket}",
            "tcp": f"127.0.0.1:{ports[1]}",
            "tls": f"localhost:{ports[2]}",
        }

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


@pytest.fixture(scope="module")
def server(tmp_path_factory, pki):
    server = Server(tmp_path_factory.mktemp("server"), pki)
    yield server
    assert server.stop() == 0


def open_channel(server, pki, kind, options=()):
    if kind != "tls":
        return grpc.insecure_channel(server.targets[kind], options=options)
    credentials = grpc.ssl_channel_credentials(
        (pki / "ca.pem").read_bytes(),
        (pki / "client.key").read_bytes(),
        (pki / "client.pem").read_bytes(),
    )
    return grpc.secure_channel(server.targets[kind], credentials, options=options)


@pytest.fixture(params=["unix", "tcp", "tls"])
def stub(request, echo, server, pki):
    options = [("grpc.max_receive_message_length", 64 << 20)]
    with open_channel(server, pki, request.param, options) as channel:
        yield echo.Stub(channel)


@pytest.fixture(scope="module")
def standard(tmp_path_factory):
    """Messages of health and reflection; loaded by path, because "grpc" is somebody else's package."""
    out = tmp_path_factory.mktemp("standard")
    protos = ROOT / "src/grpc/proto"
    modules = {}
    for name in ("health/v1/health", "reflection/v1/reflection", "reflection/v1alpha/reflection"):
        subprocess.run(
            ["protoc", f"-I{protos}", f"--python_out={out}", f"grpc/{name}.proto"], check=True
        )
        spec = importlib.util.spec_from_file_location(
            name.replace("/", "_"), out / f"grpc/{name}_pb2.py"
        )
        modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(modules[name])
    return modules


def failure(call):
    with pytest.raises(grpc.RpcError) as info:
        call()
    return info.value


def test_unary(stub, echo):
    reply = stub.Unary(echo.EchoRequest(text="héllo ☺", payload=b"\0\1\2"), timeout=10)
    assert (reply.text, reply.payload) == ("héllo ☺", b"\0\1\2")


def test_server_stream(stub, echo):
    request = echo.EchoRequest(repeat=100, reply_size=1000)
    replies = list(stub.ServerStream(request, timeout=10))
    assert [r.count for r in replies] == list(range(1, 101))
    assert {len(r.payload) for r in replies} == {1000}


def test_server_stream_without_messages(stub, echo):
    assert list(stub.ServerStream(echo.EchoRequest(), timeout=10)) == []


def test_client_stream(stub, echo):
    requests = (echo.EchoRequest(payload=bytes(i)) for i in range(200))
    reply = stub.ClientStream(requests, timeout=10)
    assert (reply.count, reply.bytes) == (200, sum(range(200)))


def test_bidi_answers_before_the_next_request(stub, echo):
    requests = queue.Queue()
    replies = stub.Bidi(iter(requests.get, None), timeout=10)
    for i in range(20):
        requests.put(echo.EchoRequest(text=str(i)))
        assert next(replies).text == str(i)
    requests.put(None)
    assert list(replies) == []


def test_empty_bidi(stub):
    assert list(stub.Bidi(iter([]), timeout=10)) == []


def test_metadata_both_ways(stub, echo):
    sent = [
        ("echo-text", "one"),
        ("echo-text", "two"),
        ("echo-raw-bin", b"\x00\xff,\xab"),
        ("trail-text", "end"),
        ("trail-raw-bin", bytes(range(256))),
    ]
    _, call = stub.Unary.with_call(echo.EchoRequest(), metadata=sent, timeout=10)
    initial = [tuple(m) for m in call.initial_metadata()]
    trailing = [tuple(m) for m in call.trailing_metadata()]
    for entry in sent:
        assert tuple(entry) in (initial if entry[0].startswith("echo-") else trailing)
    assert [v for k, v in initial if k == "echo-text"] == ["one", "two"]


def test_server_sees_the_deadline(stub, echo):
    begun = time.monotonic()
    error = failure(lambda: stub.Unary(echo.EchoRequest(delay_ms=20000), timeout=0.2))
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - begun < 10


def test_cancel_ends_the_stream(stub, echo):
    replies = stub.ServerStream(echo.EchoRequest(repeat=1000, delay_ms=5), timeout=30)
    next(replies)
    replies.cancel()
    error = failure(lambda: list(replies))
    assert error.code() == grpc.StatusCode.CANCELLED


@pytest.mark.parametrize("code", range(1, 17))
def test_status_codes(stub, echo, code):
    error = failure(lambda: stub.Unary(echo.EchoRequest(code=code, message="why"), timeout=10))
    assert (error.code().value[0], error.details()) == (code, "why")


def test_status_message_with_every_kind_of_character(stub, echo):
    message = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n 100% "
    error = failure(lambda: stub.Unary(echo.EchoRequest(code=2, message=message), timeout=10))
    assert (error.code(), error.details()) == (grpc.StatusCode.UNKNOWN, message)


def test_status_details(stub, echo):
    error = failure(lambda: stub.Unary(echo.EchoRequest(code=5, message="gone"), timeout=10))
    details = dict(error.trailing_metadata())[DETAILS]
    assert details == b"\x08\x05\x12\x04gone"


def test_error_after_messages(stub, echo):
    replies = stub.Bidi(
        iter([echo.EchoRequest(text="a"), echo.EchoRequest(code=9, message="no")]), timeout=10
    )
    assert next(replies).text == "a"
    error = failure(lambda: next(replies))
    assert (error.code(), error.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "no")


def test_large_messages_both_ways(stub, echo):
    payload = os.urandom(4 * 1024 * 1024 - 64)
    assert stub.Unary(echo.EchoRequest(payload=payload), timeout=60).payload == payload
    reply = stub.Unary(echo.EchoRequest(reply_size=20 << 20), timeout=60)
    assert len(reply.payload) == 20 << 20


class Counter:
    """A relay to a port that counts the bytes of each direction."""

    def __init__(self, target):
        self.target = target.rsplit(":", 1)
        self.counts = [0, 0]
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection((self.target[0], int(self.target[1])))
            for i, (source, sink) in enumerate(((near, far), (far, near))):
                threading.Thread(target=self.pump, args=(i, source, sink), daemon=True).start()

    def pump(self, i, source, sink):
        try:
            while data := source.recv(65536):
                self.counts[i] += len(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@pytest.fixture
def counter(server):
    counter = Counter(server.targets["tcp"])
    yield counter
    counter.listener.close()


SIZE = 1_000_000  # compressible; a fraction of it passes when it is compressed


@pytest.mark.parametrize("shape", ["Unary", "ServerStream", "ClientStream", "Bidi"])
def test_gzip_both_ways(counter, echo, shape):
    metadata = [("compress", "gzip")]
    request = echo.EchoRequest(payload=bytes(SIZE), repeat=3)
    with grpc.insecure_channel(
        f"127.0.0.1:{counter.port}", compression=grpc.Compression.Gzip
    ) as channel:
        call = getattr(echo.Stub(channel), shape)
        first = request if shape in ("Unary", "ServerStream") else iter([request, request])
        answer = call(first, metadata=metadata, timeout=30)
        replies = list(answer) if shape in ("ServerStream", "Bidi") else [answer]
    assert [len(r.payload) for r in replies] == {
        "Unary": [SIZE],
        "ServerStream": [SIZE] * 3,
        "ClientStream": [0],
        "Bidi": [SIZE] * 2,
    }[shape]
    assert counter.counts[0] < SIZE / 10
    assert counter.counts[1] < SIZE / 10


def test_answers_are_plain_unless_the_handler_asks(counter, echo):
    with grpc.insecure_channel(
        f"127.0.0.1:{counter.port}", compression=grpc.Compression.Gzip
    ) as channel:
        reply = echo.Stub(channel).Unary(echo.EchoRequest(payload=bytes(SIZE)), timeout=30)
    assert len(reply.payload) == SIZE
    assert counter.counts[0] < SIZE / 10
    assert counter.counts[1] > SIZE


def test_one_message_of_a_stream_is_not_compressed(counter, echo):
    metadata = [("compress", "every-other")]
    request = echo.EchoRequest(reply_size=SIZE, repeat=2)
    with grpc.insecure_channel(f"127.0.0.1:{counter.port}") as channel:
        replies = list(echo.Stub(channel).ServerStream(request, metadata=metadata, timeout=30))
    assert [len(r.payload) for r in replies] == [SIZE] * 2
    assert SIZE < counter.counts[1] < SIZE + SIZE / 10


def test_an_unknown_codec_is_unimplemented(stub, echo):
    request = echo.EchoRequest(payload=bytes(SIZE))
    error = failure(
        lambda: stub.Unary(request, compression=grpc.Compression.Deflate, timeout=10)
    )
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED
    assert 'compressor "deflate" is not installed' in error.details()
    assert stub.Unary(echo.EchoRequest(text="still here"), timeout=10).text == "still here"


def test_a_bomb_is_refused(stub, echo):
    request = echo.EchoRequest(payload=bytes(32 << 20))
    error = failure(lambda: stub.Unary(request, compression=grpc.Compression.Gzip, timeout=30))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "after decompression larger than max" in error.details()
    assert stub.Unary(echo.EchoRequest(text="still here"), timeout=10).text == "still here"


def test_message_over_the_limit(stub, echo):
    request = echo.EchoRequest(payload=bytes(4 * 1024 * 1024))
    for call in (
        lambda: stub.Unary(request, timeout=30),
        lambda: stub.ClientStream(iter([request]), timeout=30),
    ):
        error = failure(call)
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "received message larger than max (4194309 vs. 4194304)" in error.details()
    assert stub.Unary(echo.EchoRequest(text="still"), timeout=10).text == "still"


@pytest.mark.parametrize(
    "path, text",
    [
        ("/nd.test.v1.EchoService/Nope", "unknown method Nope for service nd.test.v1.EchoService"),
        ("/no.Such/Method", "unknown service no.Such"),
    ],
)
def test_what_is_not_offered(server, pki, path, text):
    with open_channel(server, pki, "unix") as channel:
        call = channel.unary_unary(path)
        error = failure(lambda: call(b"", timeout=10))
    assert (error.code(), error.details()) == (grpc.StatusCode.UNIMPLEMENTED, text)


def test_request_that_does_not_parse(server, pki):
    with open_channel(server, pki, "unix") as channel:
        call = channel.unary_unary("/nd.test.v1.EchoService/Unary")
        error = failure(lambda: call(b"\x0a\x05ab", timeout=10))
    assert error.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL)


def test_many_calls_at_once(stub, echo):
    def one(i):
        return stub.Unary(echo.EchoRequest(text=str(i), payload=bytes(i * 100)), timeout=60)

    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        replies = list(pool.map(one, range(500)))
    assert [r.text for r in replies] == [str(i) for i in range(500)]


def test_a_stream_that_is_not_read_does_not_stop_others(stub, echo):
    stuck = stub.ServerStream(echo.EchoRequest(repeat=1_000_000, reply_size=100_000), timeout=60)
    next(stuck)
    for i in range(50):
        assert stub.Unary(echo.EchoRequest(text=str(i)), timeout=10).text == str(i)
    stuck.cancel()


def test_tls_demands_a_client_certificate(echo, server, pki):
    credentials = grpc.ssl_channel_credentials((pki / "ca.pem").read_bytes())
    with grpc.secure_channel(server.targets["tls"], credentials) as channel:
        error = failure(lambda: echo.Stub(channel).Unary(echo.EchoRequest(), timeout=5))
    assert error.code() == grpc.StatusCode.UNAVAILABLE


def test_plaintext_to_a_tls_port_is_closed(echo, server):
    with grpc.insecure_channel(server.targets["tls"].replace("localhost", "127.0.0.1")) as channel:
        error = failure(lambda: echo.Stub(channel).Unary(echo.EchoRequest(), timeout=5))
    assert error.code() == grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("protocols", [["http/1.1"], []])
def test_tls_demands_h2(server, pki, protocols):
    context = ssl.create_default_context(cafile=pki / "ca.pem")
    context.load_cert_chain(pki / "client.pem", pki / "client.key")
    if protocols:
        context.set_alpn_protocols(protocols)
    port = int(server.targets["tls"].rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as secure:
                assert secure.recv(1) == b""
        except (ssl.SSLError, ConnectionError):
            pass


def test_graceful_stop_lets_running_calls_end(echo, pki, tmp_path):
    server = Server(tmp_path, pki)
    with open_channel(server, pki, "tcp") as channel:
        stub = echo.Stub(channel)
        begun = threading.Event()
        replies = []

        def read():
            request = echo.EchoRequest(repeat=20, delay_ms=50)
            for reply in stub.ServerStream(request, timeout=30):
                replies.append(reply.count)
                begun.set()

        reader = threading.Thread(target=read)
        reader.start()
        assert begun.wait(10)
        assert server.stop() == 0
        reader.join(10)
        assert replies == list(range(1, 21))
    assert not server.socket.exists()


def test_health(standard, server, pki):
    pb2 = standard["health/v1/health"]
    service = "/grpc.health.v1.Health/"
    request = pb2.HealthCheckRequest
    status = pb2.HealthCheckResponse
    with open_channel(server, pki, "unix") as channel:
        check = channel.unary_unary(
            service + "Check", request.SerializeToString, status.FromString
        )
        watch = channel.unary_stream(
            service + "Watch", request.SerializeToString, status.FromString
        )
        listing = channel.unary_unary(
            service + "List",
            pb2.HealthListRequest.SerializeToString,
            pb2.HealthListResponse.FromString,
        )
        assert check(request(), timeout=10).status == status.SERVING
        assert check(request(service="nd.test.v1.EchoService"), timeout=10).status == status.SERVING
        error = failure(lambda: check(request(service="nope"), timeout=10))
        assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "unknown service")
        watched = watch(request(service="nope"), timeout=10)
        assert next(watched).status == status.SERVICE_UNKNOWN
        watched.cancel()
        statuses = listing(pb2.HealthListRequest(), timeout=10).statuses
        assert {k: v.status for k, v in statuses.items()} == {
            "": status.SERVING,
            "nd.test.v1.EchoService": status.SERVING,
        }


class Reflection:
    """Asks in lockstep on one stream."""

    def __init__(self, channel, pb2, version):
        self.pb2 = pb2
        self.requests = queue.Queue()
        self.responses = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            pb2.ServerReflectionRequest.SerializeToString,
            pb2.ServerReflectionResponse.FromString,
        )(iter(self.requests.get, None), timeout=10)

    def ask(self, **what):
        self.requests.put(self.pb2.ServerReflectionRequest(**what))
        return next(self.responses)

    def files(self, **what):
        protos = self.ask(**what).file_descriptor_response.file_descriptor_proto
        return [descriptor_pb2.FileDescriptorProto.FromString(p).name for p in protos]


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection(standard, server, pki, version):
    pb2 = standard[f"reflection/{version}/reflection"]
    with open_channel(server, pki, "tcp") as channel:
        reflection = Reflection(channel, pb2, version)
        services = reflection.ask(list_services="*").list_services_response.service
        assert [s.name for s in services] == [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
            "nd.test.v1.EchoService",
        ]
        for symbol in (
            "nd.test.v1.EchoService",
            "nd.test.v1.EchoService.Bidi",
            "nd.test.v1.EchoRequest",
            "nd.test.v1.EchoRequest.payload",
        ):
            assert reflection.files(file_containing_symbol=symbol) == ["echo.proto"]
        for symbol in (
            "grpc.health.v1.HealthCheckResponse.ServingStatus",
            "grpc.health.v1.HealthCheckResponse.SERVING",
            "grpc.health.v1.HealthListResponse.StatusesEntry",
        ):
            assert reflection.files(file_containing_symbol=symbol) == [
                "grpc/health/v1/health.proto"
            ]
        assert reflection.files(file_by_filename="echo.proto") == ["echo.proto"]
        for what in (
            {"file_by_filename": "nope.proto"},
            {"file_containing_symbol": "no.Such"},
            {"all_extension_numbers_of_type": "no.Such"},
        ):
            response = reflection.ask(**what)
            assert response.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
        numbers = reflection.ask(all_extension_numbers_of_type="nd.test.v1.EchoRequest")
        assert numbers.all_extension_numbers_response.base_type_name == "nd.test.v1.EchoRequest"
        reflection.requests.put(pb2.ServerReflectionRequest())
        error = failure(lambda: next(reflection.responses))
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
