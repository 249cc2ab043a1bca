"""Wrong requests for streams, commands, signals and operations: the code is right, the field or the reason is
named, nothing has changed and nothing is left.

One table. A row is a call: what is wrong, the method, its first message, what follows once the client is
attached, the code, and what must be named: a field, or in capitals a reason. An empty text: the code alone
tells. Fields of the first message lie in its "options". The containers that rows speak of are made once;
every row must leave them as they were.
"""

import os

import grpc
import pytest

import host
import leaks
import stubs

INVALID = grpc.StatusCode.INVALID_ARGUMENT
MISSING = grpc.StatusCode.NOT_FOUND
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
TOO_LARGE = grpc.StatusCode.RESOURCE_EXHAUSTED

NOBODY = "0" * 32
LONG = "x" * 200_000
MANY = ["x"] * 5000
DUPLICATE = "with the same first message again"
EMPTY = "with an empty message"

# Who is there: box sleeps, cat reads, shell has a terminal, idle was never started, gone has ended, frozen is
# paused.
ROWS = [
    # --- the first message ---
    ("attach to nothing", "Attach", {"container": ""}, [], INVALID, "container"),
    ("attach to a missing container", "Attach", {"container": "nosuch"}, [], MISSING,
     "CONTAINER_NOT_FOUND"),
    ("attach to an impossible name", "Attach", {"container": "../box"}, [], MISSING,
     "CONTAINER_NOT_FOUND"),
    ("attach to a name too long", "Attach", {"container": LONG}, [], MISSING, "CONTAINER_NOT_FOUND"),
    ("attach to one not started", "Attach", {"container": "idle"}, [], PRECONDITION,
     "CONTAINER_NOT_RUNNING"),
    ("attach to one that has ended", "Attach", {"container": "gone"}, [], PRECONDITION,
     "CONTAINER_NOT_RUNNING"),
    ("start nothing", "Start", {"container": ""}, [], INVALID, "container"),
    ("start a missing container", "Start", {"container": "nosuch"}, [], MISSING,
     "CONTAINER_NOT_FOUND"),
    ("start a paused container", "Start", {"container": "frozen"}, [], PRECONDITION,
     "CONTAINER_PAUSED"),
    ("exec in nothing", "Exec", {"container": "", "args": ["id"]}, [], INVALID, "container"),
    ("exec in a missing container", "Exec", {"container": "nosuch", "args": ["id"]}, [], MISSING,
     "CONTAINER_NOT_FOUND"),
    ("exec in one not started", "Exec", {"container": "idle", "args": ["id"]}, [], PRECONDITION,
     "CONTAINER_NOT_RUNNING"),
    ("exec in one that has ended", "Exec", {"container": "gone", "args": ["id"]}, [], PRECONDITION,
     "CONTAINER_NOT_RUNNING"),
    ("exec in a paused container", "Exec", {"container": "frozen", "args": ["id"]}, [], PRECONDITION,
     "CONTAINER_PAUSED"),
    ("run nothing", "Run", {}, [], INVALID, "config"),
    ("run without an image", "Run", {"config": {}}, [], INVALID, "config.image"),
    ("run a missing image", "Run", {"config": {"image": "nosuch:1"}}, [], MISSING, "IMAGE_NOT_FOUND"),

    # --- commands ---
    ("exec with a bad request id", "Exec", {"container": "box", "args": ["id"], "request_id": "a b"}, [],
     INVALID, "request_id"),
    ("exec without a program", "Exec", {"container": "box"}, [], INVALID, "args"),
    ("exec with an empty program", "Exec", {"container": "box", "args": [""]}, [], INVALID, "args"),
    ("exec with an argument too long", "Exec", {"container": "box", "args": ["echo", LONG]}, [], INVALID,
     "args[1]"),
    ("exec with too many arguments", "Exec", {"container": "box", "args": MANY}, [], INVALID, "args"),
    ("exec with too much in all", "Exec", {"container": "box", "args": ["echo"] + ["x" * 100_000] * 30},
     [], INVALID, "args"),
    ("exec with a variable without name", "Exec", {"container": "box", "args": ["id"], "env": ["=x"]}, [],
     INVALID, "env[0]"),
    ("exec with a variable without value", "Exec",
     {"container": "box", "args": ["id"], "env": ["A=1", "B"]}, [], INVALID, "env[1]"),
    ("exec with an empty variable", "Exec", {"container": "box", "args": ["id"], "env": [""]}, [],
     INVALID, "env[0]"),
    ("exec with a variable too long", "Exec",
     {"container": "box", "args": ["id"], "env": ["A=" + LONG]}, [], INVALID, "env[0]"),
    ("exec with too many variables", "Exec",
     {"container": "box", "args": ["id"], "env": ["A=1"] * 5000}, [], INVALID, "env"),
    ("exec in a relative folder", "Exec",
     {"container": "box", "args": ["id"], "working_dir": "tmp"}, [], INVALID, "working_dir"),
    ("exec in a folder too long", "Exec",
     {"container": "box", "args": ["id"], "working_dir": "/" + LONG}, [], INVALID, "working_dir"),
    ("exec in a missing folder", "Exec",
     {"container": "box", "args": ["id"], "working_dir": "/no/such"}, [], PRECONDITION,
     "CONTAINER_START_FAILED"),
    ("exec in a folder that is a file", "Exec",
     {"container": "box", "args": ["id"], "working_dir": "/etc/passwd"}, [], PRECONDITION,
     "CONTAINER_START_FAILED"),
    ("exec as nobody known", "Exec", {"container": "box", "args": ["id"], "user": "nosuch"}, [], INVALID,
     "user"),
    ("exec with an unknown group", "Exec", {"container": "box", "args": ["id"], "user": "0:nosuch"}, [],
     INVALID, "user"),
    ("exec as a negative user", "Exec", {"container": "box", "args": ["id"], "user": "-1"}, [], INVALID,
     "user"),
    ("exec as a user out of range", "Exec",
     {"container": "box", "args": ["id"], "user": "99999999999"}, [], INVALID, "user"),
    ("exec as three names", "Exec", {"container": "box", "args": ["id"], "user": "a:b:c"}, [], INVALID,
     "user"),
    ("exec as a group without user", "Exec", {"container": "box", "args": ["id"], "user": ":5"}, [],
     INVALID, "user"),
    ("exec as a user too long", "Exec", {"container": "box", "args": ["id"], "user": LONG}, [], INVALID,
     "user"),
    ("exec detached with input", "Exec",
     {"container": "box", "args": ["id"], "detach": True, "interactive": True}, [], INVALID,
     "interactive"),
    ("exec of a missing program", "Exec", {"container": "box", "args": ["nosuch"]}, [], PRECONDITION,
     "CONTAINER_COMMAND_NOT_FOUND"),
    ("exec of a missing path", "Exec", {"container": "box", "args": ["/no/such"]}, [], PRECONDITION,
     "CONTAINER_COMMAND_NOT_FOUND"),
    ("exec of a folder", "Exec", {"container": "box", "args": ["/etc"]}, [], PRECONDITION,
     "CONTAINER_COMMAND_NOT_EXECUTABLE"),
    ("exec of what is not executable", "Exec", {"container": "box", "args": ["/etc/passwd"]}, [],
     PRECONDITION, "CONTAINER_COMMAND_NOT_EXECUTABLE"),
    ("exec of a missing program detached", "Exec",
     {"container": "box", "args": ["nosuch"], "detach": True}, [], PRECONDITION,
     "CONTAINER_COMMAND_NOT_FOUND"),
    ("exec of a missing program in a terminal", "Exec",
     {"container": "box", "args": ["nosuch"], "tty": True}, [], PRECONDITION,
     "CONTAINER_COMMAND_NOT_FOUND"),
    ("exec with the id of another", "Exec", {"container": "box", "args": ["id"], "exec_id": NOBODY}, [],
     INVALID, "exec_id"),

    # --- sessions ---
    ("a session of letters", "Attach", {"container": "cat", "stream": {"session_id": "nosuch"}}, [],
     INVALID, "stream.session_id"),
    ("a session in capitals", "Attach", {"container": "cat", "stream": {"session_id": "A" * 32}}, [],
     INVALID, "stream.session_id"),
    ("a session too long", "Attach", {"container": "cat", "stream": {"session_id": "0" * 33}}, [],
     INVALID, "stream.session_id"),
    ("a session of nobody", "Attach", {"container": "cat", "stream": {"session_id": NOBODY}}, [],
     MISSING, "SESSION_NOT_FOUND"),
    ("a session of one without", "Attach", {"container": "gone", "stream": {"session_id": NOBODY}}, [],
     MISSING, "SESSION_NOT_FOUND"),
    ("an offset without a session", "Attach", {"container": "cat", "stream": {"stdout_offset": 5}}, [],
     INVALID, "stream.stdout_offset"),
    ("an offset of errors without a session", "Attach",
     {"container": "cat", "stream": {"stderr_offset": 5}}, [], INVALID, "stream.stderr_offset"),
    ("a session for a start", "Start",
     {"container": "idle", "attach": True, "stream": {"session_id": NOBODY}}, [], INVALID,
     "stream.session_id"),
    ("a session for a run", "Run", {"config": {}, "stream": {"session_id": NOBODY}}, [], INVALID,
     "stream.session_id"),
    ("an offset for a run", "Run", {"config": {}, "stream": {"stderr_offset": 1}}, [], INVALID,
     "stream.stderr_offset"),
    ("a session without its command", "Exec", {"container": "box", "stream": {"session_id": NOBODY}}, [],
     INVALID, "exec_id"),
    ("a session with an impossible command", "Exec",
     {"container": "box", "exec_id": "../../x", "stream": {"session_id": NOBODY}}, [], INVALID,
     "exec_id"),
    ("an impossible session with a command", "Exec",
     {"container": "box", "exec_id": NOBODY, "stream": {"session_id": "x"}}, [], INVALID,
     "stream.session_id"),
    ("a session and a command of nobody", "Exec",
     {"container": "box", "exec_id": NOBODY, "stream": {"session_id": NOBODY}}, [], MISSING,
     "SESSION_NOT_FOUND"),
    ("an offset for a new command", "Exec",
     {"container": "box", "args": ["id"], "stream": {"stdout_offset": 1}}, [], INVALID,
     "stream.stdout_offset"),

    # --- terminals ---
    ("attach with a terminal too wide", "Attach",
     {"container": "shell", "stream": {"terminal_size": {"width": 65536, "height": 1}}}, [], INVALID,
     "stream.terminal_size"),
    ("run with a terminal too high", "Run",
     {"config": {"tty": True}, "stream": {"terminal_size": {"width": 1, "height": 4_000_000_000}}}, [],
     INVALID, "stream.terminal_size"),
    ("start with a terminal too high", "Start",
     {"container": "idle", "attach": True, "stream": {"terminal_size": {"height": 65536}}}, [], INVALID,
     "stream.terminal_size"),
    ("exec with a terminal too wide", "Exec",
     {"container": "box", "args": ["id"], "tty": True, "stream": {"terminal_size": {"width": 65536}}}, [],
     INVALID, "stream.terminal_size"),
    ("resize nothing", "Resize", {"container": "", "size": {"width": 1, "height": 1}}, [], INVALID,
     "container"),
    ("resize without a size", "Resize", {"container": "shell"}, [], INVALID, "size"),
    ("resize too wide", "Resize", {"container": "shell", "size": {"width": 65536, "height": 1}}, [],
     INVALID, "size"),
    ("resize too high", "Resize", {"container": "shell", "size": {"width": 1, "height": 1 << 31}}, [],
     INVALID, "size"),
    ("resize a missing container", "Resize", {"container": "nosuch", "size": {"width": 1}}, [], MISSING,
     "CONTAINER_NOT_FOUND"),
    ("resize one not started", "Resize", {"container": "idle", "size": {"width": 1}}, [], PRECONDITION,
     "CONTAINER_NOT_RUNNING"),
    ("resize one that has ended", "Resize", {"container": "gone", "size": {"width": 1}}, [], PRECONDITION,
     "CONTAINER_NOT_RUNNING"),
    ("resize one without a terminal", "Resize", {"container": "box", "size": {"width": 9, "height": 9}},
     [], PRECONDITION, "NO_TERMINAL"),
    ("resize a missing command", "Resize",
     {"container": "shell", "exec_id": NOBODY, "size": {"width": 1, "height": 1}}, [], MISSING,
     "COMMAND_NOT_FOUND"),
    ("resize an impossible command", "Resize",
     {"container": "shell", "exec_id": "../x", "size": {"width": 1, "height": 1}}, [], INVALID,
     "exec_id"),

    # --- what follows the first message ---
    ("attach twice", "Attach", {"container": "cat"}, [DUPLICATE], INVALID, "request"),
    ("start twice", "Start", {"container": "cat", "attach": True}, [DUPLICATE], INVALID, "request"),
    ("an empty message", "Attach", {"container": "cat"}, [EMPTY], INVALID, "request"),
    ("an empty control", "Attach", {"container": "cat"}, [{"control": {}}], INVALID, "control"),
    ("an unknown signal", "Attach", {"container": "cat"}, [{"signal": "NOSUCH"}], INVALID, "signal"),
    ("a signal out of range", "Attach", {"container": "cat"}, [{"signal": "65"}], INVALID, "signal"),
    ("signal zero", "Attach", {"container": "cat"}, [{"signal": "0"}], INVALID, "signal"),
    ("a negative signal", "Attach", {"container": "cat"}, [{"signal": "-9"}], INVALID, "signal"),
    ("an empty signal", "Attach", {"container": "cat"}, [{"signal": ""}], INVALID, "signal"),
    ("a signal too long", "Attach", {"container": "cat"}, [{"signal": LONG}], INVALID, "signal"),
    ("input with a hole", "Attach", {"container": "cat"},
     [{"control": {"input": {"offset": 5, "data": b"x"}}}], INVALID, "control.input.offset"),
    ("input at the end of the world", "Attach", {"container": "cat"},
     [{"control": {"input": {"offset": (1 << 64) - 1, "data": b"x"}}}], INVALID, "control.input.offset"),
    ("the end of input behind a hole", "Attach", {"container": "cat"},
     [{"control": {"input": {"offset": 1, "end": True}}}], INVALID, "control.input.offset"),
    ("input for one without", "Attach", {"container": "box"}, [{"control": {"input": {"data": b"x"}}}],
     PRECONDITION, "NO_STANDARD_INPUT"),
    ("the end of input for one without", "Attach", {"container": "box"},
     [{"control": {"input": {"end": True}}}], PRECONDITION, "NO_STANDARD_INPUT"),
    ("a size too wide", "Attach", {"container": "shell"},
     [{"control": {"resize": {"width": 65536, "height": 1}}}], INVALID, "control.resize"),
    ("an acknowledgement of nothing", "Attach", {"container": "cat", "stream": {"acknowledge": True}},
     [{"control": {"acknowledgement": {}}}], INVALID, "control.acknowledgement.stream"),
    ("an acknowledgement of another output", "Attach",
     {"container": "cat", "stream": {"acknowledge": True}},
     [{"control": {"acknowledgement": {"stream": 77}}}], INVALID, "control.acknowledgement.stream"),
    ("an acknowledgement of what was not sent", "Attach",
     {"container": "cat", "stream": {"acknowledge": True}},
     [{"control": {"acknowledgement": {"stream": 1, "offset": 1 << 40}}}], INVALID,
     "control.acknowledgement.offset"),
    ("an acknowledgement that was not announced", "Attach", {"container": "cat"},
     [{"control": {"acknowledgement": {"stream": 1}}}], INVALID, "control.acknowledgement"),
    ("a message too large", "Attach", {"container": "cat"},
     [{"control": {"input": {"data": b"x" * (17 << 20)}}}], TOO_LARGE, ""),

    # --- stop, kill, remove ---
    ("stop with an unknown signal", "Stop", {"container": "box", "signal": "NOSUCH"}, [], INVALID,
     "signal"),
    ("stop with a signal too long", "Stop", {"container": "box", "signal": LONG}, [], INVALID, "signal"),
    ("stop within less than for ever", "Stop", {"container": "box", "timeout": -2}, [], INVALID,
     "timeout"),
    ("stop within ages", "Stop", {"container": "box", "timeout": (1 << 31) - 1}, [], INVALID, "timeout"),
    ("stop a missing container", "Stop", {"container": "nosuch"}, [], MISSING, "CONTAINER_NOT_FOUND"),
    ("kill with signal zero", "Kill", {"container": "box", "signal": "0"}, [], INVALID, "signal"),
    ("kill with a signal out of range", "Kill", {"container": "box", "signal": "65"}, [], INVALID,
     "signal"),
    ("kill with a signal of digits and letters", "Kill", {"container": "box", "signal": "9x"}, [],
     INVALID, "signal"),
    ("kill with a real-time signal out of range", "Kill", {"container": "box", "signal": "RTMAX+1"}, [],
     INVALID, "signal"),
    ("kill one that has ended", "Kill", {"container": "gone"}, [], PRECONDITION, "CONTAINER_NOT_RUNNING"),
    ("kill one not started", "Kill", {"container": "idle"}, [], PRECONDITION, "CONTAINER_NOT_RUNNING"),
    ("kill a missing container", "Kill", {"container": "nosuch"}, [], MISSING, "CONTAINER_NOT_FOUND"),
    ("remove one that runs", "Remove", {"container": "box"}, [], PRECONDITION, "CONTAINER_RUNNING"),
    ("remove one that is paused", "Remove", {"container": "frozen"}, [], PRECONDITION,
     "CONTAINER_RUNNING"),
    ("remove a missing container", "Remove", {"container": "nosuch", "force": True}, [], MISSING,
     "CONTAINER_NOT_FOUND"),
    ("remove nothing", "Remove", {"container": "", "force": True}, [], INVALID, "container"),
    ("remove with a bad request id", "Remove", {"container": "gone", "request_id": "a b"}, [], INVALID,
     "request_id"),
    ("remove with a request id too long", "Remove", {"container": "gone", "request_id": "x" * 129}, [],
     INVALID, "request_id"),
    ("create with a bad request id", "Create",
     {"config": {"image": "busybox:latest"}, "request_id": "tab\t"}, [], INVALID, "request_id"),
    ("create with a request id that is not ASCII", "Create",
     {"config": {"image": "busybox:latest"}, "request_id": "é"}, [], INVALID, "request_id"),

    # --- operations ---
    ("look at no operation", "operation.Get", {"id": ""}, [], INVALID, "id"),
    ("look at an operation in capitals", "operation.Get", {"id": "A" * 32}, [], INVALID, "id"),
    ("look at a missing operation", "operation.Get", {"id": NOBODY}, [], MISSING, "OPERATION_NOT_FOUND"),
    ("follow no operation", "operation.Watch", {"id": ""}, [], INVALID, "id"),
    ("follow an impossible operation", "operation.Watch", {"id": "../" * 10}, [], INVALID, "id"),
    ("follow a missing operation", "operation.Watch", {"id": NOBODY}, [], MISSING,
     "OPERATION_NOT_FOUND"),
    ("cancel no operation", "operation.Cancel", {"id": ""}, [], INVALID, "id"),
    ("cancel an operation too long", "operation.Cancel", {"id": LONG}, [], INVALID, "id"),
    ("cancel a missing operation", "operation.Cancel", {"id": NOBODY}, [], MISSING,
     "OPERATION_NOT_FOUND"),
    ("forget no operation", "operation.Delete", {"id": ""}, [], INVALID, "id"),
    ("forget a missing operation", "operation.Delete", {"id": NOBODY}, [], MISSING,
     "OPERATION_NOT_FOUND"),
    ("a negative page of operations", "operation.List", {"page_size": -1}, [], INVALID, "page_size"),
    ("a huge page of operations", "operation.List", {"page_size": 1 << 30}, [], INVALID, "page_size"),
    ("a page of operations after nothing", "operation.List", {"page_token": "nosuch"}, [], INVALID,
     "page_token"),
]

