"""nerdctl-remote with input and terminals: run -i -t, start -a -i, attach, exec."""

import contextlib
import fcntl
import hashlib
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time

import pytest

import conftest
import cutter
import host

NET = ("--network", "none")


@pytest.fixture
def cli(ready):
    def run(*args, **options):
        return ready.box.daemon.cli(*args, namespace=ready.name, **options)
    return run


@pytest.fixture
def command(ready):
    """The program's words, in the test's namespace."""
    return [str(ready.box.daemon.remote), "-H", ready.box.daemon.target, "--namespace", ready.name]


class Terminal:
    """A program with a terminal of its own, typed into and read from."""

    def __init__(self, words, width=80, height=24):
        self.seen = b""
        self.master, slave = pty.openpty()
        self.resize(width, height, signal_it=False)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.process = subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave,
                                        start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def resize(self, width, height, signal_it=True):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        if signal_it:
            self.process.send_signal(signal.SIGWINCH)

    def type(self, keys):
        os.write(self.master, keys)
        return self

    def until(self, pattern, seconds=30):
        end = time.monotonic() + seconds
        while not re.search(pattern, self.seen):
            left = end - time.monotonic()
            assert left > 0, f"no {pattern!r} in {self.seen[-500:]!r}"
            if select.select([self.master], [], [], min(left, 1))[0]:
                with contextlib.suppress(OSError):
                    self.seen += os.read(self.master, 65536)
            elif self.process.poll() is not None:
                assert re.search(pattern, self.seen), f"ended: {self.seen[-500:]!r}"
        return self

    def end(self, seconds=30):
        """Its exit code; the terminal must be as it was."""
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < end, f"does not end: {self.seen[-500:]!r}"
            if select.select([self.master], [], [], 0.05)[0]:
                self.seen += os.read(self.master, 65536)
        while select.select([self.master], [], [], 0)[0]:
            self.seen += os.read(self.master, 65536)
        assert termios.tcgetattr(self.slave) == self.before, "the terminal is not as it was"
        os.close(self.slave)
        os.close(self.master)
        return self.process.returncode


def test_input_from_a_pipe(cli):
    done = cli("run", "-i", "--rm", *NET, "busybox", "cat", input="hello\n", stdin=None)
    assert (done.stdout, done.returncode) == ("hello\n", 0)


def test_input_from_a_file_and_from_nothing(cli, tmp_path):
    path = tmp_path / "in"
    path.write_bytes(b"x" * 100_000)
    with open(path, "rb") as file:
        done = cli("run", "-i", "--rm", *NET, "busybox", "wc", "-c", stdin=file)
    assert done.stdout.split() == ["100000"]
    done = cli("run", "-i", "--rm", *NET, "busybox", "wc", "-c")
    assert done.stdout.split() == ["0"]


def test_a_process_that_does_not_read_ends_all_the_same(cli):
    done = cli("run", "-i", "--rm", *NET, "busybox", "sh", "-c", "exit 3", input="x" * 1_000_000,
               stdin=None)
    assert done.returncode == 3


def test_exec(cli):
    cli("run", "-d", "--name", "box", *NET, "-e", "A=1", "busybox", "sleep", "1000", check=True)
    done = cli("exec", "box", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 7)
    done = cli("exec", "-i", "-w", "/tmp", "-u", "7:8", "-e", "B=2", "box", "sh", "-c",
               "pwd; id -u; id -g; echo $A$B; cat", input="input\n", stdin=None)
    assert done.stdout == "/tmp\n7\n8\n12\ninput\n"
    assert cli("exec", "-d", "box", "sleep", "100").returncode == 0


@pytest.mark.parametrize("words, code", [
    (["box", "no-such-program"], 127), (["box", "/etc"], 126), (["nobody", "id"], 1),
    (["-t", "-i", "box", "id"], 1), (["-d", "-i", "box", "id"], 1),
])
def test_exec_that_fails(cli, words, code):
    cli("run", "-d", "--name", "box", *NET, "busybox", "sleep", "1000", check=True)
    done = cli("exec", *words)
    assert done.returncode == code
    assert "level=fatal" in done.stderr


def test_64_mib_through_exec(cli, command, ready):
    cli("run", "-d", "--name", "box", *NET, "busybox", "sleep", "1000", check=True)
    data = os.urandom(1 << 20) * 64
    done = subprocess.run([*command, "exec", "-i", "box", "cat"], input=data, capture_output=True,
                          timeout=100, check=True)
    assert len(done.stdout) == len(data)
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()


