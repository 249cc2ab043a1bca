"""Servers, ours and others', each with a cleartext, a TLS and a Unix-socket listener."""

import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import tempfile
import time

import tools

TRANSPORTS = ("h2c", "tls", "unix")
START_SECONDS = 30
STOP_SECONDS = 20


class Failure(Exception):
    pass


def read_log(file):
    file.flush()
    file.seek(0)
    return file.read().decode(errors="replace")[-2000:]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(holds, what):
    """For programs that do not say when they are ready."""
    deadline = time.monotonic() + START_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise Failure(f"not within {START_SECONDS} s: {what}")
        time.sleep(0.02)


def kind_of(line):
    """Which listener a line of a server is about."""
    kind = re.match(r"listening (\w+)", line).group(1)
    return "h2c" if kind == "tcp" else kind


class Server:
    """A running program that says "listening ..." once for each transport."""

    def __init__(self, name, command, folder, transports=TRANSPORTS, socket_path=None):
        self.name = name
        self.log = open(folder / f"{name}.log", "w+b")
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.log)
        self.socket = socket_path
        self.ports = {}
        try:
            self.read_listeners(transports)
        except BaseException:
            self.process.kill()
            raise

    def read_listeners(self, transports):
        """The lines may come in any order: grpc-go's listeners start at the same time."""
        text, deadline = b"", time.monotonic() + START_SECONDS
        while text.count(b"\n") < len(transports):
            ready, _, _ = select.select([self.process.stdout], [], [],
                                        max(0, deadline - time.monotonic()))
            more = os.read(self.process.stdout.fileno(), 4096) if ready else b""
            if not more:
                raise Failure(f"{self.name} does not listen: {text!r} {read_log(self.log)}")
            text += more
        for line in text.decode().splitlines():
            if kind_of(line) != "unix":
                self.ports[kind_of(line)] = int(line.replace(":", " ").split()[-1])

    def stop(self):
        """The exit code after SIGTERM; the same again when it has been stopped already."""
        if self.process.returncode is not None:
            return self.process.returncode
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "none: it had to be killed"
        finally:
            self.process.stdout.close()
            self.log.close()


@contextlib.contextmanager
def folder():
    """Short, because the path of a socket has little room."""
    with tempfile.TemporaryDirectory(prefix="nd-conf-") as path:
        yield tools.pathlib.Path(path)


def ours(build, where, pki, name="interop_server"):
    socket = where / "ours.sock"
    command = [build / "tests/interop" / name, "--cert", pki / "server.pem", "--key",
               pki / "server.key", "tcp://127.0.0.1:0", "tls+tcp://127.0.0.1:0", f"unix://{socket}"]
    return Server("ours", command, where, socket_path=socket)


def grpc_go(where, pki):
    socket = where / "go.sock"
    command = [tools.BIN / "go-interop-server", "-cert", pki / "server.pem", "-key",
               pki / "server.key", "tcp:127.0.0.1:0", "tls:127.0.0.1:0", f"unix:{socket}"]
    return Server("grpc-go", command, where, socket_path=socket)


@contextlib.contextmanager
def stopping(server):
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def running(server, graceful):
    """A server for the time of the block; a graceful one must end with exit code 0."""
    try:
        yield server
    finally:
        code = server.stop()
    if graceful and code != 0:
        raise Failure(f"{server.name} ended with exit code {code}")
