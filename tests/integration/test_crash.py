"""A sample of the steps at which the daemon may fail or die; tests/soak/crash_steps.py tries them all.

The daemon is that of the asan build, whose fault points are compiled in; without one there is nothing to
try. ND_FAULT_BUILD names another build folder.
"""

import contextlib
import os
import subprocess
import sys

import grpc
import pytest

import crash
import host

sys.path.insert(0, str(host.ROOT / "tests/soak"))

import crash_steps  # noqa: E402

BUILD = crash.FAULT_BUILD
EVERY = 12


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


POINTS = ["change.ready#1", "containers.v1.Containers/Create done#1", "change.settle#1",
          "change.settled#1", "request.end#1", "request.ended#1"]


@pytest.mark.parametrize("point", POINTS)
def test_create_that_was_cut_off_and_is_sent_again_is_one_container(bench, point):
    """The answer and the end of the change are one commit."""
    before = bench.look()
    request = bench.ns.create_request("true", name="again")
    request.request_id = f"create-{point}".replace(" ", "-")
    bench.ns.fault = f"{point}=kill"
    with pytest.raises(grpc.RpcError):
        list(bench.ns.call(bench.api.container.Create, request))
    bench.restart()
    reply = list(bench.ns.call(bench.api.container.Create, request))[-1]
    assert [c.id for c in bench.ns.list(all=True)] == [reply.container_id]
    bench.ns.remove(reply.container_id)
    assert bench.settle(before) == ""


@pytest.mark.parametrize("point", [*POINTS, "tasks.v1.Tasks/Start done#1"])
def test_run_that_was_cut_off_and_is_sent_again_is_one_container(bench, point):
    before = bench.look()
    request = bench.ns.run_request(*crash.FOREVER, detach=True, name="again")
    request.options.request_id = f"run-{point}".replace(" ", "-")
    bench.ns.fault = f"{point}=kill"
    with pytest.raises(grpc.RpcError):
        list(bench.ns.call(bench.api.container.Run, iter([request])))
    bench.restart()
    done = bench.ns.collect(bench.ns.call(bench.api.container.Run, iter([request])))
    assert [(c.id, c.state) for c in bench.ns.list(all=True)] == [
        (done.id, bench.ns.m.container.CONTAINER_STATE_RUNNING)]
    bench.ns.remove(done.id, force=True)
    assert bench.settle(before) == ""


def test_create_before_a_power_cut_that_is_sent_again_is_one_container(bench):
    """What is not synced (that it is done, and the answer) may be lost with the power."""
    before = bench.look()
    request = bench.ns.create_request("true")
    request.request_id = "create-power"
    bench.ns.fault = "request.end#1=kill"
    with pytest.raises(grpc.RpcError):
        list(bench.ns.call(bench.api.container.Create, request))
    bench.restart_after_a_power_cut()
    replies = [list(bench.ns.call(bench.api.container.Create, request))[-1] for _ in range(2)]
    assert [c.id for c in bench.ns.list(all=True)] == [replies[0].container_id] == \
        [replies[1].container_id]
    bench.ns.remove(replies[0].container_id)
    assert bench.settle(before) == ""


@pytest.mark.parametrize("detach", [True, False], ids=["detached", "attached"])
def test_run_before_a_power_cut_that_is_sent_again_is_one_container(bench, detach):
    """Nobody knows how it ended: that is what an attached client is told, and no exit code."""
    before, m = bench.look(), bench.ns.m.container
    request = bench.ns.run_request(*crash.FOREVER, detach=detach)
    request.options.request_id = f"run-power-{detach}"
    bench.ns.fault = "request.end#1=kill"
    with pytest.raises(grpc.RpcError):
        list(bench.ns.call(bench.api.container.Run, iter([request])))
    [container] = bench.box.containerd.ctr("containers", "ls", "-q", namespace=bench.ns.name).stdout.split()
    bench.restart_after_a_power_cut(container)

    def go():
        return bench.ns.collect(bench.ns.call(bench.api.container.Run, iter([request]))).id
    if detach:
        assert [go(), go()] == [container] * 2
    else:
        failure = bench.api.failure(go)
        assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "EXIT_UNKNOWN")
    assert [(c.id, c.state) for c in bench.ns.list(all=True)] == [(container, m.CONTAINER_STATE_CREATED)]
    bench.ns.remove(container)
    assert bench.settle(before) == ""


