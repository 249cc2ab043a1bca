"""Nothing grows with time: memory, descriptors and threads after many calls are what they were after few."""

import pathlib

import grpc
import pytest

import leaks
import stubs

GROWTH_KIB = 1024


@pytest.fixture
def daemon_pid(box):
    pid = box.daemon.process.pid
    if "libasan" in pathlib.Path(f"/proc/{pid}/maps").read_text():
        pytest.skip("AddressSanitizer keeps what was freed")
    return pid


def threads(pid):
    return len(list(pathlib.Path(f"/proc/{pid}/task").iterdir()))


def assert_flat(pid, action, warm, times):
    """Run `action` some times to warm up, then many times: resident memory may not follow."""
    for _ in range(warm):
        action()
    before = leaks.rss_kib(pid), len(leaks.descriptors(pid)), threads(pid)
    for _ in range(times):
        action()
    after = leaks.rss_kib(pid), len(leaks.descriptors(pid)), threads(pid)
    assert after[0] - before[0] < GROWTH_KIB, f"{before} KiB, descriptors, threads became {after}"
    assert after[1] <= before[1] + 1 and after[2] <= before[2]


def test_creates_and_removals(ready, daemon_pid):
    assert_flat(daemon_pid, lambda: ready.remove(ready.create("true")), 50, 300)


def test_failing_creates(ready, daemon_pid):
    request = ready.create_request("true", image="nosuch:1")
    assert_flat(daemon_pid, lambda: ready.failure(ready.api.container.Create, request), 200, 2000)


def test_lists(ready, daemon_pid):
    for _ in range(20):
        ready.create("true")
    assert_flat(daemon_pid, lambda: ready.list(all=True), 200, 1500)


def test_runs(ready, daemon_pid):
    def run():
        ready.remove(ready.run("true").id)
    assert_flat(daemon_pid, run, 10, 40)


def test_logs(ready, daemon_pid):
    done = ready.run("seq", "100000")
    assert_flat(daemon_pid, lambda: ready.logs(done.id), 10, 100)


def test_connections(api_modules, box, ready, daemon_pid):
    request = ready.m.system.SystemServicePingRequest()

    def connect():
        connection = stubs.Api(api_modules, box.daemon.target)
        connection.system.Ping(request, timeout=10)
        connection.close()
    assert_flat(daemon_pid, connect, 30, 300)


def test_loads_that_fail(ready, daemon_pid):
    def load():
        with pytest.raises(grpc.RpcError):
            ready.load(b"nothing like an archive" * 20000)
    assert_flat(daemon_pid, load, 20, 200)