# The same about commands, in a container of their own: a client that said something wrong could come back for
# a while, and its command waits.
COMMAND_ROWS = [
    ("exec twice", "Exec", {"container": "busy", "args": ["sleep", "2"]}, [DUPLICATE], INVALID, "request"),
    ("an unknown signal for a command", "Exec", {"container": "busy", "args": ["sleep", "2"]},
     [{"signal": "NOSUCH"}], INVALID, "signal"),
    ("input for a command without", "Exec", {"container": "busy", "args": ["sleep", "2"]},
     [{"control": {"input": {"data": b"x"}}}], PRECONDITION, "NO_STANDARD_INPUT"),
    ("a size for a command too high", "Exec", {"container": "busy", "args": ["sleep", "2"], "tty": True},
     [{"control": {"resize": {"width": 1, "height": 1 << 20}}}], INVALID, "control.resize"),
]

# Wrong bytes: a good first message in which "@@" stands for them.
BYTES = [
    ("Attach", {"container": "@@"}, "container"),
    ("Attach", {"container": "cat", "stream": {"session_id": "@@"}}, "session_id"),
    ("Start", {"container": "@@"}, "container"),
    ("Run", {"config": {"image": "busybox:latest", "name": "@@"}}, "name"),
    ("Run", {"config": {"image": "busybox:latest", "env": ["A=@@"]}}, "env"),
    ("Exec", {"container": "box", "args": ["echo", "@@"]}, "args"),
    ("Exec", {"container": "box", "args": ["id"], "env": ["A=@@"]}, "env"),
    ("Exec", {"container": "box", "args": ["id"], "working_dir": "/@@"}, "working_dir"),
    ("Exec", {"container": "box", "args": ["id"], "user": "@@"}, "user"),
    ("Exec", {"container": "box", "exec_id": "@@"}, "exec_id"),
    ("Resize", {"container": "@@"}, "container"),
    ("Kill", {"container": "box", "signal": "@@"}, "signal"),
    ("Stop", {"container": "box", "signal": "@@"}, "signal"),
    ("Remove", {"container": "gone", "request_id": "@@"}, "request_id"),
    ("operation.Get", {"id": "@@"}, "id"),
]

