"""Standard streams of containers, through the API: attached by whoever, whenever, without losing a byte."""

import hashlib
import pathlib
import random

import grpc
import pytest

import host
import leaks
import streams
import stubs


def lines(n):
    return b"".join(b"line %d\n" % i for i in range(1, n + 1))


def counting(n, end="exit 5"):
    return ("sh", "-c", f"i=0; while [ $i -lt {n} ]; do i=$((i+1)); echo line $i; done; {end}")


def test_input_of_a_run(ready):
    going = streams.run(ready, "cat", interactive=True, auto_remove=True)
    going.until(lambda s: s.session is not None and s.id)
    assert going.session.stdin and not going.session.tty
    going.send(b"hello\n", end=True).end()
    assert (going.stdout, going.code) == (b"hello\n", 0)
    assert going.input_closed
    assert not ready.list(all=True)


def test_input_of_a_run_is_in_the_log_once(ready):
    going = streams.run(ready, "sh", "-c", "cat; echo end >&2", interactive=True)
    going.until(lambda s: s.session is not None)
    going.send(b"one\ntwo\n", end=True).end()
    assert (going.stdout, going.stderr) == (b"one\ntwo\n", b"end\n")
    assert ready.logs(going.id) == (b"one\ntwo\n", b"end\n")


def test_input_stays_open_without_an_end(ready):
    """Neither a half-close of the call nor a cut connection ends it."""
    going = streams.run(ready, "cat", interactive=True, name="keeps")
    going.until(lambda s: s.session is not None and s.id)
    going.send(b"first\n").until(lambda s: s.stdout == b"first\n")
    going.requests.put(None)
    again = streams.attach(ready, "keeps").until(lambda s: s.session is not None)
    again.send(b"second\n").until(lambda s: s.stdout == b"second\n")
    going.until(lambda s: s.stdout == b"first\nsecond\n")
    again.cut()
    going.cut()
    assert ready.state("keeps") == ready.m.container.CONTAINER_STATE_RUNNING


def test_a_terminal(ready):
    going = streams.run(ready, "sh", tty=True, interactive=True, auto_remove=True,
                        stream={"size": (80, 25)})
    going.until(lambda s: s.session is not None and s.id)
    assert going.session.tty and going.session.stdin
    first = b"stty size; echo do''ne\n"
    going.send(first).until(lambda s: b"done\r\n" in s.stdout)
    assert b"25 80\r\n" in going.stdout
    ready.call(ready.api.container.Resize, ready.m.container.ContainerServiceResizeRequest(
        container=going.id, size=ready.m.container.TerminalSize(width=120, height=50)))
    going.send(b"stty size; exit 6\n", offset=len(first)).end()
    assert b"50 120\r\n" in going.stdout
    assert going.code == 6


def test_ctrl_c_in_a_terminal(ready):
    going = streams.run(ready, "sh", "-c", "trap 'echo int; exit 4' INT; echo up; while :; do sleep 0.1; done",
                        tty=True, interactive=True)
    going.until(lambda s: b"up" in s.stdout)
    going.send(b"\x03").end()
    assert b"int" in going.stdout
    assert going.code == 4


def test_detach_and_attach_again(ready):
    going = streams.run(ready, "sh", tty=True, interactive=True, name="shell")
    going.until(lambda s: s.session is not None and s.id)
    going.send(b"A=kept\n").until(lambda s: s.taken == 7)
    going.detach()
    going.end()
    assert going.exit is None
    again = streams.attach(ready, "shell").until(lambda s: s.session is not None)
    again.send(b"echo is $A; exit 2\n").end()
    assert b"is kept\r\n" in again.stdout
    assert again.code == 2


def test_a_container_that_has_left_its_terminal_can_be_left(ready):
    going = streams.run(ready, "sh", "-c",
                        "exec </dev/null >/dev/null 2>&1; echo > /tmp/closed; exec sleep 100",
                        tty=True, interactive=True, name="away")
    going.until(lambda s: s.session is not None and s.id)
    while streams.execute(ready, "away", "cat", "/tmp/closed").end().code != 0:
        pass
    going.detach()
    going.end()
    assert going.exit is None


