"""A client that vanishes in the middle of a call: its work ends, and nothing of it is left.

Each kind of call is cut several times at different moments; then the daemon must hold exactly what it
held before, and the namespace must be as a caller would expect.
"""

import itertools
import pathlib

import grpc
import pytest

import host
import leaks
import moments
import stubs

FOREVER = ("sleep", "100000")
CUTS = 5  # of calls that have no moments to choose from but these: at once, and after the first reply


@pytest.fixture
def holdings(ready, box):
    """The daemon holds what it held before the test, once the namespace is cleared."""
    ready.list()
    kept = leaks.Holdings(box.daemon.process.pid)
    yield kept
    ready.clear()
    kept.assert_same()


def cut_at(ready, start, at):
    """Begin a call, cancel it at each of the moments."""
    watch = moments.Moments(ready.box, ready.name)
    for moment in at:
        calls = []
        watch.reach(moment, lambda: calls.append(start()), lambda: calls[0].done())
        calls[0].cancel()


def cut(start, replies=False):
    """Begin a call, cancel it at once; then again, after its first reply, if it gives any by itself."""
    for i in range(CUTS):
        call = start()
        if replies and i > 0:
            next(call)
        call.cancel()


def test_create(ready, holdings):
    cut_at(ready, lambda: ready.call(ready.api.container.Create, ready.create_request("true")),
           moments.OF_A_CREATE)


def test_create_of_one_name(ready, holdings):
    """A cut create must not hold its name for ever."""
    cut_at(ready, lambda: ready.call(ready.api.container.Create, ready.create_request("true", name="once")),
           moments.OF_A_CREATE)

    def can_be_made():
        try:
            ready.remove("once", force=True)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.NOT_FOUND
        try:
            return ready.create("true", name="once")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.ALREADY_EXISTS
            return None
    host.wait_until(can_be_made, 10, "the name is free")


def test_run_attached(ready, holdings):
    cut_at(ready, lambda: ready.call(ready.api.container.Run, stubs.Requests(
        ready.run_request("sh", "-c", "while :; do echo x; done"))), moments.OF_A_RUN)


def test_run_detached(ready, holdings):
    cut_at(ready, lambda: ready.call(ready.api.container.Run, iter(
        [ready.run_request(*FOREVER, detach=True)])), moments.OF_A_RUN)


def test_run_that_removes_itself(ready, holdings):
    cut_at(ready, lambda: ready.call(ready.api.container.Run, stubs.Requests(
        ready.run_request("sleep", "0.3", auto_remove=True))), moments.OF_A_RUN)


def test_start_attached(ready, holdings):
    at = (None, "bundle", "process", "started")
    containers = [ready.create("sh", "-c", "while :; do echo x; sleep 0.01; done") for _ in at]
    cut_at(ready, lambda: ready.call(ready.api.container.Start, stubs.Requests(
        ready.start_request(containers.pop(), attach=True))), at)


def test_logs_follow(ready, holdings):
    done = ready.run("sh", "-c", "while :; do echo x; sleep 0.01; done", detach=True)
    cut(lambda: ready.call(ready.api.container.Logs, ready.logs_request(done.id, follow=True)), replies=True)


def test_logs_that_nobody_reads(ready, holdings):
    """Backpressure holds the call; the cut ends it."""
    done = ready.run("sh", "-c", "head -c 20000000 /dev/zero | tr '\\0' y | fold -w 99", detach=True)
    ready.wait(done.id)
    cut(lambda: ready.call(ready.api.container.Logs, ready.logs_request(done.id)), replies=True)


def test_wait(ready, holdings):
    done = ready.run(*FOREVER, detach=True)
    request = ready.m.container.ContainerServiceWaitRequest(containers=[done.id])
    cut(lambda: ready.call(ready.api.container.Wait, request))


def test_stop(ready, holdings):
    """The stop goes on or ends; the container is whole either way."""
    done = ready.run(*FOREVER, detach=True)
    request = ready.m.container.ContainerServiceStopRequest(container=done.id, timeout=1)
    cut(lambda: ready.api.container.Stop.future(request, metadata=ready.metadata))
    ready.stop(done.id, timeout=0)
    ready.remove(done.id)


def test_kill_and_remove(ready, holdings):
    kind = ready.m.container
    goes = {  # what a removal passes on its way; None: at once
        None: lambda done: False,
        "process": lambda done: not host.is_running(done.pid),
        "folder": lambda done: not done.folder.exists(),
    }
    for moment in goes:
        done = ready.run(*FOREVER, detach=True)
        found = ready.inspect(done.id).container
        done.pid, done.folder = found.pid, pathlib.Path(dict(found.labels)["nerdctl/state-dir"])
        request = kind.ContainerServiceRemoveRequest(container=done.id, force=True)
        call = ready.api.container.Remove.future(request, metadata=ready.metadata)
        if moment:
            host.wait_until(lambda: goes[moment](done) or call.done(), 10, moment)
        call.cancel()
    for container in ready.list(all=True):
        try:
            ready.remove(container.id, force=True)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.NOT_FOUND
    assert ready.list(all=True) == []


def test_load(ready, holdings, images):
    """By a client that stops in the middle of the archive."""
    data = images.docker("again:1")
    for n in range(CUTS):
        requests = stubs.Requests(*itertools.islice(ready.load_requests(data), n + 1))
        call = ready.call(ready.api.image.Load, requests)
        host.wait_until(lambda: requests.queue.empty() or call.done(), 10, "sent")
        call.cancel()
        requests.close()


def test_load_cut_while_unpacking(ready, holdings, images):
    data = images.docker("again:1")
    cut_at(ready, lambda: ready.call(ready.api.image.Load, ready.load_requests(data)), moments.OF_A_LOAD)


def test_events(ready, holdings):
    cut(lambda: ready.call(ready.api.system.Events, ready.m.system.SystemServiceEventsRequest()))


def test_health_watch(ready, holdings):
    cut(lambda: ready.api.health.Watch(ready.m.health.HealthCheckRequest(), timeout=60), replies=True)


def test_connection_closed_with_calls_open(ready, holdings, api_modules, box):
    """Not a cancel but the end of the whole connection."""
    for _ in range(5):
        other = stubs.Api(api_modules, box.daemon.target)
        view = other.namespace(ready.name)
        calls = [view.call(other.container.Run, stubs.Requests(view.run_request(*FOREVER))),
                 view.call(other.system.Events, view.m.system.SystemServiceEventsRequest())]
        next(calls[0])
        other.close()


def test_half_a_request_and_away(box, ready, holdings):
    """Bytes that stop in the middle of a frame."""
    import socket
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    for end in (0, 10, len(preface), len(preface) + 5):
        with socket.socket(socket.AF_UNIX) as plain:
            plain.connect(str(box.daemon.socket))
            plain.sendall((preface + bytes([0, 1, 0, 1, 4]))[:end])
    assert ready.api.health.Check(ready.m.health.HealthCheckRequest(), timeout=10).status == 1