BIDI = ("Attach", "Start", "Run", "Exec")


def find(view, name):
    """(method of the stub, request type) of "Attach" or "operation.Get"."""
    service, _, method = name.rpartition(".")
    service = service or "container"
    request = getattr(getattr(view.m, service), f"{service.capitalize()}Service{method}Request")
    return getattr(getattr(view.api, service), method), request


def make_request(view, name, fields):
    _, request = find(view, name)
    if name == "Run" and "config" in fields:
        config = {"image": "busybox:latest", "networks": ["none"], "args": ["sleep", "1000"]}
        if fields["config"] == {}:
            config = config if "stream" in fields else {}
        fields = fields | {"config": config | fields["config"]}
    if name in BIDI:
        return request(options=fields)
    return request(**fields)


def make_later(view, name, first, later):
    if later is DUPLICATE:
        return first
    return find(view, name)[1](**({} if later is EMPTY else later))


def talk(view, name, first, later=()):
    """The Failure of a call. What comes later is sent once the client is attached."""
    method, _ = find(view, name)
    if name not in BIDI:
        return view.failure(method, first)
    requests = stubs.Requests(first)

    def go():
        waiting = list(later)
        for reply in view.call(method, requests):
            kind = reply.WhichOneof("response")
            if kind == "event" and reply.event.WhichOneof("event") == "session":
                while waiting:
                    requests.put(waiting.pop(0))
    try:
        return view.api.failure(go)
    finally:
        requests.close()


