"""A sample of the steps at which the daemon may fail or die; tests/soak/crash_steps.py tries them all.

The daemon is that of the asan build, whose fault points are compiled in; without one there is nothing to
try. ND_FAULT_BUILD names another build folder.
"""

import os
import pathlib
import sys

import grpc
import pytest

import crash
import host

sys.path.insert(0, str(host.ROOT / "tests/soak"))

import crash_steps  # noqa: E402

BUILD = pathlib.Path(os.environ.get("ND_FAULT_BUILD", host.ROOT / "build-asan"))
EVERY = 8


@pytest.fixture(scope="module")
def bench(api_modules, images):
    if not (BUILD / "nerdctl-grpcd").exists():
        pytest.skip(f"no daemon with fault points in {BUILD}")
    made = crash.Bench(api_modules, BUILD, images.busybox, host.BUILD / "nerdctl-grpc-helper")
    if not made.has_faults():
        made.close()
        pytest.skip(f"{BUILD} has no fault points")
    yield made
    left = made.close()
    assert not left, "; ".join(left)


@pytest.mark.parametrize("number", range(len(crash.operations(b""))),
                         ids=[o.name for o in crash.operations(b"")])
def test_no_step_leaves_anything(bench, images, number):
    operation = crash.operations(crash_steps.archive_of(images))[number]
    wrong = crash_steps.try_operation(bench, operation, EVERY, crash_steps.chance_of(os.getpid()))
    assert not wrong, "\n".join(str(case) for case in wrong)


@pytest.mark.parametrize("point", ["change.ready#1", "containers.v1.Containers/Create done#1",
                                   "change.settle#1", "change.settled#1"])
def test_create_that_was_cut_off_and_is_sent_again_is_one_container(bench, point):
    """The answer and the end of the change are one commit."""
    before = bench.look()
    request = bench.ns.create_request("true", name="again")
    request.request_id = f"crash-{point}".replace(" ", "-")
    bench.ns.fault = f"{point}=kill"
    with pytest.raises(grpc.RpcError):
        list(bench.ns.call(bench.api.container.Create, request))
    bench.restart()
    reply = list(bench.ns.call(bench.api.container.Create, request))[-1]
    assert [c.id for c in bench.ns.list(all=True)] == [reply.container_id]
    bench.ns.remove(reply.container_id)
    assert bench.settle(before) == ""


RECOVERY_POINTS = ["tasks.v1.Tasks/Get done#1", "tasks.v1.Tasks/Delete#1", "name.release done#1",
                   "file.remove entry#1", "file.remove entry#3", "snapshots.v1.Snapshots/Remove done#1",
                   "containers.v1.Containers/Delete#1", "containers.v1.Containers/Delete done#1"]


def test_recovery_may_die_too(bench):
    """At each of its steps in turn, over the same half-made container."""
    before = bench.look()
    bench.ns.fault = "tasks.v1.Tasks/Start done#1=kill"
    with pytest.raises(grpc.RpcError):
        bench.ns.run(*crash.FOREVER, detach=True, name="half", ipc_mode="shareable")
    reached = [point for point in RECOVERY_POINTS if bench.restart_and_die(point)]
    bench.box.daemon.start()
    host.wait_until(bench.answers, 10, "connected again")
    assert bench.ns.list(all=True) == []
    assert bench.settle(before) == ""
    assert len(reached) > len(RECOVERY_POINTS) // 2, reached