def test_a_shell_in_a_terminal(command):
    shell = Terminal([*command, "run", "-it", "--rm", *NET, "busybox", "sh"], 91, 33)
    shell.until(rb"# ").type(b"stty size; tty\r").until(rb"33 91\r\n(/dev/\S+)")
    shell.resize(100, 40)
    shell.type(b"while [ \"$(stty size)\" != '40 100' ]; do sleep 0.05; done; echo re''sized\r")
    shell.until(rb"resized")
    shell.type(b"sh -c 'echo st''arted; sleep 1000'\r").until(rb"\nstarted").type(b"\x03")
    shell.until(rb"\^C(?s:.*)# ").type(b"exit 9\r")
    assert shell.end() == 9


def test_detach_keys_and_attach(command, cli):
    shell = Terminal([*command, "run", "-it", "--name", "box", *NET, "busybox", "sh"])
    shell.until(rb"# ").type(b"A=kept\r").until(rb"kept\r\n(?s:.*)# ").type(b"\x10\x11")
    assert shell.end() == 0
    shell = Terminal([*command, "attach", "--detach-keys", "ctrl-a,d", "box"])
    shell.type(b"echo is $A\r").until(rb"is kept").type(b"\x01d")
    assert shell.end() == 0
    shell = Terminal([*command, "attach", "box"])
    shell.type(b"\r").until(rb"# ").type(b"exit 4\r")
    assert shell.end() == 4
    shell = Terminal([*command, "start", "-ai", "box"])
    shell.until(rb"# ").type(b"exit 5\r")
    assert shell.end() == 5


def test_exec_in_a_terminal(command, cli):
    cli("run", "-d", "--name", "box", *NET, "busybox", "sleep", "1000", check=True)
    shell = Terminal([*command, "exec", "-it", "box", "sh"], 70, 20)
    shell.until(rb"# ").type(b"stty size; echo $TERM\r").until(rb"20 70\r\nxterm").type(b"exit 2\r")
    assert shell.end() == 2


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_put_back_when_we_are_ended(command, signo):
    shell = Terminal([*command, "run", "-it", "--name", "box", *NET, "busybox", "sh"])
    shell.until(rb"# ")
    shell.process.send_signal(signo)
    assert shell.end() != 0


def test_start_attached_with_input(cli):
    cli("create", "-i", "--name", "box", *NET, "busybox", "sh", "-c", "cat; exit 6", check=True)
    done = cli("start", "-a", "-i", "box", input="again\n", stdin=None)
    assert (done.stdout, done.returncode) == ("again\n", 6)


def is_helper_of(pid, ns, name):
    wanted = next(c.id for c in ns.list() if c.name == name)
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/environ", "rb") as environ:
            return wanted.encode() in environ.read()
    return False


def sockets_of(pid):
    links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    return sum(link.startswith("socket:") for link in links)