class Picture:
    """What there is: containers with their states, folders of commands, processes, what the daemon holds."""

    def __init__(self, view):
        self.view = view
        self.before = self.look()

    def look(self):
        view, box = self.view, self.view.box
        return {
            "containers": sorted((c.name, c.state, c.pid) for c in view.list(all=True)),
            "commands": sorted(str(p) for p in box.folder.glob(f"data/*/containers/{view.name}/*/exec/*")),
            "processes": sorted(pid for pid, words in host.processes_of(box.folder).items()
                                if f"/{view.name}" in words or f" {view.name} " in words),
            "descriptors": len(leaks.descriptors(box.daemon.process.pid)),
        }

    def assert_same(self):
        now = {}

        def same():
            now.update(self.look())
            return now == self.before
        try:
            host.wait_until(same, leaks.SETTLE_SECONDS, "same")
        except host.HostError:
            raise AssertionError(f"before: {self.before}\nnow: {now}") from None


@pytest.fixture(scope="module")
def shared(api, box, images):
    view = api.namespace(f"ws{os.getpid():x}")
    view.box = box
    view.load(images.busybox)
    view.run("sleep", "1000", detach=True, name="box")
    view.run("cat", interactive=True, detach=True, name="cat")
    view.run("sh", interactive=True, tty=True, detach=True, name="shell")
    frozen = view.run("sleep", "1000", detach=True, name="frozen").id
    view.create("true", name="idle")
    view.run("true", name="gone")
    box.containerd.ctr("tasks", "pause", frozen, namespace=view.name)
    view.box = box
    yield view
    box.containerd.ctr("tasks", "resume", frozen, namespace=view.name)
    view.clear()
    assert leaks.of_namespace(box, view.name) == []
    host.remove_namespace_cgroups(view.name)