def test_sixteen_attached_at_once_get_the_same(ready):
    ready.run("sh", "-c", "while [ ! -e /tmp/go ]; do sleep 0.05; done; "
              + counting(20000)[2], detach=True, name="many")
    everyone = [streams.attach(ready, "many") for _ in range(16)]
    for one in everyone:
        one.until(lambda s: s.session is not None)
    streams.execute(ready, "many", "touch", "/tmp/go").end()
    for one in everyone:
        one.end()
        assert one.stdout == lines(20000)
        assert one.code == 5 and not one.gaps


def test_a_container_with_a_terminal_and_no_input(ready):
    ready.run("sh", "-c", "while [ ! -e /tmp/go ]; do sleep 0.05; done; echo tty; tty; exit 1",
              tty=True, detach=True, name="plain")
    going = streams.attach(ready, "plain").until(lambda s: s.session is not None)
    assert going.session.tty and not going.session.stdin
    streams.execute(ready, "plain", "touch", "/tmp/go").end()
    going.end()
    assert going.stdout == b"tty\r\n/dev/console\r\n" or b"/dev/pts" in going.stdout
    assert going.code == 1


def test_a_created_container_is_attached_before_it_starts(ready):
    ready.create("sh", "-c", "echo first; cat", interactive=True, name="made")
    going = streams.start(ready, "made").until(lambda s: s.session is not None)
    going.send(b"then\n", end=True).end()
    assert (going.stdout, going.code) == (b"first\nthen\n", 0)
    again = streams.start(ready, "made").until(lambda s: s.session is not None)
    again.send(b"and again\n", end=True).end()
    assert again.stdout == b"first\nand again\n"


def test_input_for_a_container_without_is_refused(ready):
    ready.run("sleep", "1000", detach=True, name="deaf")
    going = streams.attach(ready, "deaf").until(lambda s: s.session is not None)
    assert not going.session.stdin
    going.control(input=ready.m.container.Input(data=b"x"))
    with pytest.raises(grpc.RpcError) as error:
        going.end()
    assert ready.api.read_failure(error.value).reason == "NO_STANDARD_INPUT"


def test_without_a_helper_the_log_is_followed(ready):
    """As with a container that another program started: no session, no input, and it is said."""
    made = ready.run("sh", "-c", "echo before; while [ ! -e /tmp/go ]; do sleep 0.05; done; echo after; exit 2",
                     detach=True, name="foreign")
    while ready.logs("foreign")[0] != b"before\n":
        pass
    next(ready.box.folder.glob(f"data/*/containers/{ready.name}/{made.id}/streams/socket")).unlink()
    going = streams.attach(ready, "foreign").until(lambda s: s.session is not None)
    assert going.session.source == ready.m.container.OUTPUT_SOURCE_LOG
    assert not going.session.id and not going.session.stdin
    leaving = streams.attach(ready, "foreign").until(lambda s: s.session is not None)
    leaving.detach()
    assert leaving.end().exit is None
    streams.execute(ready, "foreign", "touch", "/tmp/go").end()
    going.end()
    assert (going.stdout, going.code) == (b"after\n", 2)


@pytest.mark.parametrize("stream, field", [
    ({"session_id": "no session"}, "stream.session_id"),
    ({"session_id": "0" * 31 + "g"}, "stream.session_id"),
])
def test_wrong_sessions_are_named(ready, stream, field):
    ready.run("sleep", "1000", detach=True, name="some")
    with pytest.raises(grpc.RpcError) as error:
        streams.attach(ready, "some", stream=stream).end()
    failure = ready.api.read_failure(error.value)
    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert list(failure.fields) == [f"options.{field}"]


