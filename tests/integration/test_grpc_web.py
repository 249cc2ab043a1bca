"""gRPC-Web as a browser's script speaks it, by curl: no code of ours, no gRPC library.

The cases are those of gRPC's interoperability tests that web clients run, against the test service, in
the binary and the text form, in cleartext and over TLS. Then which origins the daemon lets in.
"""

import base64
import contextlib
import importlib.util
import pathlib
import signal
import struct
import subprocess

import pytest

import host

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEST = "/grpc.testing.TestService"
ORIGIN = "https://web.test"
TYPES = ("application/grpc-web+proto", "application/grpc-web-text")
SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"


@pytest.fixture(scope="module")
def pb(tmp_path_factory):
    """The messages of the test service."""
    out = tmp_path_factory.mktemp("stubs")
    subprocess.run(["protoc", f"-I{ROOT / 'tests/interop'}", f"--python_out={out}", "interop.proto"],
                   check=True)
    spec = importlib.util.spec_from_file_location("interop_pb2", out / "interop_pb2.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def serving(pki, *options):
    """Base URLs of the test server, and curl's arguments for each."""
    listeners = ["tcp://127.0.0.1:0", "tls+tcp://127.0.0.1:0"]
    process = subprocess.Popen(
        [host.BUILD / "tests/interop/interop_server", "--cert", pki / "server.pem", "--key",
         pki / "server.key", "--ca", pki / "ca.pem", *options, *listeners],
        stdout=subprocess.PIPE, text=True)
    ports = [process.stdout.readline().split()[-1] for _ in listeners]
    yield {
        "tcp": (f"http://127.0.0.1:{ports[0]}", ["--http2-prior-knowledge"]),
        "tls": (f"https://localhost:{ports[1]}", secure_options(pki)),
    }
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0


@pytest.fixture(scope="module")
def server(pki):
    with serving(pki, "--require") as urls:
        yield urls


def secure_options(pki, *, certificate=True):
    mine = ["--cert", pki / "client.pem", "--key", pki / "client.key"] if certificate else []
    return ["--http2", "--cacert", pki / "ca.pem", *mine]


class Answer:
    """What curl was answered, taken apart."""

    def __init__(self, head, body, is_text):
        blocks = head.replace("\r\n", "\n").strip("\n").split("\n\n")
        self.n_blocks = len(blocks)
        lines = blocks[0].split("\n")
        self.status = int(lines[0].split()[1])
        assert lines[0].startswith("HTTP/2 ")
        self.headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        if is_text:
            assert len(body) % 4 == 0
            body = b"".join(base64.b64decode(body[i:i + 4], validate=True)
                            for i in range(0, len(body), 4))
        self.messages, self.trailers = self.frames(body)
        ends = self.trailers if "grpc-status" in self.trailers else self.headers
        self.code = int(ends["grpc-status"]) if "grpc-status" in ends else None
        self.message = ends.get("grpc-message", "")

    @staticmethod
    def frames(body):
        messages, trailers = [], {}
        while body:
            flag, length = struct.unpack(">BI", body[:5])
            data, body = body[5:5 + length], body[5 + length:]
            assert len(data) == length
            if flag == 0x80:
                assert not body, "bytes behind the trailers"
                assert data.endswith(b"\r\n")
                trailers = dict(line.split(": ", 1) for line in data.decode().split("\r\n")[:-1])
            else:
                assert flag == 0
                messages.append(data)
        return messages, trailers


class Web:
    """A web client: one transport, one form."""

    def __init__(self, server, transport, content_type, folder):
        self.url, self.options = server[transport]
        self.type = content_type
        self.folder = folder

    def curl(self, path, *options, body=None, is_text=False):
        head = self.folder / "head"
        data = self.folder / "data"
        if body is not None:
            data.write_bytes(body)
            options = ("--data-binary", f"@{data}", *options)
        done = subprocess.run(["curl", "-sS", "--max-time", "30", *self.options, "-D", head, *options,
                               self.url + path], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        return Answer(head.read_text(), done.stdout, is_text)

    def frame(self, message):
        """The body. None: empty, for what is refused by its header block; the answer may then come before
        a body has left, and curl of that age calls the server's "no need for the rest" a failure."""
        if message is None:
            return b""
        body = message.SerializeToString()
        body = struct.pack(">BI", 0, len(body)) + body
        return base64.b64encode(body) if "text" in self.type else body

    def call(self, path, message, *headers, origin=ORIGIN):
        names = [f"content-type: {self.type}", f"accept: {self.type}", "x-grpc-web: 1",
                 "x-user-agent: grpc-web-javascript/0.1", f"origin: {origin}", *headers]
        options = [word for name in names for word in ("-H", name)]
        answer = self.curl(path, *options, body=self.frame(message), is_text="text" in self.type)
        if answer.status == 200:
            assert answer.headers["content-type"] == self.type
            assert answer.headers["access-control-allow-origin"] == origin
            assert answer.n_blocks == 1, "HTTP trailers for a web client"
        return answer


@pytest.fixture(params=["tcp", "tls"])
def transport(request):
    return request.param


@pytest.fixture(params=TYPES)
def web(request, server, transport, tmp_path):
    return Web(server, transport, request.param, tmp_path)


def test_empty_unary(web, pb):
    answer = web.call(f"{TEST}/EmptyCall", pb.Empty())
    assert (answer.code, answer.messages) == (0, [b""])


def test_large_unary(web, pb):
    request = pb.SimpleRequest(response_size=314159, payload=pb.Payload(body=bytes(271828)))
    answer = web.call(f"{TEST}/UnaryCall", request)
    assert answer.code == 0
    (message,) = answer.messages
    assert pb.SimpleResponse.FromString(message).payload.body == bytes(314159)


def test_server_streaming(web, pb):
    sizes = [31415, 9, 2653, 58979]
    request = pb.StreamingOutputCallRequest(
        response_parameters=[pb.ResponseParameters(size=size) for size in sizes])
    answer = web.call(f"{TEST}/StreamingOutputCall", request)
    got = [len(pb.StreamingOutputCallResponse.FromString(m).payload.body) for m in answer.messages]
    assert (answer.code, got) == (0, sizes)


def test_custom_metadata(web, pb):
    binary = base64.b64encode(b"\xab\xab\xab").decode()
    answer = web.call(f"{TEST}/UnaryCall", pb.SimpleRequest(response_size=1),
                      "x-grpc-test-echo-initial: test_initial_metadata_value",
                      f"x-grpc-test-echo-trailing-bin: {binary}")
    assert answer.code == 0
    assert answer.headers["x-grpc-test-echo-initial"] == "test_initial_metadata_value"
    assert answer.trailers["x-grpc-test-echo-trailing-bin"] == binary
    assert "x-grpc-test-echo-initial" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("text, encoded", [
    ("test status message", "test status message"),
    (SPECIAL, "%09%0Atest with whitespace%0D%0Aand Unicode BMP %E2%98%BA and non-BMP %F0%9F%98%88%09%0A"),
])
def test_status_code_and_message(web, pb, text, encoded):
    status = pb.EchoStatus(code=2, message=text)
    answer = web.call(f"{TEST}/UnaryCall", pb.SimpleRequest(response_status=status))
    assert (answer.status, answer.code, answer.message, answer.messages) == (200, 2, encoded, [])


@pytest.mark.parametrize("path", [f"{TEST}/UnimplementedCall", "/grpc.testing.UnimplementedService/Call",
                                  f"{TEST}/StreamingInputCall"])
def test_unimplemented(web, path):
    answer = web.call(path, None)
    assert (answer.status, answer.code) == (200, 12)


def test_timeout_on_a_sleeping_server(web, pb):
    request = pb.StreamingOutputCallRequest(
        response_parameters=[pb.ResponseParameters(size=1, interval_us=60_000_000)])
    answer = web.call(f"{TEST}/StreamingOutputCall", request, "grpc-timeout: 50m")
    assert (answer.code, answer.messages) == (4, [])


def test_cancel_after_the_first_response(web, pb):
    """The script goes away; the server, which would have waited half an hour, still stops in time (its
    fixture waits for that)."""
    request = pb.StreamingOutputCallRequest(response_parameters=[
        pb.ResponseParameters(size=1), pb.ResponseParameters(size=1, interval_us=2_000_000_000)])
    (web.folder / "data").write_bytes(web.frame(request))
    process = subprocess.Popen(
        ["curl", "-sSN", *web.options, "-H", f"content-type: {web.type}", "--data-binary",
         f"@{web.folder / 'data'}", f"{web.url}{TEST}/StreamingOutputCall"], stdout=subprocess.PIPE)
    assert process.stdout.read(5)
    process.kill()
    process.wait()
    assert web.call(f"{TEST}/EmptyCall", pb.Empty()).code == 0


def preflight(web, path, origin):
    return web.curl(path, "-X", "OPTIONS", "-H", f"origin: {origin}", "-H",
                    "access-control-request-method: POST", "-H",
                    "access-control-request-headers: content-type,x-grpc-web")


def test_preflight(web):
    answer = preflight(web, f"{TEST}/EmptyCall", ORIGIN)
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-headers"] == "content-type,x-grpc-web"
    assert preflight(web, f"{TEST}/EmptyCall", "https://evil.test").status == 403


def test_other_origins_are_refused(web):
    answer = web.call(f"{TEST}/EmptyCall", None, origin="https://evil.test")
    assert (answer.status, answer.code, answer.messages) == (403, 7, [])
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_preflight_without_a_certificate_where_none_is_demanded(pki, tmp_path):
    """As browsers send it."""
    with serving(pki) as urls:
        urls["tls"] = (urls["tls"][0], secure_options(pki, certificate=False))
        assert preflight(Web(urls, "tls", TYPES[0], tmp_path), f"{TEST}/EmptyCall", ORIGIN).status == 204


class TestDaemon:
    """The daemon's own service, with a client certificate, from a listed origin and from another."""

    @pytest.fixture(params=TYPES)
    def web(self, request, box, tmp_path):
        daemon = {"tls": (f"https://localhost:{box.port}", secure_options(box.pki))}
        return Web(daemon, "tls", request.param, tmp_path)

    def test_a_listed_origin_may_call(self, web, api):
        answer = web.call("/nerdctl.v1.SystemService/Version", api.m.system.SystemServiceVersionRequest())
        (message,) = answer.messages
        assert answer.code == 0
        assert api.m.system.SystemServiceVersionResponse.FromString(message).version

    def test_another_one_may_not(self, web):
        answer = web.call("/nerdctl.v1.SystemService/Version", None, origin="https://evil.test")
        assert (answer.status, answer.code) == (403, 7)
