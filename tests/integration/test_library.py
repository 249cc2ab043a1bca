"""The gRPC library as its users get it: installed alone, found by pkg-config, used by the example.

Nothing of the source tree is on a path here but examples/hello, and that in a copy.
"""

import contextlib
import importlib
import os
import pathlib
import queue
import re
import shutil
import struct
import subprocess
import sys

import pytest

import host

grpc = pytest.importorskip("grpc")
h2 = pytest.importorskip("h2")
for module in ("config", "connection", "events"):
    importlib.import_module(f"h2.{module}")

ROOT = pathlib.Path(__file__).resolve().parents[2]
NEEDED = {"libuv", "libnghttp2", "libssl", "libcrypto", "libprotobuf-c", "libc", "ld-linux-x86-64",
          "ld-linux-aarch64", "libpthread", "libz"}
COMMENT = re.compile(r"/\*.*?\*/", re.S)
# A declaration at the beginning of a line, which is no definition: functions that are not inline.
DECLARED = re.compile(r"^(?!static|typedef|#)[a-z][\w \n*]*?\b(nd_\w+)\([^{}]*?\)[^;{}]*;", re.M)


def run(*command, **kwargs):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False,
                          **kwargs)
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout


class Installed:
    """The component ndgrpc below a DESTDIR of its own."""

    def __init__(self, staging):
        run("cmake", "--install", host.BUILD, "--component", "ndgrpc", "--prefix", "/usr",
            env={**os.environ, "DESTDIR": str(staging)})
        self.staging = staging
        self.prefix = staging / "usr"
        (pc,) = self.prefix.glob("lib*/**/ndgrpc.pc")
        self.lib = pc.parent.parent
        self.include = self.prefix / "include/ndgrpc"
        self.env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "PKG_CONFIG_PATH": str(pc.parent),
                    "LD_LIBRARY_PATH": str(self.lib), "LC_ALL": "C.UTF-8"}

    def example(self, name, folder, link):
        """An example, copied, built and told what it was built from."""
        shutil.copytree(self.prefix / "share/doc/ndgrpc/examples", folder)
        folder = folder / name
        run("make", f"LINK={link}", cwd=folder, env={**self.env, "CFLAGS": "-O1 -Wall -Wextra -Werror -MMD"})
        return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    return Installed(tmp_path_factory.mktemp("destdir"))


@pytest.fixture(scope="module", params=["shared", "static"])
def example(request, installed, tmp_path_factory):
    folder = installed.example("hello", tmp_path_factory.mktemp(request.param) / "examples", request.param)
    return folder, request.param


@pytest.fixture(scope="module")
def server(example, installed):
    """The example's server, and its port."""
    folder, _ = example
    process = subprocess.Popen([folder / "server", "127.0.0.1:0"], env=installed.env,
                               stdout=subprocess.PIPE, text=True)
    port = int(process.stdout.readline().split()[-1])
    yield port
    process.terminate()
    assert process.wait(timeout=30) == 0


def python_stubs(out, name, stub):
    """The messages of an example, with the class of its stub as member Stub."""
    run("protoc", f"-I{ROOT / 'examples' / name}", f"--python_out={out}", f"--grpc_python_out={out}",
        "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin", f"{name}.proto")
    sys.path.insert(0, str(out))
    try:
        pb2 = importlib.import_module(f"{name}_pb2")
        pb2.Stub = getattr(importlib.import_module(f"{name}_pb2_grpc"), stub)
    finally:
        sys.path.remove(str(out))
    return pb2


@pytest.fixture(scope="module")
def hello(tmp_path_factory):
    return python_stubs(tmp_path_factory.mktemp("stubs"), "hello", "GreeterStub")


def test_installs_nothing_of_the_daemon(installed):
    names = {p.name for p in installed.staging.rglob("*") if not p.is_dir()}
    assert not {n for n in names if n.startswith("nerdctl")}
    assert {"libndgrpc.so", "libndgrpc.a", "ndgrpc.pc", "ndgrpc-gen", "ndgrpc.7", "ndgrpc-gen.1"} <= names