@pytest.fixture(scope="module")
def picture(shared):
    return Picture(shared)


def test_the_table_is_long_enough():
    assert len(ROWS) + len(COMMAND_ROWS) + 2 * len(BYTES) >= 150
    assert len({row[0] for row in ROWS}) == len(ROWS)


def assert_named(failure, named):
    if named.isupper():
        assert failure.reason == named, failure
    elif named:
        assert named in failure.fields, failure
        assert len(failure.fields[named]) > 3
    assert failure.message and len(failure.message) < 2000, failure


@pytest.mark.parametrize("name, fields, later, code, named", [row[1:] for row in ROWS],
                         ids=[row[0].replace(" ", "_") for row in ROWS])
def test_it_is_refused(shared, picture, name, fields, later, code, named):
    first = make_request(shared, name, fields)
    failure = talk(shared, name, first, [make_later(shared, name, first, one) for one in later])
    assert failure.code == code, failure
    is_field = named and not named.isupper() and name in BIDI and not later
    assert_named(failure, f"options.{named}" if is_field else named)
    picture.assert_same()


class TestCommands:
    @pytest.fixture(scope="class")
    def busy(self, shared, picture):
        shared.run("sleep", "1000", detach=True, name="busy")
        yield shared
        shared.remove("busy", force=True)
        picture.assert_same()

    @pytest.mark.parametrize("name, fields, later, code, named", [row[1:] for row in COMMAND_ROWS],
                             ids=[row[0].replace(" ", "_") for row in COMMAND_ROWS])
    def test_it_is_refused(self, busy, name, fields, later, code, named):
        first = make_request(busy, name, fields)
        failure = talk(busy, name, first, [make_later(busy, name, first, one) for one in later])
        assert failure.code == code, failure
        assert_named(failure, named)
        assert busy.state("busy") == busy.m.container.CONTAINER_STATE_RUNNING


