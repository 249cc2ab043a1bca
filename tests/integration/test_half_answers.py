"""A containerd that answers nonsense: the daemon fails the call and goes on, whatever comes.

The stand-in serves every method of containerd with the same few bytes, so that each reply of each call is
once empty, once broken, once a list of empty objects, once an error, once missing.
"""

import concurrent.futures
import contextlib
import pathlib
import random
import tempfile

import grpc
import pytest

import conftest
import host
import stubs

STREAMS = {"/containerd.services.content.v1.Content/List": "server",
           "/containerd.services.content.v1.Content/Read": "server",
           "/containerd.services.content.v1.Content/ListStatuses": "unary",
           "/containerd.services.content.v1.Content/Write": "both",
           "/containerd.services.containers.v1.Containers/ListStream": "server",
           "/containerd.services.snapshots.v1.Snapshots/List": "server",
           "/containerd.services.events.v1.Events/Subscribe": "server"}
SERVING = b"\x08\x01"

# What each call is answered with; an exception type is raised.
ANSWERS = {
    "nothing in it": b"",
    "broken bytes": b"\xff\xff\xff",
    "a cut message": b"\x0a\x10abc",
    "one empty object": b"\x0a\x00",
    "empty objects": b"\x0a\x00" * 5,
    "objects of empty objects": b"\x0a\x04\x0a\x00\x12\x00" * 3,
    "texts where objects are": b"\x0a\x03abc\x12\x03def\x1a\x03ghi",
    "not UTF-8": b"\x0a\x02\xff\xfe",
    "numbers where texts are": b"\x08\x05\x10\x07\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    "deep nesting": b"\x0a\x7e" * 60 + b"\x0a\x00",
}
CODES = [grpc.StatusCode.UNKNOWN, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.ALREADY_EXISTS,
         grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED,
         grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAUTHENTICATED]


class Stranger(grpc.GenericRpcHandler):
    """Serves every method. `answer` is bytes, dice that make them anew each time, or a code to fail with."""

    def __init__(self):
        self.answer = b""

    def reply(self, context):
        if isinstance(self.answer, grpc.StatusCode):
            context.abort(self.answer, "because\x1b[2J of \xe4")
        return message(self.answer) if isinstance(self.answer, random.Random) else self.answer

    def service(self, details):
        if details.method == "/grpc.health.v1.Health/Check":
            return grpc.unary_unary_rpc_method_handler(lambda request, context: SERVING)
        kind = STREAMS.get(details.method, "unary")

        def once(_, context):
            yield self.reply(context)

        def each(requests, context):
            for _ in requests:
                yield self.reply(context)
        if kind == "server":
            return grpc.unary_stream_rpc_method_handler(once)
        if kind == "both":
            return grpc.stream_stream_rpc_method_handler(each)
        return grpc.unary_unary_rpc_method_handler(lambda _, context: self.reply(context))


class FakeContainerd:
    """As host.Containerd, for the daemon's sake."""

    def __init__(self, folder):
        self.address = f"{folder}/c.sock"
        self.stranger = Stranger()
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(16))
        self.server.add_generic_rpc_handlers([self.stranger])
        self.server.add_insecure_port(f"unix:{self.address}")
        self.server.start()


@pytest.fixture(scope="module")
def odd(api_modules):
    """A daemon in front of the stand-in, and a view of its API."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ndh-", dir="/tmp"))
    fake = FakeContainerd(folder)
    daemon = host.Daemon(folder, fake, conftest.BUILD)
    daemon.start()
    api = stubs.Api(api_modules, daemon.target)
    view = api.namespace("odd")
    view.daemon, view.fake = daemon, fake
    yield view
    api.close()
    code = daemon.stop()
    fake.server.stop(0)
    host.wipe(folder)
    assert code == 0


def calls(ns):
    """Every method once, with a good request."""
    m, api = ns.m, ns.api
    yield api.container.List, m.container.ContainerServiceListRequest(all=True, size=True)
    yield api.container.Inspect, m.container.ContainerServiceInspectRequest(container="x")
    yield api.container.Wait, m.container.ContainerServiceWaitRequest(containers=["x"])
    yield api.container.Stop, m.container.ContainerServiceStopRequest(container="x")
    yield api.container.Kill, m.container.ContainerServiceKillRequest(container="x")
    yield api.container.Rename, m.container.ContainerServiceRenameRequest(container="x", new_name="yy")
    yield api.container.Remove, m.container.ContainerServiceRemoveRequest(container="x", force=True)
    yield api.container.Logs, m.container.ContainerServiceLogsRequest(container="x")
    yield api.container.Create, ns.create_request("true")
    yield api.container.Run, iter([ns.run_request("true")])
    yield api.container.Start, iter([ns.start_request("x")])
    yield api.image.List, m.image.ImageServiceListRequest(filters=["label=x"])
    yield api.image.List, m.image.ImageServiceListRequest()
    yield api.image.Inspect, m.image.ImageServiceInspectRequest(image="busybox")
    yield api.image.Inspect, m.image.ImageServiceInspectRequest(image="abcdef123456")
    yield api.image.Tag, m.image.ImageServiceTagRequest(source="busybox", target="other:1")
    yield api.image.Remove, m.image.ImageServiceRemoveRequest(image="busybox", force=True)
    yield api.namespaces.List, m.namespace.NamespaceServiceListRequest()
    yield api.system.Info, m.system.SystemServiceInfoRequest()
    yield api.system.Version, m.system.SystemServiceVersionRequest()
    yield api.system.Ping, m.system.SystemServicePingRequest()


def message(dice, depth=0):
    """Well-formed bytes of no particular message."""
    out = b""
    for _ in range(dice.randrange(6)):
        number = dice.choice([1, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
        if dice.random() < 0.25:
            out += bytes([number << 3]) + dice.choice([b"\x00", b"\x01", b"\x7f", b"\xff" * 9 + b"\x01"])
            continue
        inner = message(dice, depth + 1) if depth < 4 and dice.random() < 0.7 else dice.choice(
            [b"", b"x", b"sha256:" + b"0" * 64, b"busybox", b"../..", b"{}", b"2024-01-02T03:04:05Z"])
        if len(inner) < 128:
            out += bytes([number << 3 | 2, len(inner)]) + inner
    return out


@pytest.mark.parametrize("answer", [*ANSWERS.values(), *CODES, *(random.Random(i) for i in range(12))],
                         ids=[*(name.replace(" ", "_") for name in ANSWERS), *(c.name for c in CODES),
                              *(f"random_{i}" for i in range(12))])
def test_every_call_ends_and_the_daemon_lives(odd, images, answer):
    odd.fake.stranger.answer = answer
    todo = list(calls(odd)) + [(odd.api.image.Load, odd.load_requests(images.busybox))]
    for method, request in todo:
        with contextlib.suppress(grpc.RpcError):
            reply = method(request, metadata=odd.metadata, timeout=3)
            if not hasattr(reply, "DESCRIPTOR"):
                list(reply)
        assert odd.daemon.process.poll() is None, host.tail(odd.daemon.log)
