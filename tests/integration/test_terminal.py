"""A person at a terminal: nerdctl-remote in a pane of tmux."""

import os
import re
import shutil
import subprocess

import pytest

import host

NET = "--network none"
SECONDS = 30


class Pane:
    """A shell in a pane of a tmux server of its own."""

    def __init__(self, folder, words, width=90, height=30):
        self.base = ["tmux", "-S", str(folder / "tmux.sock"), "-f", "/dev/null"]
        self.words = words
        self.asked = 0
        environ = {k: v for k, v in os.environ.items() if k not in ("TMUX", "TMUX_PANE")}
        environ |= {"PS1": "here> ", "SHELL": "/bin/sh", "ENV": "", "TERM": "xterm"}
        subprocess.run([*self.base, "new-session", "-d", "-x", str(width), "-y", str(height),
                        "exec /bin/sh"], env=environ, check=True)
        self.until(r"here> $")

    def tmux(self, *args):
        return subprocess.run([*self.base, *args], capture_output=True, text=True, check=True).stdout

    def screen(self):
        """What is on it and was, without the empty lines below."""
        return self.tmux("capture-pane", "-p", "-J", "-S", "-").rstrip("\n ") + (
            " " if self.tmux("display-message", "-p", "#{cursor_x}").strip() != "0" else "")

    def until(self, pattern):
        seen = [""]

        def there():
            seen[0] = self.screen()
            return re.search(pattern, seen[0])
        try:
            return host.wait_until(there, SECONDS, pattern)
        except host.HostError:
            raise AssertionError(f"no {pattern!r} in:\n{seen[0]}") from None

    def type(self, text):
        """Letters as they are, and Enter."""
        self.tmux("send-keys", "-l", text)
        self.tmux("send-keys", "Enter")
        return self

    def keys(self, *names):
        self.tmux("send-keys", *names)
        return self

    def remote(self, text):
        return self.type(f"{self.words} {text}")

    def ask(self, word, value):
        """What the shell at the pane says for a value; each time under a word of its own."""
        self.asked += 1
        mark = f"{word}{self.asked}"
        self.type(f"echo {mark[:2]}''{mark[2:]} {value}")
        return self.until(rf"(?:\n|here> ){mark} (\S+)\nhere> $").group(1)

    def modes(self):
        """The terminal's, as stty tells them."""
        return self.ask("modes", "$(stty -g)")

    def code(self):
        """Of the last command."""
        return int(self.ask("code", "$?"))

    def close(self):
        subprocess.run([*self.base, "kill-server"], check=False)


@pytest.fixture
def pane(ready, tmp_path):
    if shutil.which("tmux") is None:
        pytest.fail("tmux is missing: scripts/install-packages test")
    words = f"{ready.box.daemon.remote} -H {ready.box.daemon.target} --namespace {ready.name}"
    # A short path: that of a socket is limited.
    pane = Pane(ready.box.folder, words)
    yield pane
    pane.close()


def test_a_session_at_a_terminal(ready, pane):
    """The size is the pane's and follows it, Ctrl-C is the program's, leaving and coming back lose nothing,
    the exit code arrives, and the terminal is what it was."""
    before = pane.modes()
    pane.remote(f"run -it --name box {NET} busybox sh").until(r"/ # $")
    pane.type("stty size").until(r"\n30 90\n/ # $")
    pane.tmux("resize-window", "-x", "100", "-y", "40")
    pane.type("while [ \"$(stty size)\" != '40 100' ]; do sleep 0.05; done; echo re''sized")
    pane.until(r"\nresized\n/ # $")
    pane.type("sh -c 'echo st''arted; sleep 1000'").until(r"\nstarted")
    pane.keys("C-c").until(r"\^C\n/ # $")
    assert ready.state("box") == ready.m.container.CONTAINER_STATE_RUNNING
    pane.type("A=kept").until(r"kept\n/ # $")
    pane.keys("C-p", "C-q").until(r"\nhere> $")
    assert pane.code() == 0
    assert pane.modes() == before
    pane.remote("attach box").keys("Enter").until(r"/ # $")
    pane.type("stty size; echo is $A").until(r"\n40 100\nis kept\n/ # $")
    pane.type("exit 7").until(r"here> $")
    assert pane.code() == 7
    assert pane.modes() == before


def test_other_keys_to_leave_by(ready, pane):
    pane.remote(f"run -it --name box --detach-keys ctrl-x,y {NET} busybox sh").until(r"/ # $")
    pane.keys("C-p", "C-q").keys("C-u").type("echo st''ill").until(r"\nstill\n/ # $")
    pane.keys("C-x", "y").until(r"here> $")
    assert pane.code() == 0
    assert ready.state("box") == ready.m.container.CONTAINER_STATE_RUNNING


def test_a_command_at_a_terminal(ready, pane):
    before = pane.modes()
    ready.run("sleep", "1000", detach=True, name="box")
    pane.remote("exec -it box sh").until(r"/ # $")
    pane.type("tty; stty size").until(r"\n/dev/pts/\d+\n30 90\n/ # $")
    pane.tmux("resize-window", "-x", "70", "-y", "20")
    pane.type("while [ \"$(stty size)\" != '20 70' ]; do sleep 0.05; done; echo re''sized")
    pane.until(r"\nresized\n/ # $")
    pane.type("sh -c 'echo st''arted; sleep 1000'").until(r"\nstarted")
    pane.keys("C-c").until(r"\^C\n/ # $")
    pane.type("exit 5").until(r"here> $")
    assert pane.code() == 5
    assert pane.modes() == before


@pytest.mark.parametrize("words, code, said", [
    ("exec box sh -c 'exit 9'", 9, ""),
    ("exec -it box sh -c 'exit 9'", 9, ""),
    ("exec box nosuch", 127, "not found"),
    ("exec -it box nosuch", 127, "not found"),
    ("exec box /etc/passwd", 126, "permission denied"),
    ("exec -it box /etc", 126, "(is a directory|permission denied)"),
    ("run -it --rm --network none busybox nosuch", 127, "not found"),
    ("run -it --rm --network none busybox sh -c 'exit 42'", 42, ""),
])
def test_what_fails_tells_its_code_and_gives_the_terminal_back(ready, pane, words, code, said):
    ready.run("sleep", "1000", detach=True, name="box")
    before = pane.modes()
    pane.type(f"{pane.words} {words}; echo en''ded $?")
    assert int(pane.until(r"\nended (\d+)\nhere> $").group(1)) == code
    assert re.search(said, pane.screen())
    assert pane.modes() == before


def test_a_shell_outlives_daemons_and_can_be_left_while_there_is_none(own):
    """The terminal comes back; and the shell, too, once there is a daemon again."""
    words = f"{own.box.daemon.remote} -H {own.box.daemon.target} --namespace {own.name}"
    pane = Pane(own.box.folder, words)
    try:
        before = pane.modes()
        pane.remote(f"run -it --name box {NET} busybox sh").until(r"/ # $")
        pane.type("A=kept").until(r"kept\n/ # $")
        own.box.daemon.kill()
        own.box.daemon.start()
        pane.type("echo is $A").until(r"\nis kept\n/ # $")
        own.box.daemon.kill()
        pane.until(r"the connection broke: .*trying to go on")
        pane.keys("C-p", "C-q").until(r"here> $")
        assert pane.code() == 0
        assert pane.modes() == before
        own.box.daemon.start()
        pane.remote("attach box").keys("Enter").until(r"/ # $")
        pane.type("echo is $A; exit 3").until(r"\nis kept\nhere> $")
        assert pane.code() == 3
        assert pane.modes() == before
    finally:
        pane.close()