@pytest.mark.parametrize("wrong, code", [(b"a\0", INVALID), (b"\xff\xfe", INVALID)],
                         ids=["nul", "not_utf8"])
@pytest.mark.parametrize("name, fields, named", BYTES,
                         ids=[f"{row[0]}_{row[2]}" for row in BYTES])
def test_wrong_bytes_are_refused(shared, picture, name, fields, named, wrong, code):
    service, _, method = name.rpartition(".")
    service = service or "container"
    path = f"/nerdctl.v1.{service.capitalize()}Service/{method}"
    data = make_request(shared, name, fields).SerializeToString().replace(b"@@", wrong)
    call = shared.api.channel.stream_stream(path, lambda b: b, lambda b: b)
    requests = stubs.Requests(data)
    if name not in BIDI:
        requests.close()
    failure = shared.api.failure(lambda: list(call(requests, metadata=shared.metadata, timeout=20)))
    requests.close()
    assert failure.code == code, failure
    assert named in failure.message or any(named in field for field in failure.fields), failure
    picture.assert_same()


@pytest.mark.parametrize("name", BIDI)
@pytest.mark.parametrize("first", [None, {"signal": "TERM"}, {"control": {"detach": {}}}, EMPTY])
def test_the_first_message_must_be_the_options(shared, picture, name, first):
    method, request = find(shared, name)
    requests = stubs.Requests()
    if first is not None:
        requests.put(request(**({} if first is EMPTY else first)))
    else:
        requests.close()
    failure = shared.failure(method, requests)
    requests.close()
    assert failure.code == INVALID
    assert "options" in failure.fields
    picture.assert_same()


