"""Commands in containers, through the API."""

import hashlib
import os

import grpc
import pytest

import leaks
import streams


@pytest.fixture
def box_container(ready):
    """A container that only waits."""
    ready.sleeper = ready.run("sleep", "1000", detach=True, name="sleeper", env=["KEPT=yes"]).id
    return ready


def test_output_and_exit_code(box_container):
    done = streams.execute(box_container, "sleeper", "sh", "-c", "echo out; echo err >&2; exit 7").end()
    assert (done.stdout, done.stderr, done.code) == (b"out\n", b"err\n", 7)
    assert done.session.id and not done.session.tty and not done.session.stdin


@pytest.mark.parametrize("args, reason, code", [
    (["no-such-program"], "CONTAINER_COMMAND_NOT_FOUND", "127"),
    (["/no/such/program"], "CONTAINER_COMMAND_NOT_FOUND", "127"),
    (["/etc"], "CONTAINER_COMMAND_NOT_EXECUTABLE", "126"),
])
def test_what_cannot_be_started(box_container, args, reason, code):
    with pytest.raises(grpc.RpcError) as error:
        streams.execute(box_container, "sleeper", *args).end()
    failure = box_container.api.read_failure(error.value)
    assert failure.code == grpc.StatusCode.FAILED_PRECONDITION
    assert failure.reason == reason
    assert failure.detail.metadata["exit_code"] == code


def test_environment_folder_and_user(box_container):
    done = streams.execute(box_container, "sleeper", "sh", "-c", 'echo $KEPT $NEW $PWD; id -u; id -g',
                           env=["NEW=1", "NEW=2"], working_dir="/tmp", user="1234:55").end()
    assert done.stdout == b"yes 2 /tmp\n1234\n55\n"
    done = streams.execute(box_container, "sleeper", "id", "-un", user="root").end()
    assert (done.code, done.stdout) == (0, b"root\n")


def test_privileged_has_every_capability(box_container):
    def effective(**fields):
        done = streams.execute(box_container, "sleeper", "grep", "CapEff", "/proc/self/status",
                               **fields).end()
        return int(done.stdout.split()[1], 16)
    assert effective(privileged=True) & (1 << 21)
    assert not effective() & (1 << 21)


@pytest.mark.parametrize("fields, field", [
    ({"args": []}, "args"),
    ({"args": ["id"], "working_dir": "relative"}, "working_dir"),
    ({"args": ["id"], "env": ["=x"]}, "env[0]"),
    ({"args": ["id"], "user": "nobody-of-this-name"}, "user"),
    ({"args": ["id"], "exec_id": "1234"}, "exec_id"),
    ({"args": ["id"], "interactive": True, "detach": True}, "interactive"),
])
def test_wrong_fields_are_named(box_container, fields, field):
    args = fields.pop("args")
    with pytest.raises(grpc.RpcError) as error:
        streams.execute(box_container, "sleeper", *args, **fields).end()
    failure = box_container.api.read_failure(error.value)
    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert list(failure.fields) == [f"options.{field}"]


def test_a_container_that_does_not_run_has_no_commands(ready):
    ready.create("true", name="idle")
    with pytest.raises(grpc.RpcError) as error:
        streams.execute(ready, "idle", "id").end()
    assert ready.api.read_failure(error.value).reason == "CONTAINER_NOT_RUNNING"


def test_input_arrives_byte_for_byte_and_memory_stays(box_container):
    data = os.urandom(1 << 20) * 64
    before = leaks.rss_kib(box_container.box.daemon.process.pid)
    going = streams.execute(box_container, "sleeper", "cat", interactive=True,
                            stream={"acknowledge": True})
    going.until(lambda s: s.session is not None and s.id)
    assert going.session.stdin
    hashed, seen, peak = hashlib.sha256(), 0, before
    for start in range(0, len(data), 1 << 20):
        going.send(data[start:start + (1 << 20)], offset=start)
        with going.changed:
            hashed.update(going.stdout)
            seen += len(going.stdout)
            going.out[going.m.OUTPUT_STREAM_STDOUT] = b""
        peak = max(peak, leaks.rss_kib(box_container.box.daemon.process.pid))
    going.send(b"", offset=len(data), end=True)
    going.end()
    hashed.update(going.stdout)
    assert seen + len(going.stdout) == len(data)
    assert hashed.digest() == hashlib.sha256(data).digest()
    assert going.code == 0 and going.input_closed
    assert peak - before < 16 * 1024


def test_a_terminal_has_the_size_of_the_client_s(box_container):
    going = streams.execute(box_container, "sleeper", "sh", tty=True, interactive=True,
                            stream={"size": (91, 37)})
    going.until(lambda s: s.session is not None)
    assert going.session.tty and going.session.stdin
    going.send(b"stty size; echo do''ne\n").until(lambda s: b"done\r\n" in s.stdout)
    assert b"37 91\r\n" in going.stdout
    going.resize(100, 40)
    going.send(b"stty size; echo do''ne-again; exit 3\n", offset=len(b"stty size; echo do''ne\n"))
    going.end()
    assert b"40 100\r\n" in going.stdout
    assert going.code == 3


def test_detached_returns_at_once(box_container):
    done = streams.execute(box_container, "sleeper", "sh", "-c", "echo x; echo left > /tmp/mark; exec sleep 100",
                           detach=True).end()
    assert done.id and done.exit is None

    def mark():
        return streams.execute(box_container, "sleeper", "cat", "/tmp/mark").end().stdout
    while mark() != b"left\n":
        pass