def test_attach_to_a_detached_container(cli, command, ready):
    cli("run", "-d", "--name", "box", *NET, "busybox", "sh", "-c",
        "while [ ! -e /tmp/go ]; do sleep 0.1; done; echo out; echo err >&2; exit 8", check=True)
    child = subprocess.Popen([*command, "attach", "box"], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    helper = next(pid for pid, words in host.processes_of(ready.box.folder).items()
                  if "_NERDCTL_INTERNAL_LOGGING" in words and is_helper_of(pid, ready, "box"))
    host.wait_until(lambda: sockets_of(helper) > 1, 20, "attached")
    cli("exec", "box", "touch", "/tmp/go", check=True)
    out, err = child.communicate(timeout=30)
    assert (out, err, child.returncode) == (b"out\n", b"err\n", 8)


def test_a_connection_that_is_cut_again_and_again_loses_nothing(cli, ready):
    """Input and output of a command, while the connection is cut every moment."""
    cli("run", "-d", "--name", "box", *NET, "busybox", "sleep", "1000", check=True)
    path = f"/tmp/nd-proxy-{os.getpid()}.sock"
    proxy = cutter.Cutter(path, ready.box.daemon.socket)
    data = os.urandom(1 << 20) * 24
    try:
        child = subprocess.Popen([ready.box.daemon.remote, "-H", f"unix://{path}", "--namespace",
                                  ready.name, "exec", "-i", "box", "cat"], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        got = []
        reader = threading.Thread(target=lambda: got.append(child.stdout.read()))
        reader.start()
        for start in range(0, len(data), 4 << 20):
            child.stdin.write(data[start:start + (4 << 20)])
            proxy.cut()
        child.stdin.close()
        assert child.wait(100) == 0, child.stderr.read()
        reader.join()
    finally:
        proxy.stop()
        os.unlink(path)
    assert proxy.cuts > 5
    assert hashlib.sha256(got[0]).digest() == hashlib.sha256(data).digest()


class Deaf(cutter.Cutter):
    """Loses what the client says, when told to; and the client of a new connection waits for its answer."""

    REQUEST = 250  # bytes: a connection's beginning is less, with a request it is more

    def __init__(self, address, target):
        self.lost = None
        self.asked = threading.Event()
        self.answers = threading.Event()
        self.answers.set()
        super().__init__(address, target)

    def cut(self):
        if self.lost is not None:
            self.lost = None
            self.answers.clear()
        super().cut()

    def copy(self, one, other):
        is_client = (one, other) in self.pairs
        said = 0
        with contextlib.suppress(OSError):
            while data := one.recv(cutter.PIECE):
                said += len(data)
                if is_client and self.lost is not None:
                    self.lost += data
                    continue
                if is_client and said > self.REQUEST:
                    self.asked.set()
                if not is_client and self.asked.is_set():
                    self.answers.wait(30)
                other.sendall(data)
        self.close((one, other))


def test_what_is_typed_before_the_session_goes_on_is_no_hole(cli, ready):
    """Input that was lost with the connection is sent again first."""
    cli("run", "-d", "--name", "box", *NET, "busybox", "sleep", "1000", check=True)
    path = f"/tmp/nd-deaf-{os.getpid()}.sock"
    between = Deaf(path, ready.box.daemon.socket)
    try:
        child = subprocess.Popen([ready.box.daemon.remote, "-H", f"unix://{path}", "--namespace", ready.name,
                                  "exec", "-i", "box", "cat"], bufsize=0,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        child.stdin.write(b"first")
        assert child.stdout.read(5) == b"first"
        between.lost = b""
        child.stdin.write(b"second")
        host.wait_until(lambda: b"second" in between.lost, 20, "it is sent, and lost")
        between.asked.clear()
        between.cut()
        assert between.asked.wait(20)
        child.stdin.write(b"third")
        host.wait_until(lambda: unread(child.stdin) == 0, 20, "it is read")
        between.answers.set()
        child.stdin.close()
        got = child.stdout.read()
        assert child.wait(30) == 0, child.stderr.read()
    finally:
        between.stop()
        os.unlink(path)
    assert got == b"secondthird"


class Silent(cutter.Cutter):
    """Cuts, and takes new connections without passing them on until it is to speak again."""

    def __init__(self, address, target):
        self.speaks = threading.Event()
        self.speaks.set()
        self.came = threading.Event()
        super().__init__(address, target)

    def join(self, client):
        if not self.speaks.is_set():
            self.came.set()
            self.speaks.wait(60)
        super().join(client)

    def fall_silent(self):
        self.speaks.clear()
        self.cut()
        assert self.came.wait(30)


@pytest.fixture
def silent(ready):
    path = f"/tmp/nd-silent-{os.getpid()}.sock"
    between = Silent(path, ready.box.daemon.socket)
    between.words = [str(ready.box.daemon.remote), "-H", f"unix://{path}", "--namespace", ready.name,
                     "--resume-timeout", "10m"]
    yield between
    between.speaks.set()
    between.stop()
    os.unlink(path)


def test_detach_keys_leave_at_once_while_nobody_answers(cli, silent):
    """Long before --resume-timeout, and with the usual words; the process goes on."""
    shell = Terminal([*silent.words, "run", "-it", "--name", "box", *NET, "busybox", "sh"])
    shell.until(rb"# ")
    silent.fall_silent()
    shell.type(b"\x10\x11").until(rb"read detach keys")
    assert shell.end() == 0
    assert cli("ps", "--format", "{{.Names}}", check=True).stdout == "box\n"


def test_size_of_the_terminal_follows_when_the_session_goes_on(silent):
    """The newest, of those that came while nobody answered."""
    shell = Terminal([*silent.words, "run", "-it", "--rm", *NET, "busybox", "sh"], 91, 33)
    shell.until(rb"# ").type(b"stty size\r").until(rb"33 91\r\n")
    shell.resize(100, 40)
    shell.type(b"while [ \"$(stty size)\" != '40 100' ]; do sleep 0.05; done; echo re''sized\r")
    shell.until(rb"resized")
    silent.fall_silent()
    shell.resize(50, 20)
    shell.resize(60, 25)
    silent.speaks.set()
    shell.type(b"while [ \"$(stty size)\" != '25 60' ]; do sleep 0.05; done; echo new''est\r")
    shell.until(rb"newest").type(b"exit 6\r")
    assert shell.end() == 6


def test_size_is_kept_over_a_cut(silent):
    """What goes on does so with the size of now, not with that of the beginning."""
    shell = Terminal([*silent.words, "run", "-it", "--rm", *NET, "busybox", "sh"], 91, 33)
    shell.until(rb"# ")
    shell.resize(100, 40)
    shell.type(b"while [ \"$(stty size)\" != '40 100' ]; do sleep 0.05; done; echo re''sized\r")
    shell.until(rb"resized").type(b"trap 'echo wi''nch' WINCH; echo se''t\r").until(rb"\nset")
    silent.cut()
    shell.type(b"stty size; echo af''ter\r").until(rb"after")
    assert b"40 100" in shell.seen and b"winch" not in shell.seen
    shell.type(b"exit 6\r")
    assert shell.end() == 6


def test_signals_while_nobody_answers_come_when_the_session_goes_on(cli, silent):
    child = subprocess.Popen([*silent.words, "run", "--name", "box", *NET, "busybox", "sh", "-c",
                              "trap 'echo got it; exit 5' INT; echo up; while :; do sleep 0.05; done"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout.read(3) == b"up\n"
    silent.fall_silent()
    child.send_signal(signal.SIGINT)
    silent.speaks.set()
    out, err = child.communicate(timeout=30)
    assert (out, child.returncode) == (b"got it\n", 5), err


def test_third_interrupt_ends_us_while_nobody_answers(silent):
    child = subprocess.Popen([*silent.words, "run", "--name", "box", *NET, "busybox", "sh", "-c",
                              "echo up; exec sleep 1000"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout.read(3) == b"up\n"
    silent.fall_silent()
    end = time.monotonic() + 30
    while child.poll() is None and time.monotonic() < end:
        child.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(0.2)
    assert (child.returncode, "forcefully exiting" in child.stderr.read().decode()) == (1, True)


def unread(pipe):
    """Bytes in a pipe."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0\0\0\0"))[0]


def start_own(own, *words, **options):
    """A command of a test that kills its daemon."""
    return subprocess.Popen([own.box.daemon.remote, "-H", own.box.daemon.target, "--namespace", own.name,
                             *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def test_a_daemon_that_dies_and_comes_back_is_not_noticed(own):
    """Output of a run that has no input: what was written while nobody was there comes, once, and the exit code."""
    child = start_own(own, "run", "--name", "box", *NET, "busybox", "sh", "-c",
                      "i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo line $i; sleep 0.01; done; exit 6",
                      stdin=subprocess.DEVNULL)
    got = child.stdout.read(7)
    own.box.daemon.kill()
    own.box.daemon.start()
    out, err = child.communicate(timeout=60)
    assert got + out == b"".join(b"line %d\n" % i for i in range(1, 201))
    assert (err, child.returncode) == (b"", 6)


def test_a_daemon_that_does_not_come_back_is_given_up_in_time(own):
    """After --resume-timeout, long before the test's own patience; the container goes on."""
    child = start_own(own, "--resume-timeout", "700ms", "run", "--name", "box", *NET, "busybox", "sh", "-c",
                      "echo up; exec sleep 1000", stdin=subprocess.DEVNULL)
    assert child.stdout.read(3) == b"up\n"
    own.box.daemon.kill()
    _, err = child.communicate(timeout=25)
    assert child.returncode not in (0, None) and b"the container goes on" in err
    own.box.daemon.start()
    host.wait_until(lambda: conftest.can_list(own), 10, "an answer")
    assert own.state("box") == own.m.container.CONTAINER_STATE_RUNNING


def test_the_time_to_come_back_begins_anew_with_each_cut(cli, ready):
    """Together far longer away than --resume-timeout allows at once."""
    cli("run", "-d", "--name", "box", *NET, "busybox", "sleep", "1000", check=True)
    path = f"/tmp/nd-cutter-{os.getpid()}.sock"
    between = cutter.Cutter(path, ready.box.daemon.socket)
    try:
        child = subprocess.Popen([ready.box.daemon.remote, "-H", f"unix://{path}", "--namespace", ready.name,
                                  "--resume-timeout", "2s", "exec", "-i", "box", "cat"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(12):
            child.stdin.write(b"ping")
            child.stdin.flush()
            assert child.stdout.read(4) == b"ping"
            between.cut()
        child.stdin.close()
        assert child.wait(30) == 0, child.stderr.read()
    finally:
        between.stop()
        os.unlink(path)
    assert between.cuts == 12