@pytest.mark.parametrize("point", ["request.end#1", "request.ended#1"])
@pytest.mark.parametrize("action", ["fail", "kill"])
def test_answer_that_cannot_be_remembered_takes_everything_back(bench, point, action):
    """Nobody has what nobody was told of; what was remembered is there although nobody was told yet."""
    before = bench.look()
    request = bench.ns.create_request("true", name="again")
    request.request_id = f"answer-{point}-{action}"
    bench.ns.fault = f"{point}={action}"
    answered = True
    try:
        list(bench.ns.call(bench.api.container.Create, request))
    except grpc.RpcError:
        answered = False
    assert answered == (point == "request.ended#1" and action == "fail")
    if action == "kill":
        bench.restart()
    wanted = 1 if point == "request.ended#1" else 0
    host.wait_until(lambda: len(bench.ns.list(all=True)) == wanted, 15, "settled")
    for container in bench.ns.list(all=True):
        bench.ns.remove(container.id)
    assert bench.settle(before) == ""


@pytest.mark.parametrize("point", ["change.settled#1", "request.end#1"])
@pytest.mark.parametrize("what", ["start", "stop", "kill", "rename", "remove"])
def test_what_was_done_before_the_answer_is_answered_when_it_is_sent_again(bench, what, point):
    """By the recovery, which finishes it: it is not done twice, and not refused as impossible."""
    before, api, m = bench.look(), bench.api.container, bench.ns.m.container
    args = ("echo", "started") if what == "start" else crash.FOREVER
    container = bench.ns.create(*args, name="before")
    if what in ("stop", "kill"):
        bench.ns.start(container)
    request_id = f"done-{what}-{point}"
    method, request = {
        "start": (api.Start, m.StartOptions(container="before", request_id=request_id)),
        "stop": (api.Stop, m.ContainerServiceStopRequest(container="before", timeout=0,
                                                         request_id=request_id)),
        "kill": (api.Kill, m.ContainerServiceKillRequest(container="before",
                                                         request_id=request_id)),
        "rename": (api.Rename, m.ContainerServiceRenameRequest(
            container="before", new_name="after", request_id=request_id)),
        "remove": (api.Remove, m.ContainerServiceRemoveRequest(container="before",
                                                               request_id=request_id)),
    }[what]

    def go():
        if what != "start":
            return bench.ns.call(method, request).container_id
        message = m.ContainerServiceStartRequest(options=request)
        return bench.ns.collect(bench.ns.call(method, iter([message]))).id
    bench.ns.fault = f"{point}=kill"
    with pytest.raises(grpc.RpcError):
        go()
    bench.restart()
    assert [go() for _ in range(2)] == [container] * 2
    if what == "start":
        assert bench.ns.logs(container)[0] == b"started\n"
    assert [c.name for c in bench.ns.list(all=True)] == {"rename": ["after"],
                                                         "remove": []}.get(what, ["before"])
    for left in bench.ns.list(all=True):
        bench.ns.remove(left.id, force=True)
    assert bench.settle(before) == ""


@contextlib.contextmanager
def lost_shim(ns, container):
    """A process that looks like a shim which containerd has forgotten."""
    words = ["containerd-shim-runc-v2", "-c", "import signal; signal.pause()", "-namespace", ns.name, "-id", container]
    process = subprocess.Popen(words, executable=sys.executable)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("point", ["tasks.v1.Tasks/Delete#1", "tasks.v1.Tasks/Delete done#1",
                                   "tasks.v1.Tasks/Create#1"])
def test_start_that_was_cut_off_leaves_no_shim_of_the_task_before(bench, point):
    """containerd gives up the deletion of the old task when the daemon dies in its middle, and forgets the shim.
    The start has not happened: sent again it does."""
    before, m = bench.look(), bench.ns.m.container
    container = bench.ns.run("echo", "started").id
    options = m.StartOptions(container=container, request_id=f"again-{point}".replace(" ", "-"))

    def go():
        message = m.ContainerServiceStartRequest(options=options)
        return bench.ns.collect(bench.ns.call(bench.api.container.Start, iter([message]))).id
    bench.ns.fault = f"{point}=kill"
    with pytest.raises(grpc.RpcError):
        go()
    with lost_shim(bench.ns, container) as shim:
        bench.restart()
        shim.wait(20)
    assert [go() for _ in range(2)] == [container] * 2
    bench.ns.wait(container)
    assert bench.ns.logs(container)[0] == b"started\n" * 2
    bench.ns.remove(container)
    assert bench.settle(before) == ""


@pytest.mark.parametrize("point, sent", [
    ("change.ready#1", 0), ("tasks.v1.Tasks/Kill done#1", 1), ("change.settled#1", 1), ("request.end#1", 1),
    ("request.ended#1", 1)])
