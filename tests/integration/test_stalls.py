"""What stands still holds up only what its policy says: a stopped helper, a full disk, a client that does not
read, a stopped shim. Others do not notice; when it goes on again, nothing is lost that may not be.
"""

import contextlib
import os
import re

import grpc
import pytest

import frozen
import host
import leaks
import streams
import stubs

SECONDS = frozen.ANSWER_SECONDS
GO = "while [ ! -e /tmp/go ]; do sleep 0.05; done; "


def lines(first, last):
    return b"".join(b"line %d of the output\n" % i for i in range(first, last + 1))


def counting(first, last):
    """Prints lines(first, last) and leaves a mark."""
    return (f"awk 'BEGIN {{ for (i = {first}; i <= {last}; i++) printf \"line %d of the output\\n\", i }}'; "
            f": > /tmp/done-{last}; ")


def touch(ns, container, path="/tmp/go"):
    assert streams.execute(ns, container, "touch", path).end(SECONDS).code == 0


def is_there(ns, container, path):
    return streams.execute(ns, container, "test", "-e", path).end(SECONDS).code == 0


def connect_again(ns):
    """To a daemon that was started anew."""
    def answers():
        with contextlib.suppress(grpc.RpcError):
            return ns.call(ns.api.system.Ping, ns.m.system.SystemServicePingRequest(), timeout=SECONDS)
    host.wait_until(answers, SECONDS, "connected again")


@pytest.fixture
def witness(ready):
    """A namespace with one container that goes on whatever happens to another."""
    ready.run("sh", "-c", "echo up; sleep 1000", detach=True, name="witness")
    return ready


# --- the helper ------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [{}, {"tty": True}, {"interactive": True},
                                    {"tty": True, "interactive": True}],
                         ids=["plain", "tty", "input", "tty_and_input"])
def test_a_stopped_helper_holds_up_its_container_alone_and_loses_nothing(witness, config):
    """Its pipe is full, then the container waits as at any pipe; until then it goes on."""
    ns, n = witness, 120_000
    made = ns.run("sh", "-c", GO + counting(1, n) + "sleep 1000", detach=True, name="held", **config)
    helper = frozen.helper_of(ns.box, made.id)
    with frozen.stopped(helper):
        silent = streams.attach(ns, "held")
        touch(ns, "held")
        frozen.all_answer(ns, "witness")
        assert ns.state("held") == ns.m.container.CONTAINER_STATE_RUNNING
        assert ns.logs("held") == (b"", b"")
        assert not is_there(ns, "held", f"/tmp/done-{n}")
        with pytest.raises(grpc.RpcError) as error:
            silent.end(SECONDS)
        failure = ns.api.read_failure(error.value)
        assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "STREAMS_SILENT")
        assert failure.suggestions
    host.wait_until(lambda: is_there(ns, "held", f"/tmp/done-{n}"), SECONDS, "gone on")
    want = lines(1, n).replace(b"\n", b"\r\n") if config.get("tty") else lines(1, n)
    host.wait_until(lambda: len(ns.logs("held")[0]) >= len(want), SECONDS, "in the log")
    assert ns.logs("held") == (want, b"")


def test_a_container_with_a_stopped_helper_can_be_stopped_and_removed(witness):
    ns = witness
    made = ns.run("sh", "-c", counting(1, 100) + "exec sleep 1000", detach=True, name="held")
    host.wait_until(lambda: len(ns.logs("held")[0]) == len(lines(1, 100)), SECONDS, "in the log")
    with frozen.stopped(frozen.helper_of(ns.box, made.id)):
        ns.stop("held", timeout=0)
        assert ns.state("held") == ns.m.container.CONTAINER_STATE_EXITED
        assert ns.logs("held") == (lines(1, 100), b"")
        frozen.all_answer(ns, "witness")
    ns.remove("held")
    assert [c.name for c in ns.list(all=True)] == ["witness"]


def test_a_daemon_starts_beside_stopped_helpers(own):
    own.run("sh", "-c", "echo up; sleep 1000", detach=True, name="witness")
    made = own.run("sh", "-c", counting(1, 10) + "exec sleep 1000", detach=True, name="held")
    command = streams.execute(own, "held", "sh", "-c", "read line; echo got $line", interactive=True)
    command.until(lambda s: s.session is not None and s.id)
    pids = [pid for pid, words in host.processes_of(own.box.folder).items()
            if "nerdctl-grpc-helper relay" in words] + [frozen.helper_of(own.box, made.id)]
    own.box.daemon.kill()
    with frozen.stopped(pids[0]), frozen.stopped(pids[1]):
        own.box.daemon.start()
        connect_again(own)
        frozen.all_answer(own, "witness")
    again = streams.execute(own, "held", exec_id=command.id, stream={"session_id": command.session.id})
    again.until(lambda s: s.session is not None)
    again.send(b"word\n", end=True).end(SECONDS)
    assert (again.stdout, again.code) == (b"got word\n", 0)