def test_the_example_is_built_from_installed_files_alone(example, installed):
    folder, _ = example
    seen = [word for d in folder.glob("*.d") for word in d.read_text().replace("\\\n", " ").split()]
    ours = {str(pathlib.Path(word).resolve()) for word in seen if "grpc" in word}
    assert str(installed.include / "grpc/server.h") in ours
    assert not [word for word in ours if word.startswith(str(ROOT / "src"))]


def test_the_static_example_needs_no_library_of_ours(example):
    folder, link = example
    needed = run("readelf", "-d", folder / "server")
    assert ("libndgrpc" in needed) == (link == "shared")


def test_the_clients_of_the_example_are_answered(example, server, installed):
    folder, _ = example
    out = run(folder / "client", f"127.0.0.1:{server}", "Wörld", env=installed.env)
    assert out == "Hello, Wörld!\n1\n2\n3\n"
    refused = subprocess.run([folder / "client", f"127.0.0.1:{server}", ""], env=installed.env,
                             capture_output=True, text=True, check=False)
    assert refused.returncode == 3
    assert "INVALID_ARGUMENT: name: is empty" in refused.stderr


def test_python_is_answered(server, hello):
    with grpc.insecure_channel(f"127.0.0.1:{server}") as channel:
        stub = hello.Stub(channel)
        assert stub.Greet(hello.GreetRequest(name="Python"), timeout=30).text == "Hello, Python!"
        numbers = [r.number for r in stub.Count(hello.CountRequest(up_to=1000), timeout=30)]
        assert numbers == list(range(1, 1001))
        with pytest.raises(grpc.RpcError) as caught:
            stub.Greet(hello.GreetRequest(), timeout=30)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


GUIDE = """stored 2621440
fetched 2621440
hello: IS ANYBODY THERE?
mood: loud
together 84
refused: rounds: is over 1000000
fetched 2621440 through a tunnel
"""


@pytest.fixture(scope="module")
def guide(installed, tmp_path_factory):
    """The folder of the guide's programs."""
    return installed.example("guide", tmp_path_factory.mktemp("guide") / "examples", "shared")