def test_signal_that_was_cut_off_and_is_asked_for_again_is_sent_once_at_most(bench, point, sent):
    """Nobody knows whether it was sent, and that is what a repeat is told; a new request sends it."""
    before, m = bench.look(), bench.ns.m.container
    done = bench.ns.run("sh", "-c", "trap 'echo got' USR1; echo up; while :; do sleep 0.02; done", detach=True)
    host.wait_until(lambda: bench.ns.logs(done.id)[0] == b"up\n", 10, "up")

    def go(number):
        request = m.ContainerServiceKillRequest(container=done.id, signal="USR1")
        request.request_id = f"signal-{point}-{number}".replace(" ", "-")
        return bench.ns.call(bench.api.container.Kill, request).container_id
    bench.ns.fault = f"{point}=kill"
    with pytest.raises(grpc.RpcError):
        go(1)
    bench.restart()
    for _ in range(2):
        if point == "request.ended#1":
            assert go(1) == done.id
        else:
            failure = bench.api.failure(lambda: go(1))
            assert (failure.code, failure.reason) == (grpc.StatusCode.ABORTED, "OUTCOME_UNKNOWN")
    host.wait_until(lambda: bench.ns.logs(done.id)[0] == b"up\n" + sent * b"got\n", 10, "as often as sent")
    assert go(2) == done.id
    host.wait_until(lambda: bench.ns.logs(done.id)[0] == b"up\n" + (sent + 1) * b"got\n", 10, "once more")
    bench.ns.remove(done.id, force=True)
    assert bench.settle(before) == ""


def test_removal_that_was_cut_off_spares_who_has_the_id_since(bench):
    """Other programs choose ids, and may use one again before the daemon is back."""
    before, ctr = bench.look(), bench.box.containerd.ctr

    def run():
        ctr("run", "-d", "docker.io/library/busybox:latest", "chosen", *crash.FOREVER,
            namespace=bench.ns.name)
    run()
    bench.ns.fault = "containers.v1.Containers/Delete done#1=kill"
    with pytest.raises(grpc.RpcError):
        bench.ns.remove("chosen", force=True)
    ctr("snapshots", "rm", "chosen", namespace=bench.ns.name, check=False)
    run()
    bench.restart()
    assert bench.ns.state("chosen") == bench.ns.m.container.CONTAINER_STATE_RUNNING
    bench.ns.remove("chosen", force=True)
    assert bench.settle(before) == ""


def test_left_stop_with_the_earliest_time_outlives_the_daemon(bench):
    before = bench.look()
    done = bench.ns.run(*crash.FOREVER, detach=True)
    request = bench.ns.m.container.ContainerServiceStopRequest(container=done.id)
    for request.timeout in (3600, 3):
        with pytest.raises(grpc.RpcError):
            bench.ns.call(bench.api.container.Stop, request, timeout=0.3)
    assert bench.ns.state(done.id) == bench.ns.m.container.CONTAINER_STATE_RUNNING
    bench.box.daemon.process.kill()
    bench.restart()
    assert bench.ns.wait(done.id)[0].exit.code == 137
    bench.ns.remove(done.id)
    assert bench.settle(before) == ""


@pytest.mark.parametrize("point", ["change.settled#1", "request.ended#1"])
def test_command_line_asks_again_when_the_daemon_dies_under_it(bench, point):
    before = bench.look()
    child = bench.die_under(point, ["run", "-d", "--network", "none", "busybox", *crash.FOREVER])
    out, err = child.communicate(timeout=30)
    assert child.returncode == 0, err
    assert [c.id for c in bench.ns.list(all=True)] == [out.strip()]
    bench.ns.remove(out.strip(), force=True)
    assert bench.settle(before) == ""


def test_command_line_loads_again_when_the_daemon_dies_under_it(bench, images, tmp_path):
    before = bench.look()
    archive = tmp_path / "image.tar"
    archive.write_bytes(crash_steps.archive_of(images))
    child = bench.die_under("content.write done#2", ["load", "-i", str(archive)])
    out, err = child.communicate(timeout=30)
    assert child.returncode == 0, err
    assert out == "Loaded image: docker.io/library/crash:1\n"
    bench.ns.remove_image("crash:1")
    assert bench.settle(before) == ""


def test_command_line_stops_again_when_the_daemon_dies_under_it(bench):
    before = bench.look()
    done = bench.ns.run(*crash.FOREVER, detach=True, name="web")
    child = bench.die_under("tasks.v1.Tasks/Kill done#1", ["stop", "-t", "1", "web"])
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (0, "web\n"), err
    assert bench.ns.state(done.id) == bench.ns.m.container.CONTAINER_STATE_EXITED
    bench.ns.remove("web")
    assert bench.settle(before) == ""


