"""Who meets in a moment: what one client changes while another is in the middle of something.

The moments are held by a gate between daemon and containerd (tests/support/gate.py). What must come out was first
told by the model test, by chance.
"""

import concurrent.futures
import contextlib
import itertools

import grpc
import pytest

import archives
import conftest
import crash
import gate
import host
import leaks
import streams
import stubs

COUNTER = itertools.count(1)
TAG = "docker.io/library/meeting:latest"


@contextlib.contextmanager
def host_with_a_gate(api_modules, build, *options):
    """Between its daemon and its containerd."""
    box = host.Host(build, prefix="ndg")
    box.containerd.start()
    door = gate.Gate(box.folder, box.containerd)
    box.daemon = host.Daemon(box.folder, door, build, box.snapshotter, options)
    box.daemon.start()
    door.box, door.api = box, stubs.Api(api_modules, box.daemon.target)
    yield door
    door.api.close()
    code = box.daemon.stop()
    door.close()
    left = box.close()
    assert code == 0
    assert not left, "; ".join(left)


@contextlib.contextmanager
def namespace_of(door, images):
    """With the image, empty again at the end."""
    ns = crash.Armed(door.api, f"meet{conftest.RUN}-{next(COUNTER)}")
    ns.box, ns.gate = door.box, door
    ns.load(images.busybox)
    yield ns
    ns.clear()
    left = leaks.of_namespace(ns.box, ns.name)
    host.remove_namespace_cgroups(ns.name)
    assert not left, "; ".join(left)


@pytest.fixture(scope="module")
def door(api_modules):
    with host_with_a_gate(api_modules, conftest.BUILD) as door:
        yield door


@pytest.fixture
def meet(door, images):
    with namespace_of(door, images) as ns:
        yield ns


@pytest.fixture
def mortal(api_modules, images):
    """A namespace of a host whose daemon has fault points."""
    if not (crash.FAULT_BUILD / "nerdctl-grpcd").exists():
        pytest.skip(f"no daemon with fault points in {crash.FAULT_BUILD}")
    helper = str(conftest.BUILD / "nerdctl-grpc-helper")
    with host_with_a_gate(api_modules, crash.FAULT_BUILD, "--helper", helper) as door, \
            namespace_of(door, images) as ns:
        if not crash.has_faults(ns):
            pytest.skip(f"{crash.FAULT_BUILD} has no fault points")
        yield ns


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(8) as made:
        yield made


def reason_of(ns, future):
    """(code, reason) of a call of a Namespace in a thread; (None, None) when it succeeded."""
    try:
        future.result()
        return None, None
    except grpc.RpcError as error:
        return error.code(), ns.api.read_failure(error).reason


NO_IMAGE = (grpc.StatusCode.NOT_FOUND, "IMAGE_NOT_FOUND")
GONE = (grpc.StatusCode.NOT_FOUND, "CONTAINER_NOT_FOUND")


def let_others_go_on(ns):
    """So long that a call which waits for nobody would have been seen at the gate."""
    for _ in range(5):
        ns.list(all=True)


# --- images -----------------------------------------------------------------------------------------


def test_of_two_removals_of_an_image_the_second_finds_none(meet, pool):
    meet.tag("busybox:latest", TAG)
    with meet.gate.hold("Images/Delete") as held:
        calls = [pool.submit(meet.remove_image, TAG) for _ in range(2)]
        held.wait(2)
    assert {reason_of(meet, call) for call in calls} == {(None, None), NO_IMAGE}


def test_a_name_that_goes_meanwhile_is_no_failure_of_a_removal_by_id(meet, pool):
    """What is left of the image's names goes."""
    meet.tag("busybox:latest", TAG)
    with meet.gate.hold("Images/Delete") as held:
        call = pool.submit(meet.remove_image, meet.images()[0].digest, force=True)
        held.wait()
        meet.box.containerd.ctr("images", "rm", TAG, namespace=meet.name)
    assert call.result().untagged == ["docker.io/library/busybox:latest"]


@pytest.mark.parametrize("meanwhile", ["replaced", "removed"])
def test_a_create_takes_the_image_that_the_name_has_when_its_content_is_read(meet, pool, images, meanwhile):
    first, second = (archives.docker(archives.Image(images.layer, archives.tar(("word", word))), TAG)
                     for word in (b"first\n", b"second\n"))
    meet.load(first)
    ctr = meet.box.containerd.ctr
    meet.box.daemon.stop()  # what it remembers of the content
    meet.box.daemon.start()
    with meet.gate.hold("Content/Read", most=1) as held:
        call = pool.submit(meet.create, "cat", "/word", image=TAG)
        held.wait()
        ctr("images", "rm", "--sync", TAG, namespace=meet.name)
        if meanwhile == "replaced":
            meet.load(second)
    if meanwhile == "removed":
        assert reason_of(meet, call) == NO_IMAGE
        return
    meet.start(call.result())
    meet.wait(call.result())
    assert meet.logs(call.result()) == (b"second\n", b"")


# --- containers -------------------------------------------------------------------------------------


def test_nobody_gets_hold_of_a_create_that_is_being_taken_back(meet, pool):
    """The record is there until the end, and can be found: who finds it waits."""
    seen = len(meet.gate.seen)
    with meet.gate.hold("Containers/Delete") as undo:
        with meet.gate.hold("Containers/Create", answered=True) as made:
            call = meet.api.container.Create(meet.create_request(*crash.FOREVER, name="meeting"),
                                             metadata=meet.metadata)
            made.wait()
            call.cancel()
            meet.list()  # an answer on the same connection: the daemon knows
        undo.wait()
        start = pool.submit(meet.start, "meeting")
        let_others_go_on(meet)
    assert reason_of(meet, start) == GONE
    assert not any(method.endswith("Tasks/Create") for method in meet.gate.seen[seen:])