def test_a_command_without_outputs_can_be_left(box_container):
    going = streams.execute(box_container, "sleeper", "sh", "-c",
                            "exec >/dev/null 2>&1; echo > /tmp/closed; exec sleep 100")
    going.until(lambda s: s.session is not None and s.id)
    while streams.execute(box_container, "sleeper", "cat", "/tmp/closed").end().code != 0:
        pass
    going.detach()
    going.end()
    assert going.exit is None


def test_signals_reach_the_command_alone(box_container):
    going = streams.execute(box_container, "sleeper", "sh", "-c",
                            "trap 'echo got; exit 9' USR1; echo up; while :; do sleep 0.1; done")
    going.until(lambda s: s.stdout == b"up\n")
    going.signal("USR1")
    going.end()
    assert (going.stdout, going.code) == (b"up\ngot\n", 9)
    assert box_container.state("sleeper") == box_container.m.container.CONTAINER_STATE_RUNNING


def test_a_session_outlives_its_connection(box_container):
    script = "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); echo line $i; done; exit 5"
    want = b"".join(b"line %d\n" % i for i in range(1, 30001))
    going = streams.execute(box_container, "sleeper", "sh", "-c", script,
                            stream={"acknowledge": True})
    got = b""
    for round_ in range(5):
        going.until(lambda s: s.session is not None and (len(s.stdout) > 20000 * round_ or s.over))
        going.cut()
        if going.error is None:
            break  # a fast command had ended before the cut, and its client knows
        got += going.stdout
        resume = {"acknowledge": True, "session_id": going.session.id,
                  "stdout_offset": len(got)}
        going = streams.execute(box_container, "sleeper", exec_id=going.id, stream=resume)
        going.until(lambda s: s.session is not None and s.id)
    going.end()
    got += going.stdout
    assert not going.gaps
    assert got == want
    assert going.code == 5


def test_an_exit_code_is_kept_for_who_is_cut_off_before_it(box_container):
    """Everything else had arrived."""
    going = streams.execute(box_container, "sleeper", "sh", "-c",
                            "echo x; exec >&- 2>&-; while [ ! -e /tmp/go ]; do sleep 0.05; done; "
                            "touch /tmp/went; exit 9", stream={"acknowledge": True})
    going.until(lambda s: s.session is not None and s.stdout == b"x\n")
    going.cut()
    streams.execute(box_container, "sleeper", "sh", "-c",
                    "touch /tmp/go; while [ ! -e /tmp/went ]; do sleep 0.05; done").end()
    again = streams.execute(box_container, "sleeper", exec_id=going.id, stream={
        "acknowledge": True, "session_id": going.session.id, "stdout_offset": 2}).end()
    assert (again.stdout, again.code) == (b"", 9)


def test_a_cut_connection_does_not_end_input(box_container):
    data = os.urandom(300_000)
    going = streams.execute(box_container, "sleeper", "sha256sum", interactive=True)
    going.until(lambda s: s.session is not None and s.id)
    going.send(data[:200_000]).until(lambda s: s.taken > 50_000)
    going.cut()
    again = streams.execute(box_container, "sleeper", exec_id=going.id,
                            stream={"session_id": going.session.id})
    again.until(lambda s: s.session is not None)
    assert again.session.stdin_offset >= 50_000
    again.send(data[again.session.stdin_offset:], offset=again.session.stdin_offset, end=True)
    again.end()
    assert again.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()
    assert again.code == 0


def test_nobody_s_session_is_refused(box_container):
    with pytest.raises(grpc.RpcError) as error:
        streams.execute(box_container, "sleeper", exec_id="0" * 32,
                        stream={"session_id": "0" * 32}).end()
    assert box_container.api.read_failure(error.value).reason == "SESSION_NOT_FOUND"


def test_a_thousand_bytes_more_than_asked_are_an_error(box_container):
    """Input with a hole, input after its end, an acknowledgement of what was never sent."""
    m = box_container.m.container
    wrong = [
        {"input": m.Input(offset=5, data=b"x")},
        {"acknowledgement": m.Acknowledgement(stream=1, offset=1000)},
        {"acknowledgement": m.Acknowledgement(offset=0)},
        {"resize": m.TerminalSize(width=70000, height=1)},
        {},
    ]
    for control in wrong:
        going = streams.execute(box_container, "sleeper", "cat", interactive=True,
                                stream={"acknowledge": True})
        going.until(lambda s: s.session is not None)
        going.control(**control)
        with pytest.raises(grpc.RpcError) as error:
            going.end()
        assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_failed_commands_leave_nothing(box_container):
    held = leaks.Holdings(box_container.box.daemon.process.pid)
    for _ in range(10):
        with pytest.raises(grpc.RpcError):
            streams.execute(box_container, "sleeper", "no-such-program").end()
        assert streams.execute(box_container, "sleeper", "true").end().code == 0
    held.assert_same()


def test_a_killed_daemon_does_not_end_a_command(own):
    ns = own
    ns.run("sleep", "1000", detach=True, name="sleeper")
    going = streams.execute(ns, "sleeper", "sh", "-c", "read line; echo got $line; exit 4",
                            interactive=True, stream={"acknowledge": True})
    going.until(lambda s: s.session is not None and s.id)
    ns.box.daemon.kill()
    with pytest.raises(grpc.RpcError):
        going.end()
    ns.box.daemon.start()
    again = streams.execute(ns, "sleeper", exec_id=going.id,
                            stream={"session_id": going.session.id, "acknowledge": True})
    again.until(lambda s: s.session is not None)
    again.send(b"word\n", end=True).end()
    assert (again.stdout, again.code) == (b"got word\n", 4)