@pytest.mark.parametrize("name, fields", [
    ("Attach", {"container": "cat"}), ("Start", {"container": "idle"}),
    ("Run", {"config": {"name": "made"}}), ("Exec", {"container": "box", "args": ["id"]}),
    ("Resize", {"container": "shell", "size": {"width": 9, "height": 9}}),
    ("Kill", {"container": "box"}), ("Stop", {"container": "box"}), ("Remove", {"container": "gone"}),
    ("operation.Delete", {"id": NOBODY}), ("operation.Cancel", {"id": NOBODY}),
])
def test_an_unknown_field_is_refused_not_ignored(shared, picture, name, fields):
    """A newer client asks for something that this daemon would leave out."""
    service, _, method = name.rpartition(".")
    service = service or "container"
    path = f"/nerdctl.v1.{service.capitalize()}Service/{method}"
    data = make_request(shared, name, fields).SerializeToString() + b"\xf8\x3e\x01"
    call = shared.api.channel.stream_stream(path, lambda b: b, lambda b: b)
    requests = stubs.Requests(data)
    if name not in BIDI:
        requests.close()
    failure = shared.api.failure(lambda: list(call(requests, metadata=shared.metadata, timeout=20)))
    requests.close()
    assert failure.info.reason == "UNKNOWN_FIELD" and "1007" in failure.message
    picture.assert_same()