def test_a_session_of_somebody_else_s_container_is_none(ready):
    going = streams.run(ready, "cat", interactive=True, name="mine")
    going.until(lambda s: s.session is not None)
    ready.run("cat", interactive=True, detach=True, name="other")
    with pytest.raises(grpc.RpcError) as error:
        streams.attach(ready, "other", stream={"session_id": going.session.id}).end()
    assert ready.api.read_failure(error.value).reason == "SESSION_NOT_FOUND"
    going.cut()


def test_messages_out_of_place_are_refused(ready):
    m = ready.m.container
    ready.run("sleep", "1000", detach=True, name="some")
    requests = [
        [m.ContainerServiceAttachRequest(signal="TERM")],
        [m.ContainerServiceAttachRequest()],
        [],
        [m.ContainerServiceAttachRequest(options=m.AttachOptions(container="some"))] * 2,
    ]
    for messages in requests:
        with pytest.raises(grpc.RpcError) as error:
            list(ready.call(ready.api.container.Attach, iter(messages)))
        assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_attach_needs_a_container_that_runs(ready):
    ready.create("true", name="idle")
    with pytest.raises(grpc.RpcError) as error:
        streams.attach(ready, "idle").end()
    failure = ready.api.read_failure(error.value)
    assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION,
                                              "CONTAINER_NOT_RUNNING")


@pytest.mark.parametrize("tty", [False, True], ids=["plain", "tty"])
def test_a_session_is_resumed_at_random_bytes(ready, tty):
    """Connections are cut wherever it happens; what comes is what was written, once."""
    dice = random.Random(7)
    going = streams.run(ready, *counting(60000), tty=tty, name="cut", stream={"acknowledge": True})
    got = b""
    for _ in range(6):
        wanted = dice.randrange(1, 60000)
        going.until(lambda s, w=wanted: s.session is not None and (len(s.stdout) > w or s.exit))
        going.cut()
        got += going.stdout
        if going.exit is not None:
            break
        going = streams.attach(ready, "cut", stream={"acknowledge": True,
                                                     "session_id": going.session.id,
                                                     "stdout_offset": len(got)})
        going.until(lambda s: s.session is not None)
    going.end()
    got += going.stdout
    assert not going.gaps
    want = lines(60000).replace(b"\n", b"\r\n" if tty else b"\n")
    assert hashlib.sha256(got).digest() == hashlib.sha256(want).digest()
    assert going.code == 5


@pytest.mark.parametrize("remove", [False, True], ids=["stays", "removes itself"])
def test_what_was_not_acknowledged_at_the_end_is_sent_again(ready, remove):
    """The process has ended long ago, and nothing of it had arrived."""
    going = streams.run(ready, "sh", "-c", "echo all of it; exit 3", name="short", auto_remove=remove,
                        stream={"acknowledge": True})
    going.acknowledges = False
    going.until(lambda s: s.session is not None and s.stdout)
    going.cut()
    again = streams.attach(ready, "short", stream={"acknowledge": True, "session_id": going.session.id})
    again.end()
    assert (again.stdout, again.code) == (b"all of it\n", 3)


# Says nothing more, but has not ended: the end of its output comes before its exit code.
QUIET = "echo x; exec >&- 2>&-; while [ ! -e /tmp/go ]; do sleep 0.05; done; touch /tmp/went; exit 9"


def cut_when_quiet(going):
    """The client has everything but the exit code."""
    going.until(lambda s: s.session is not None and s.stdout == b"x\n")
    going.cut()
    assert going.exit is None


@pytest.mark.parametrize("remove", [False, True], ids=["stays", "removes itself"])
def test_an_exit_code_is_kept_for_who_is_cut_off_before_it(ready, remove):
    going = streams.run(ready, "sh", "-c", QUIET, name="quiet", auto_remove=remove, stream={"acknowledge": True})
    cut_when_quiet(going)
    streams.execute(ready, "quiet", "touch", "/tmp/go").end()
    ready.wait("quiet")
    again = streams.attach(ready, "quiet", stream={"acknowledge": True, "session_id": going.session.id,
                                                   "stdout_offset": 2}).end()
    assert (again.stdout, again.code) == (b"", 9)
    host.wait_until(lambda: len(ready.list(all=True)) == (0 if remove else 1), 10, "removed, if it is to be")


