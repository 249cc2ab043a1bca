"""A daemon that is anybody's: nerdctl-remote prints an error or what it got, and never dies of it."""

import concurrent.futures
import os
import pathlib
import random
import subprocess
import tempfile

import grpc
import pytest

import conftest
from test_half_answers import ANSWERS, CODES, message

BOTH = {"Run", "Start", "Load"}
SERVER = {"Logs", "Events", "Create", "Wait"}

COMMANDS = [
    ("ps", "-a"), ("ps", "-as", "--format", "wide"), ("ps", "--format", "json"),
    ("ps", "--format", "{{.Names}} {{.Label \"x\"}} {{.LabelsMap}} {{.Ports}}"), ("ps", "-q"),
    ("images",), ("images", "--digests"), ("images", "--format", "json"), ("images", "-q"),
    ("inspect", "x"), ("inspect", "-f", "{{.Id}}", "x"), ("image", "inspect", "x"),
    ("container", "inspect", "--mode", "native", "x"), ("tag", "a", "b"), ("rmi", "a"),
    ("run", "--rm", "--network", "none", "x", "true"), ("run", "-d", "--network", "none", "x"),
    ("create", "--network", "none", "x"), ("start", "x"), ("start", "-a", "x"), ("stop", "x"),
    ("kill", "x"), ("wait", "x"), ("rm", "-f", "x"), ("logs", "-t", "x"), ("events",),
    ("events", "--format", "json"), ("version",), ("version", "-f", "json"), ("info",),
    ("info", "-f", "{{json .}}"), ("namespace", "ls"), ("load", "-i", "/etc/passwd"),
]


class Anybody(grpc.GenericRpcHandler):
    """Serves every method. `answer` is bytes, dice that make them anew each time, or a code to fail with."""

    def __init__(self):
        self.answer = b""

    def reply(self, context):
        if isinstance(self.answer, grpc.StatusCode):
            context.set_trailing_metadata([("grpc-status-details-bin", os.urandom(50))])
            context.abort(self.answer, "because\x1b[2J of \xe4")
        return message(self.answer) if isinstance(self.answer, random.Random) else self.answer

    def service(self, details):
        method = details.method.rpartition("/")[2]

        def some(_, context):
            for _ in range(3):
                yield self.reply(context)
        if method in BOTH:
            return grpc.stream_stream_rpc_method_handler(some)
        if method in SERVER:
            return grpc.unary_stream_rpc_method_handler(some)
        return grpc.unary_unary_rpc_method_handler(lambda _, context: self.reply(context))


@pytest.fixture(scope="module")
def anybody():
    with tempfile.TemporaryDirectory(prefix="nda-", dir="/tmp") as folder:
        handler = Anybody()
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
        server.add_generic_rpc_handlers([handler])
        handler.target = f"unix://{pathlib.Path(folder) / 'g.sock'}"
        server.add_insecure_port(handler.target.replace("unix://", "unix:"))
        server.start()
        yield handler
        server.stop(0)


@pytest.mark.parametrize("answer", [*ANSWERS.values(), *CODES, *(random.Random(i) for i in range(8))],
                         ids=[*(name.replace(" ", "_") for name in ANSWERS), *(c.name for c in CODES),
                              *(f"random_{i}" for i in range(8))])
def test_every_command_ends_well(anybody, answer):
    anybody.answer = answer
    program = conftest.BUILD / "nerdctl-remote"
    for command in COMMANDS:
        done = subprocess.run([program, "-H", anybody.target, *command], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=20, check=False)
        assert 0 <= done.returncode < 256, (command, done.returncode, done.stderr)
        assert b"Sanitizer" not in done.stderr and b"runtime error" not in done.stderr, done.stderr
        assert b"broken invariant" not in done.stderr, (command, done.stderr)
        assert b"\x1b" not in done.stderr