def exec_in(ns, container):
    options = ns.m.container.ExecOptions(container=container, args=["true"])
    return list(ns.call(ns.api.container.Exec, iter([ns.m.container.ContainerServiceExecRequest(options=options)])))


@pytest.mark.parametrize(("point", "meanwhile"), [("Tasks/Exec", "ends"), ("Tasks/Start", "ends"),
                                                  ("Tasks/Start", "goes")])
def test_a_command_says_that_its_container_has_ended(meet, pool, point, meanwhile):
    container = meet.run(*crash.FOREVER, detach=True).id
    with meet.gate.hold(point) as held:
        call = pool.submit(exec_in, meet, container)
        held.wait()
        if meanwhile == "goes":
            meet.remove(container, force=True)
        else:
            meet.kill(container)
            meet.wait(container)
    assert reason_of(meet, call) == (GONE if meanwhile == "goes" else
                                     (grpc.StatusCode.FAILED_PRECONDITION, "CONTAINER_NOT_RUNNING"))


def test_logs_of_what_is_being_removed_are_nobody_s(meet, pool):
    """The files go before the record by which the container is found."""
    container = meet.run("echo", "hello").id
    with meet.gate.hold("Containers/Delete") as held:
        removal = pool.submit(meet.remove, container)
        held.wait()
        logs = pool.submit(meet.logs, container)
        let_others_go_on(meet)
        assert not logs.done()
    removal.result()
    assert reason_of(meet, logs) == GONE


def test_who_wakes_a_process_beside_a_signal_does_not_make_it_come_twice(meet, pool):
    """A frozen process is woken behind its signal; somebody else may have done that already."""
    script = "trap 'echo got' USR1; trap exit TERM; echo up; while :; do sleep 0.02; done"
    container = meet.run("sh", "-c", script, detach=True).id
    host.wait_until(lambda: meet.logs(container)[0] == b"up\n", 30, "up")
    ctr = meet.box.containerd.ctr
    ctr("tasks", "pause", container, namespace=meet.name)
    request = meet.m.container.ContainerServiceKillRequest(container=container, signal="USR1", request_id="wake")

    def send():
        return meet.call(meet.api.container.Kill, request).container_id
    with meet.gate.hold("Tasks/Resume") as held:
        call = pool.submit(send)
        held.wait()
        ctr("tasks", "resume", container, namespace=meet.name)
    assert call.result(30) == send() == container
    meet.kill(container, signal="TERM")
    meet.wait(container)
    assert meet.logs(container)[0] == b"up\ngot\n"


def restart_after_its_death(ns):
    ns.box.daemon.process.wait(10)
    ns.box.daemon.process = None
    ns.box.daemon.start()


def test_a_command_is_not_forgotten_before_its_request_is_recovered(mortal):
    """Whoever clears away what a dead daemon left, and the recovery, begin at the same time."""
    container = mortal.run(*crash.FOREVER, detach=True).id
    options = mortal.m.container.ExecOptions(container=container, args=["sh", "-c", "echo ran >>/ran"], detach=True,
                                           request_id="command")
    request = mortal.m.container.ContainerServiceExecRequest(options=options)

    def send():
        return next(mortal.call(mortal.api.container.Exec, iter([request]))).exec_id
    mortal.fault = "change.settled#1=kill"
    with pytest.raises(grpc.RpcError):
        send()
    with mortal.gate.hold("Containers/Get", most=1) as recovery:
        restart_after_its_death(mortal)
        recovery.wait()
        with contextlib.suppress(AssertionError):  # a mistake takes less
            host.wait_until(lambda: not mortal.commands_left(container), 1, "forgotten")
    command = send()
    host.wait_until(lambda: not mortal.commands_left(container), 60, "forgotten")
    assert command == send()
    assert mortal.exec(container, "cat", "/ran")[0] == b"ran\n"


# --- a containerd that is away --------------------------------------------------------------------------


def replace_process(ns, container):
    """Its process ends and another one begins, and the daemon sees nothing of it."""
    ctr = ns.box.containerd.ctr
    with ns.gate.closed():
        ctr("tasks", "kill", "-s", "KILL", container, namespace=ns.name)
        host.wait_until(lambda: "STOPPED" in ctr("tasks", "ls", namespace=ns.name).stdout, 30, "ended")
        ctr("tasks", "rm", container, namespace=ns.name)
        ctr("tasks", "start", "-d", container, namespace=ns.name)


@pytest.mark.parametrize("what", ["stop", "wait"])
def test_who_waits_for_a_process_does_not_wait_for_the_next_one(meet, pool, what):
    container = meet.run(*crash.FOREVER, detach=True).id
    seen = len(meet.gate.seen)
    waiting = pool.submit({"stop": lambda: meet.stop(container, timeout=3600),
                           "wait": lambda: meet.wait(container)}[what])
    host.wait_until(lambda: any(m.endswith("Tasks/Wait") for m in meet.gate.seen[seen:]), 30, "waited for")
    replace_process(meet, container)
    waiting.result(30)
    assert meet.state(container) == meet.m.container.CONTAINER_STATE_RUNNING


def test_who_is_attached_to_a_process_does_not_wait_for_the_next_one(meet):
    """How it ended nobody has seen: that is told, and no exit code."""
    going = streams.run(meet, *crash.FOREVER)
    going.until(lambda s: s.session is not None and s.id)
    replace_process(meet, going.id)
    with pytest.raises(grpc.RpcError) as error:
        going.end(30)
    assert error.value.code() == grpc.StatusCode.NOT_FOUND
    assert "started again" in error.value.details()