# --- the disk --------------------------------------------------------------------------------------

NOTICE = re.compile(rb"\[nerdctl-grpc: (\d+) entries \((\d+) bytes\) of output were dropped: "
                    rb"No space left on device\]\n")


def assert_whole_with_what_was_dropped(out, told, want):
    """Lines are missing, in one place or more, and nothing else; what is told to be missing is all of it."""
    dropped = NOTICE.findall(told)
    assert dropped and NOTICE.sub(b"", told) == b""
    there = iter(want.splitlines(True))
    for line in out.splitlines(True):
        assert line in there, f"{line} is not in its place"
    assert out.count(b"\n") + sum(int(entries) for entries, _ in dropped) == want.count(b"\n")
    assert len(out) + sum(int(size) for _, size in dropped) == len(want)


def test_a_full_disk_drops_and_counts_what_the_log_cannot_take(witness):
    """The container goes on, whoever is attached gets everything, and what is in the log and what it says
    was dropped are together what was written."""
    ns, n = witness, 30_000
    made = ns.create("sh", "-c", GO + counting(1, n) + GO.replace("go", "more") + counting(n + 1, n + 100)
                     + "exec sleep 1000", interactive=True, name="full")
    with frozen.own_disk(ns.box, ns.name, made, 1 << 20) as disk:
        ns.start("full")
        attached = streams.attach(ns, "full").until(lambda s: s.session is not None)
        touch(ns, "full")
        host.wait_until(lambda: is_there(ns, "full", f"/tmp/done-{n}"), SECONDS, "gone on")
        attached.until(lambda s: s.stdout == lines(1, n))
        frozen.all_answer(ns, "witness")
        kept, told = ns.logs("full")
        assert_whole_with_what_was_dropped(kept, told, lines(1, n))
        frozen.grow(disk, "32m")
        touch(ns, "full", "/tmp/more")
        attached.until(lambda s: s.stdout == lines(1, n + 100))
        host.wait_until(lambda: ns.logs("full")[0].endswith(lines(n + 100, n + 100)), SECONDS, "logged")
        assert ns.logs("full") == (kept + lines(n + 1, n + 100), told)
        attached.detach()
        attached.end()
        ns.kill("full")
        ns.wait("full")
    ns.remove("full")


def test_what_a_full_disk_cost_is_told_though_it_stays_full(witness):
    """By `logs`, and in the log once there is room. Who is attached gets everything."""
    ns, n = witness, 20_000
    made = ns.create("sh", "-c", counting(1, n), name="full")
    with frozen.own_disk(ns.box, ns.name, made, 1 << 20) as disk:
        done = ns.start("full", attach=True)
        assert (done.code, done.stdout, done.stderr) == (0, lines(1, n), b"")
        kept, told = ns.logs("full")
        assert_whole_with_what_was_dropped(kept, told, lines(1, n))
        assert ns.logs("full") == (kept, told)
        frozen.grow(disk, "32m")
        ns.start("full")
        ns.wait("full")
        assert ns.logs("full") == (kept + lines(1, n), told)
    ns.remove("full")


@pytest.fixture
def cramped(api_modules, images):
    """A host whose nerdctl files and own state are on a small disk."""
    machine = host.Host(host.BUILD, prefix="ndf")
    disks = [machine.daemon.data_root, machine.daemon.state_dir]
    with frozen.small_disk(disks[0], 8 << 20), frozen.small_disk(disks[1], 8 << 20):
        machine.start()
        api = stubs.Api(api_modules, machine.daemon.target)
        ns = api.namespace(f"cr{os.getpid():x}")
        ns.box = machine
        ns.load(images.busybox)
        ns.run("sh", "-c", "echo up; sleep 1000", detach=True, name="witness")
        host.wait_until(lambda: ns.logs("witness")[0] == b"up\n", SECONDS, "in the log")
        yield ns
        ns.clear()
        left = leaks.of_namespace(machine, ns.name)
        host.remove_namespace_cgroups(ns.name)
        api.close()
        machine.daemon.stop()
    left += machine.close()
    assert not left, "; ".join(left)


def create_until_it_is_full(ns):
    """Names of those that could be made: what is reused of a file needs no new room."""
    made = []
    try:
        for i in range(20):
            ns.create("true", name=f"made{i}")
            made.append(f"made{i}")
    except grpc.RpcError as error:
        failure = ns.api.read_failure(error)
        assert failure.code == grpc.StatusCode.RESOURCE_EXHAUSTED, failure
        assert "space" in failure.message or "full" in failure.message
    return made