def test_an_exit_code_is_kept_by_a_daemon_that_dies(own):
    going = streams.run(own, "sh", "-c", QUIET, name="quiet", auto_remove=True, stream={"acknowledge": True})
    going.until(lambda s: s.session is not None and s.stdout == b"x\n")
    streams.execute(own, "quiet", "touch", "/tmp/go", detach=True).end()
    own.box.daemon.kill()
    with pytest.raises(grpc.RpcError):
        going.end()
    own.box.daemon.start()
    again = streams.attach(own, "quiet", stream={"acknowledge": True, "session_id": going.session.id,
                                                 "stdout_offset": 2}).end()
    assert (again.stdout, again.code) == (b"", 9)
    host.wait_until(lambda: not own.list(all=True), 10, "removed")


@pytest.mark.parametrize("tty", [False, True], ids=["plain", "tty"])
def test_an_exit_code_that_did_not_arrive_is_told_again(ready, tty):
    going = streams.run(ready, "echo", "x", tty=tty, name="gone", auto_remove=True,
                        stream={"acknowledge": True}).end()
    again = streams.attach(ready, "gone", stream={
        "acknowledge": True, "session_id": going.session.id, "stdout_offset": len(going.stdout)})
    again.end()
    assert (again.stdout, again.code) == (b"", 0)
    with pytest.raises(grpc.RpcError):
        streams.attach(ready, "gone", stream={"session_id": going.session.id}).end()


def test_one_who_does_not_read_costs_no_memory_and_holds_up_nobody(ready):
    ready.run("sh", "-c", "while [ ! -e /tmp/go ]; do sleep 0.05; done; dd if=/dev/zero bs=1M count=200; "
              "sleep 1000", detach=True, name="flood", log=ready.m.container.LogConfig(
                  options={"max-size": "1m"}))
    stuck = streams.attach(ready, "flood", stream={"acknowledge": True})
    stuck.until(lambda s: s.session is not None)
    stuck.acknowledges = False
    before = leaks.rss_kib(ready.box.daemon.process.pid)
    streams.execute(ready, "flood", "touch", "/tmp/go").end()
    stuck.until(lambda s: len(s.stdout) >= 150_000)
    assert leaks.rss_kib(ready.box.daemon.process.pid) - before < 8 * 1024
    stuck.detach()
    stuck.end()


@pytest.mark.parametrize("tty", [False, True], ids=["plain", "tty"])
def test_output_of_the_driver_none_reaches_who_is_attached(ready, tty):
    none = ready.m.container.LogConfig(driver="none")
    end = b"\r\n" if tty else b"\n"
    done = streams.run(ready, "sh", "-c", "echo seen; exit 3", tty=tty, log=none, auto_remove=True).end()
    assert (done.stdout, done.code) == (b"seen" + end, 3)
    ready.run("sh", "-c", "while [ ! -e /tmp/go ]; do sleep 0.05; done; echo later", tty=tty, log=none,
              detach=True, name="mute")
    going = streams.attach(ready, "mute").until(lambda s: s.session is not None)
    assert going.session.id and going.session.tty == tty
    streams.execute(ready, "mute", "touch", "/tmp/go").end()
    going.end()
    assert (going.stdout, going.code) == (b"later" + end, 0)
    again = streams.start(ready, "mute").end()
    assert again.stdout == b"later" + end


@pytest.mark.parametrize("tty", [False, True], ids=["plain", "tty"])
def test_input_of_the_driver_none(ready, tty):
    none = ready.m.container.LogConfig(driver="none")
    going = streams.run(ready, "sh", "-c", "read a; echo got $a; exit 2", tty=tty, interactive=True, log=none)
    going.until(lambda s: s.session is not None and s.id)
    going.send(b"word\n").end()
    assert b"got word" in going.stdout
    assert going.code == 2


