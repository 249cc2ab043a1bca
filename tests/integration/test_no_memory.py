"""A server that is refused memory: for each allocation of a whole session, one run in which just that fails.

What a process may do then is to go on (a library gave up on one connection, and the client sees a status) or
to end at once with a message, as docs/architecture.md says of small allocations. What it may never do is to
crash in any other way, to answer wrongly, or to hang. `make check` takes a sample over the session;
ND_ALLOCATIONS=all takes every one.
"""

import os
import pathlib
import signal
import subprocess

import pytest

grpc = pytest.importorskip("grpc")


ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("ND_BUILD", ROOT / "build")).resolve()
SAMPLE = 60


class Session:
    """One server with TLS, one client that uses every shape of a call, one graceful end."""

    def __init__(self, echo, pki, folder):
        self.echo = echo
        self.pki = pki
        self.socket = folder / "echo.sock"
        self.count_file = folder / "allocations"

    def serve(self, fail):
        self.socket.unlink(missing_ok=True)
        env = dict(os.environ, LD_PRELOAD=str(BUILD / "tests/interop/libfail_malloc.so"),
                   ND_COUNT_ALLOCATIONS=str(self.count_file))
        if fail:
            env["ND_FAIL_ALLOCATION"] = str(fail)
        return subprocess.Popen([BUILD / "tests/interop/echo_server", "--cert", self.pki / "server.pem", "--key",
                                 self.pki / "server.key", "--ca", self.pki / "ca.pem",
                                 f"tls+unix://{self.socket}"],
                                env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def talk(self):
        """None, or the status that the client saw."""
        read = (self.pki / "ca.pem").read_bytes()
        credentials = grpc.ssl_channel_credentials(read)
        options = [("grpc.ssl_target_name_override", "localhost"), ("grpc.enable_retries", 0)]
        request = self.echo.EchoRequest(text="x" * 3000, repeat=3)
        try:
            with grpc.secure_channel(f"unix:{self.socket}", credentials, options=options) as channel:
                stub = self.echo.Stub(channel)
                answers = [stub.Unary(request, timeout=10).text]
                answers += [reply.text for reply in stub.ServerStream(request, timeout=10)]
                answers += [reply.text for reply in stub.Bidi(iter([request] * 3), timeout=10)]
                count = stub.ClientStream(iter([request] * 3), timeout=10).count
        except grpc.RpcError as error:
            return error.code()
        assert answers == [request.text] * 7 and count == 3
        return None

    def run(self, fail=0):
        """(status of the client, exit code of the server, its stderr)."""
        server = self.serve(fail)
        try:
            status = self.talk() if server.stdout.readline().startswith("listening") else "no server"
            server.send_signal(signal.SIGTERM)
            _, stderr = server.communicate(timeout=20)
            return status, server.returncode, stderr
        finally:
            server.kill()
            server.wait()


def chosen(total):
    if os.environ.get("ND_ALLOCATIONS") == "all":
        return range(1, total + 1)
    return sorted({1 + i * (total - 1) // (SAMPLE - 1) for i in range(SAMPLE)})


def test_a_failed_allocation_ends_a_call_or_the_process_and_nothing_else(echo, pki, tmp_path):
    if not (BUILD / "tests/interop/libfail_malloc.so").exists():
        pytest.skip("a sanitizer's allocator cannot be made to fail")
    session = Session(echo, pki, tmp_path)
    assert session.run()[:2] == (None, 0)
    total = int(session.count_file.read_text())
    assert total > SAMPLE
    ends = {"went on": 0, "a call failed": 0, "ended with a message": 0, "aborted": 0}
    for n in chosen(total):
        status, code, stderr = session.run(fail=n)
        assert code != -signal.SIGSEGV, f"allocation {n}: {stderr}"
        if code == 0:
            ends["went on" if status is None else "a call failed"] += 1
            continue
        assert code in (1, -signal.SIGABRT), f"allocation {n}: exit {code}: {stderr}"
        # libuv aborts without a word.
        assert stderr.strip() or code == -signal.SIGABRT, f"allocation {n}: ended without a word"
        ends["ended with a message" if stderr.strip() else "aborted"] += 1
    print(f"{total} allocations in a session: {ends}")


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-s"]))