@contextlib.contextmanager
def serving(guide, installed, *files):
    """The port of the guide's server."""
    process = subprocess.Popen([guide / "server", "127.0.0.1:0", *files], env=installed.env,
                               stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0


def test_the_guides_programs_do_what_it_says(installed, guide, tmp_path):
    pki = tmp_path / "pki"
    run(ROOT / "scripts/dev-pki", pki)
    secure = [[pki / f"{who}.pem", pki / f"{who}.key", pki / "ca.pem"] for who in ("server", "client")]
    for host_name, (server_files, client_files) in (("127.0.0.1", ([], [])), ("localhost", secure)):
        with serving(guide, installed, *server_files) as port:
            assert run(guide / "client", f"{host_name}:{port}", *client_files, env=installed.env) == GUIDE


@pytest.mark.parametrize("cut", [1, 7, 100000])
def test_other_peoples_http2_passes_through_a_tunnel(installed, guide, tmp_path, cut):
    """Python's grpc around, Python's h2 inside, however its bytes are cut into messages."""
    pb2 = python_stubs(tmp_path, "guide", "ShelfStub")
    ours = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
    sent = queue.Queue()

    def flush():
        data = ours.data_to_send()
        for at in range(0, len(data), cut):
            sent.put(pb2.Piece(data=data[at:at + cut]))

    with serving(guide, installed) as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = pb2.Stub(channel).Tunnel(iter(sent.get, None), timeout=30)
        ours.initiate_connection()
        ours.send_headers(1, [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"),
                              (":path", "/guide.v1.Shelf/Work"), ("content-type", "application/grpc"),
                              ("te", "trailers")])
        request = pb2.WorkRequest(rounds=100).SerializeToString()
        ours.send_data(1, struct.pack(">BI", 0, len(request)) + request, end_stream=True)
        flush()
        body, trailers = b"", {}
        for piece in call:
            for event in ours.receive_data(piece.data):
                if isinstance(event, h2.events.DataReceived):
                    body += event.data
                elif isinstance(event, h2.events.TrailersReceived):
                    trailers = dict(event.headers)
                elif isinstance(event, h2.events.StreamEnded):
                    sent.put(None)  # the half-close of the call around: its end
            flush()
        assert pb2.WorkReply.FromString(body[5:]).sum == 5050
        assert trailers[b"grpc-status"] == b"0"
        assert call.code() == grpc.StatusCode.OK


class TestGuide:
    """docs/grpc-library.md."""

    text = (ROOT / "docs/grpc-library.md").read_text(encoding="utf-8")
    samples = re.findall(r"^```c\n(.*?)^```", text, re.M | re.S)

    def test_every_sample_stands_in_a_program_that_is_built(self):
        sources = [source.read_text() for source in (ROOT / "examples").glob("*/*.c")]
        assert len(self.samples) > 12
        for sample in self.samples:
            assert any(sample in source for source in sources), sample

    def test_options_and_functions_that_it_names_exist(self, installed):
        headers = "".join(h.read_text() for h in installed.include.rglob("*.h"))
        prose = re.sub(r"^```.*?^```", "", self.text, flags=re.M | re.S)
        named = set(re.findall(r"`((?:nd|max|web|encode|decode|ca)_\w+)(?:\(\))?`", prose))
        assert len(named) > 15
        assert not {name for name in named if not re.search(rf"\b{name}\b", headers)}


@pytest.mark.parametrize("page", ["man1/ndgrpc-gen.1", "man7/ndgrpc.7"])
def test_manual_pages_are_well_formed(installed, page):
    assert run("mandoc", "-T", "lint", "-W", "warning", installed.prefix / "share/man" / page) == ""


def test_exactly_what_the_headers_declare_is_exported(installed):
    declared = set()
    for header in installed.include.rglob("*.h"):
        declared |= set(DECLARED.findall(COMMENT.sub(" ", header.read_text())))
    listed = run("nm", "-D", "--defined-only", installed.lib / "libndgrpc.so").splitlines()
    exported = {line.split()[2].split("@")[0] for line in listed}
    assert not {name for name in exported if not re.match(r"nd_|NDGRPC_", name)}
    assert len(declared) > 200
    assert declared <= exported, declared - exported
    private = subprocess.run("grep -rhoE '^nd_[a-z0-9_]+' --include=*.c src/base src/fiber src/net src/grpc",
                             shell=True, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    headers = "".join(h.read_text() for h in installed.include.rglob("*.h"))
    undeclared = {n for n in private.split() if not re.search(rf"\b{n}\b", headers)}
    assert len(undeclared) > 50
    assert not undeclared & exported


def test_the_library_needs_few_others(installed):
    out = run("readelf", "-d", installed.lib / "libndgrpc.so")
    assert "soname: [libndgrpc.so.0]" in out
    needed = {n.split(".so")[0] for n in re.findall(r"Shared library: \[(.*?)\]", out)}
    assert needed <= NEEDED


def test_each_installed_header_compiles_alone(installed, tmp_path):
    flags = run("pkg-config", "--cflags", "ndgrpc", env=installed.env).split()
    headers = sorted(str(h.relative_to(installed.include)) for h in installed.include.rglob("*.h"))
    assert "grpc/server.h" in headers
    for header in headers:
        source = tmp_path / "alone.c"
        source.write_text(f"#include <{header}>\n#include <{header}>\n")
        run("cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", *flags, "-fsyntax-only", source)


def test_each_declaration_has_its_contract(installed):
    """Beside it, or in the paragraph that it stands in; and where it may be called, or the header says so."""
    bare, nowhere = [], []
    for header in installed.include.rglob("*.h"):
        text = header.read_text()
        for paragraph in re.split(r"\n\s*\n", text):
            names = DECLARED.findall(COMMENT.sub(" ", paragraph))
            if "/*" not in paragraph:
                bare += names
            if "Context" not in paragraph and "Context of everything here" not in text:
                nowhere += names
    assert not bare
    assert not nowhere


def test_the_generator_says_what_is_wrong(installed, tmp_path):
    (tmp_path / "bad.proto").write_text('syntax = "proto3";\nmessage {\n')
    for file, complaint in (("bad.proto", "bad.proto:2"), ("none.proto", "no such file")):
        done = subprocess.run([installed.prefix / "bin/ndgrpc-gen", "-o", tmp_path / "out", file],
                              cwd=tmp_path, env=installed.env, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert complaint in done.stderr