def test_a_killed_daemon_is_no_end(own):
    going = streams.run(own, "cat", interactive=True, name="cat", stream={"acknowledge": True})
    going.until(lambda s: s.session is not None and s.id)
    going.send(b"before\n").until(lambda s: s.stdout == b"before\n")
    own.box.daemon.kill()
    with pytest.raises(grpc.RpcError):
        going.end()
    own.box.daemon.start()
    again = streams.attach(own, "cat", stream={"session_id": going.session.id, "acknowledge": True,
                                               "stdout_offset": len(going.stdout)})
    again.until(lambda s: s.session is not None)
    assert again.session.stdin_offset == 7
    again.send(b"after\n", offset=7, end=True).end()
    assert (again.stdout, again.code) == (b"after\n", 0)


def test_a_client_that_dies_leaves_nothing_held(ready):
    ready.run("cat", interactive=True, detach=True, name="held")
    held = leaks.Holdings(ready.box.daemon.process.pid)
    for _ in range(5):
        going = streams.attach(ready, "held").until(lambda s: s.session is not None)
        going.send(b"x").until(lambda s: s.stdout)
        going.cut()
    held.assert_same()


@pytest.fixture
def narrow(ready):
    """The namespace through a connection that takes next to nothing of a stream before it is read."""
    api = stubs.Api(ready.api.m, ready.box.daemon.target,
                    options=[("grpc.http2.lookahead_bytes", 1024), ("grpc.http2.bdp_probe", 0)])
    yield api.namespace(ready.name)
    api.close()


def test_heartbeats_come_when_nothing_else_does_but_not_behind_the_exit_code(ready, narrow):
    """Which somebody may take late: it is the last that there is."""
    late = streams.run(narrow, "sh", "-c", "read go; head -c 50000 /dev/zero", interactive=True)
    late.until(lambda s: s.session is not None and s.id)
    late.paused.clear()
    late.send(b"go\n")
    ready.wait(late.id)
    ready.run("sleep", "1000", detach=True, name="quiet")
    going = streams.attach(ready, "quiet")
    going.until(lambda s: s.heartbeats > 0)
    going.detach()
    going.end()
    late.paused.set()
    assert len(late.end().stdout) == 50000
    assert (late.code, late.heartbeats) == (0, 0)


def lock_holder(path):
    """The process that took the lock on a file."""
    inode = f":{path.stat().st_ino}"
    for line in pathlib.Path("/proc/locks").read_text().splitlines():
        words = line.split()
        if "->" not in words and words[1] == "FLOCK" and words[5].endswith(inode):
            return int(words[4])
    return None


@pytest.mark.parametrize("interactive", [False, True])
def test_start_does_not_wait_for_a_client_of_before(ready, interactive):
    """One that was cut off, and holds more than is kept for it: the log gets the rest, and the new logger the lock.
    What is still in a shim that copies, with input, goes with the shim."""
    request = ready.run_request("sh", "-c", "[ -e /once ] && exec sleep 1000; touch /once; "
                                "yes | head -c 280000; echo end", interactive=interactive)
    request.options.stream.acknowledge = True
    replies = ready.call(ready.api.container.Run, iter([request]))
    container = next(r.container_id for r in replies if r.WhichOneof("response") == "container_id")
    next(r for r in replies if r.WhichOneof("response") == "output")
    replies.cancel()
    exited = ready.m.container.CONTAINER_STATE_EXITED
    host.wait_until(lambda: ready.state(container) == exited, 20, "ended")
    lock = next(ready.box.daemon.data_root.glob(f"*/containers/{ready.name}/{container}/logger-lock"))
    before = lock_holder(lock)
    assert before is not None, "nobody holds anything up"
    ready.start(container)
    assert lock_holder(lock) not in (before, None)
    written, log = b"y\n" * 140000 + b"end\n", ready.logs(container)[0]
    assert len(log) > 200 * 1024
    assert written.startswith(log) if interactive else log == written