def test_an_unknown_field_after_the_first_message_is_refused(shared, picture):
    first = make_request(shared, "Attach", {"container": "cat"})
    unknown = type(first).FromString(b"\x12\x04CONT" + b"\xf8\x3e\x01")
    failure = talk(shared, "Attach", first, [unknown])
    assert failure.info.reason == "UNKNOWN_FIELD" and "1007" in failure.message
    picture.assert_same()


def test_an_offset_beyond_what_was_written_is_refused_and_the_session_stays(shared, picture):
    import streams
    going = streams.attach(shared, "cat", stream={"acknowledge": True})
    going.until(lambda s: s.session is not None)
    base = going.session.stdout_offset
    going.send(b"kept\n").until(lambda s: s.stdout == b"kept\n")
    going.cut()
    for wrong in ({"stdout_offset": base + 6}, {"stdout_offset": 1 << 62}, {"stderr_offset": 1}):
        options = {"container": "cat", "stream": {"session_id": going.session.id, "acknowledge": True,
                                                  "stdout_offset": base} | wrong}
        failure = talk(shared, "Attach", make_request(shared, "Attach", options))
        assert failure.code == INVALID, failure
        assert f"options.stream.{list(wrong)[0]}" in failure.fields
    again = streams.attach(shared, "cat", stream={"session_id": going.session.id, "acknowledge": True,
                                                  "stdout_offset": base})
    again.until(lambda s: s.session is not None and s.stdout == b"kept\n")
    again.detach()
    again.end()
    picture.assert_same()