@pytest.mark.parametrize("which", ["data_root", "state_dir"])
def test_nothing_can_be_made_on_a_full_disk_and_everything_else_goes_on(cramped, which):
    ns = cramped
    ballast = frozen.fill(getattr(ns.box.daemon, which))
    try:
        made = create_until_it_is_full(ns)
        assert {c.name for c in ns.list(all=True)} == {"witness", *made}
        assert ns.state("witness") == ns.m.container.CONTAINER_STATE_RUNNING
        assert ns.logs("witness")[0] == b"up\n"
        attached = streams.attach(ns, "witness").until(lambda s: s.session is not None)
        attached.detach()
        attached.end()
    finally:
        ballast.unlink()
    frozen.all_answer(ns, "witness")
    for name in [*made, ns.create("true", name="new")]:
        ns.remove(name)


def test_containers_are_removed_from_a_full_disk(cramped):
    """Which makes room: of all things that must work there. Nothing of them is left, nor told to be."""
    ns, disk = cramped, cramped.box.daemon.data_root
    ns.create("true", name="created", networks=["host"])
    ns.run("sh", "-c", "echo hello", name="ended")
    ns.run("sleep", "1000", detach=True, name="running")
    ballast = [frozen.fill(disk), frozen.fill(ns.box.daemon.state_dir)]
    frozen.refuse_new_files(disk)
    with pytest.raises(OSError):
        (disk / "new").mkdir()
    try:
        for name in ("created", "ended", "running"):
            assert list(ns.remove(name, force=name == "running").warnings) == []
    finally:
        for file in ballast:
            file.unlink()
    assert [c.name for c in ns.list(all=True)] == ["witness"]


# --- the client ------------------------------------------------------------------------------------


def test_a_client_in_the_foreground_that_does_not_read_holds_up_its_container_alone(witness):
    ns, n = witness, 300_000
    going = streams.run(ns, "sh", "-c", GO + counting(1, n) + "exit 6", tty=True, name="held")
    going.until(lambda s: s.session is not None and s.id)
    second = streams.attach(ns, "held").until(lambda s: s.session is not None)
    going.paused.clear()
    touch(ns, "held")
    frozen.all_answer(ns, "witness")
    assert not is_there(ns, "held", f"/tmp/done-{n}")
    going.paused.set()
    want = lines(1, n).replace(b"\n", b"\r\n")
    for one in (going, second):
        one.end(SECONDS)
        assert one.stdout == want and not one.gaps and one.code == 6


def test_a_command_whose_client_does_not_read_waits_and_others_in_the_container_do_not(witness):
    ns, n = witness, 300_000
    going = streams.execute(ns, "witness", "sh", "-c", GO + counting(1, n) + "exit 4")
    going.until(lambda s: s.session is not None and s.id)
    going.paused.clear()
    touch(ns, "witness")
    frozen.all_answer(ns, "witness")
    assert not is_there(ns, "witness", f"/tmp/done-{n}")
    going.paused.set()
    going.end(SECONDS)
    assert (going.stdout == lines(1, n), going.gaps, going.code) == (True, [], 4)


def test_a_client_that_came_later_and_does_not_read_is_passed_over_and_told_of_the_gap(witness):
    """The container waits for it for half a minute at most; what arrived and what is told to be missing are
    together what was written. Who reads gets all of it, and so does the log."""
    ns, n = witness, 300_000
    ns.run("sh", "-c", GO + counting(1, n) + GO.replace("go", "end") + "exit 3", detach=True, name="held",
           log=ns.m.container.LogConfig(options={"max-size": "1g"}))
    slow = streams.attach(ns, "held").until(lambda s: s.session is not None)
    fast = streams.attach(ns, "held").until(lambda s: s.session is not None)
    slow.paused.clear()
    touch(ns, "held")
    frozen.all_answer(ns, "witness")
    host.wait_until(lambda: is_there(ns, "held", f"/tmp/done-{n}"), 60 + SECONDS, "passed over")
    slow.paused.set()
    slow.until(lambda s: s.gaps and s.stdout.endswith(lines(n, n)), SECONDS)
    touch(ns, "held", "/tmp/end")
    for one in (slow, fast):
        one.end(SECONDS)
        assert one.code == 3
    assert fast.stdout == lines(1, n) and not fast.gaps
    assert ns.logs("held") == (lines(1, n), b"")
    gap, = slow.gaps
    before = len(slow.stdout) - (len(lines(1, n)) - gap.offset)
    assert before + gap.length == gap.offset
    assert slow.stdout == lines(1, n)[:before] + lines(1, n)[gap.offset:]