EXEC_POINTS = ["change.ready#1", "tasks.v1.Tasks/Exec done#1", "tasks.v1.Tasks/Start#1",
               "tasks.v1.Tasks/Start done#1", "change.settled#1", "request.end#1", "request.ended#1"]


@pytest.mark.parametrize("detach", [False, True], ids=["attached", "detached"])
@pytest.mark.parametrize("point", EXEC_POINTS)
def test_exec_that_was_cut_off_and_is_sent_again_runs_once(bench, point, detach):
    """And its output and exit code arrive, if anybody wanted them."""
    before = bench.look()
    m = bench.ns.m.container
    container = bench.ns.run(*crash.FOREVER, detach=True).id
    request = m.ContainerServiceExecRequest(options=m.ExecOptions(
        container=container, args=["sh", "-c", "echo ran >>/ran; echo out; exit 7"], detach=detach,
        request_id=f"exec-{point}-{detach}".replace(" ", "-")))
    bench.ns.fault = f"{point}=kill"
    with pytest.raises(grpc.RpcError):
        list(bench.ns.call(bench.api.container.Exec, iter([request])))
    bench.restart()
    replies = list(bench.ns.call(bench.api.container.Exec, iter([request])))
    if not detach:
        assert b"".join(r.output.data for r in replies) == b"out\n"
        assert replies[-1].exit.code == 7
    host.wait_until(lambda: bench.ns.exec(container, "cat", "/ran")[0], crash.SETTLE_SECONDS, "it has run")
    host.wait_until(lambda: not bench.ns.commands_left(container),
                    crash.HOLD_SECONDS + crash.SETTLE_SECONDS, "forgotten")
    assert bench.ns.exec(container, "cat", "/ran")[0] == b"ran\n"
    bench.ns.remove(container, force=True)
    assert bench.settle(before) == ""


@pytest.mark.parametrize("point", EXEC_POINTS)
def test_command_line_runs_a_command_once_when_the_daemon_dies_under_it(bench, point):
    before = bench.look()
    container = bench.ns.run(*crash.FOREVER, detach=True).id
    child = bench.die_under(point, ["exec", container, "sh", "-c", "echo ran >>/ran; echo out; exit 7"])
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (7, "out\n"), err
    assert bench.ns.exec(container, "cat", "/ran")[0] == b"ran\n"
    bench.ns.remove(container, force=True)
    assert bench.settle(before) == ""


@pytest.mark.parametrize("point", ["session.told#1", "session.left#1"])
@pytest.mark.parametrize("what", ["run", "run --rm", "exec"])
def test_exit_code_arrives_when_the_daemon_dies_about_telling_it(bench, what, point):
    """What the client does not have yet is still held for it; what is not held, it has."""
    before = bench.look()
    script = ["sh", "-c", "echo out; exit 7"]
    if what == "exec":
        container = bench.ns.run(*crash.FOREVER, detach=True).id
        child = bench.die_under(point, ["exec", container, *script])
    else:
        child = bench.die_under(point, [*what.split(), "--network", "none", "busybox", *script])
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (7, "out\n"), err
    if what == "run --rm":
        host.wait_until(lambda: not bench.ns.list(all=True), crash.HOLD_SECONDS + crash.SETTLE_SECONDS,
                        "removed by itself")
    for left in bench.ns.list(all=True):
        bench.ns.remove(left.id, force=True)
    assert bench.settle(before) == ""


@pytest.mark.parametrize("point", ["change.ready#1", "tasks.v1.Tasks/Exec#1", "tasks.v1.Tasks/Exec done#1",
                                   "tasks.v1.Tasks/Start#1", "tasks.v1.Tasks/Start done#1"])
def test_command_that_was_cut_off_does_not_take_its_container_along(bench, point):
    """What the recovery forgets is the command; how the container ended is still known."""
    before = bench.look()
    m = bench.ns.m.container
    container = bench.ns.run(*crash.FOREVER, detach=True, name="lasting").id
    options = m.ExecOptions(container=container, args=["true"])
    bench.ns.fault = f"{point}=kill"
    with pytest.raises(grpc.RpcError):
        list(bench.ns.call(bench.api.container.Exec,
                           iter([m.ContainerServiceExecRequest(options=options)])))
    bench.box.daemon.process.wait(10)
    bench.box.containerd.ctr("tasks", "kill", "-s", "KILL", container, namespace=bench.ns.name)
    bench.restart()
    ended = bench.ns.wait(container)[0]
    assert ended.exit.code == 137
    assert bench.ns.state(container) == m.CONTAINER_STATE_EXITED
    bench.ns.remove(container)
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