# --- the shim --------------------------------------------------------------------------------------


def find(ns, name, **options):
    return next(c for c in ns.list(**options) if c.name == name)


def test_a_stopped_shim_is_said_to_be_silent_and_holds_up_nobody_else(witness):
    ns = witness
    unknown = ns.m.container.CONTAINER_STATE_UNSPECIFIED
    made = ns.run("sh", "-c", GO + counting(1, 1000) + "sleep 1000", detach=True, name="held")
    with frozen.stopped(frozen.shim_of(ns.box, made.id)):
        for _ in range(3):
            held = frozen.all_answer(ns, "witness")["held"]
            assert held.state == unknown and "shim does not answer" in held.status
        inspected = ns.inspect("held")
        assert inspected.container.state == unknown
        assert '"Status": "unknown"' in inspected.document or '"Status":"unknown"' in inspected.document
        assert ns.logs("held") == (b"", b"")
    host.wait_until(lambda: find(ns, "held").state == ns.m.container.CONTAINER_STATE_RUNNING, SECONDS,
                    "known again")
    touch(ns, "held")
    host.wait_until(lambda: ns.logs("held")[0] == lines(1, 1000), SECONDS, "in the log")


@pytest.mark.parametrize("method, fields", [
    ("Stop", {}), ("Kill", {"signal": "USR1"}), ("Remove", {"force": True}),
])
def test_what_needs_a_stopped_shim_can_be_given_up_and_done_later(witness, method, fields):
    """The client's deadline holds, others are not held up, and once the shim goes on it can be done."""
    ns = witness
    made = ns.run("sleep", "1000", detach=True, name="held")
    request = getattr(ns.m.container, f"ContainerService{method}Request")(container="held", **fields)
    with frozen.stopped(frozen.shim_of(ns.box, made.id)):
        failure = ns.api.failure(lambda: ns.call(getattr(ns.api.container, method), request, timeout=4))
        assert failure.code in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE), failure
        frozen.all_answer(ns, "witness")
    with contextlib.suppress(grpc.RpcError):  # a removal that was begun may have gone on by itself
        ns.remove("held", force=True)
    host.wait_until(lambda: [c.name for c in ns.list(all=True)] == ["witness"], SECONDS, "removed")


def test_what_needs_a_stopped_shim_fails_by_itself_and_says_why(witness):
    """Also for a client that would wait for ever. Meanwhile whoever only looks is answered, and told as well."""
    ns, m = witness, witness.m.container
    made = {name: ns.run("sleep", "1000", detach=True, name=name).id for name in ("killed", "stopped", "removed")}
    calls = [(ns.api.container.Kill, m.ContainerServiceKillRequest(container="killed", signal="USR1")),
             (ns.api.container.Stop, m.ContainerServiceStopRequest(container="stopped", timeout=3600)),
             (ns.api.container.Remove, m.ContainerServiceRemoveRequest(container="removed", force=True))]
    with contextlib.ExitStack() as shims:
        for container in made.values():
            shims.enter_context(frozen.stopped(frozen.shim_of(ns.box, container)))
        going = [method.future(request, metadata=ns.metadata) for method, request in calls]
        for _ in range(2):
            info = ns.call(ns.api.system.Info, ns.m.system.SystemServiceInfoRequest(), timeout=SECONDS)
            assert (info.containers, info.containers_running, info.containers_stopped) == (4, 1, 0)
            assert any("3 of the containers" in warning for warning in info.warnings)
        for call, container in zip(going, made.values()):
            failure = ns.api.failure(lambda: call.result(3 * SECONDS))
            assert (failure.code, failure.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "SHIM_SILENT"), failure
            assert container[:12] in failure.message and failure.suggestions
    for name in ("killed", "stopped", "removed"):
        with contextlib.suppress(grpc.RpcError):  # what was begun goes on by itself
            ns.remove(name, force=True)
    host.wait_until(lambda: [c.name for c in ns.list(all=True)] == ["witness"], SECONDS, "removed")


def test_a_daemon_starts_beside_a_stopped_shim(own):
    own.run("sh", "-c", "echo up; sleep 1000", detach=True, name="witness")
    made = own.run("sleep", "1000", detach=True, name="held", auto_remove=True)
    own.box.daemon.kill()
    with frozen.stopped(frozen.shim_of(own.box, made.id)):
        own.box.daemon.start()
        connect_again(own)
        frozen.all_answer(own, "witness")
    host.wait_until(lambda: find(own, "held").state == own.m.container.CONTAINER_STATE_RUNNING, SECONDS,
                    "known again")
