"""SIGHUP: the daemon reads its certificates again while everything goes on."""

import queue
import shutil
import signal
import subprocess

import grpc
import pytest

import host
import stubs


class Secure:
    """A host whose daemon listens with TLS, and the certificates in its folder `pki`."""

    def __init__(self, modules, folder):
        self.modules = modules
        self.pki = folder / "pki"
        self.other = folder / "other"
        for pki in (self.pki, self.other):
            subprocess.run([host.ROOT / "scripts/dev-pki", pki], check=True)
        self.old = folder / "old"
        shutil.copytree(self.pki, self.old)
        self.port = host.free_port()
        self.host = host.Host(host.BUILD, prefix="ndr", daemon_options=[
            "--listen", f"tcp://127.0.0.1:{self.port}", "--tls-cert", f"{self.pki}/server.pem",
            "--tls-key", f"{self.pki}/server.key", "--tls-ca", f"{self.pki}/ca.pem"])

    def connect(self, pki):
        """A connection with the client's certificate of `pki`, to a server that must be of it too."""
        credentials = grpc.ssl_channel_credentials(*(
            (pki / name).read_bytes() for name in ("ca.pem", "client.key", "client.pem")))
        return stubs.Api(self.modules, f"tcp://localhost:{self.port}", credentials)

    def hang_up(self, says):
        """SIGHUP; wait for what the daemon says of it."""
        before = self.host.daemon.log.stat().st_size
        self.host.daemon.process.send_signal(signal.SIGHUP)
        host.wait_until(lambda: any(record.get("msg", "").startswith(says)
                                    for record in self.host.daemon.records(before)), 10, says)


@pytest.fixture
def secure(api_modules, tmp_path):
    secure = Secure(api_modules, tmp_path)
    secure.host.start()
    yield secure
    code = secure.host.daemon.stop()
    left = secure.host.close()
    assert code == 0
    assert not left, "; ".join(left)


def check(api):
    return api.health.Check(api.m.health.HealthCheckRequest(), timeout=10).status


class Talk:
    """A call that is open: each question gets its answer on the same stream."""

    def __init__(self, api):
        self.questions = queue.Queue()
        method = api.channel.stream_stream(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            api.m.reflection.ServerReflectionRequest.SerializeToString,
            api.m.reflection.ServerReflectionResponse.FromString)
        self.request = api.m.reflection.ServerReflectionRequest(list_services="*")
        self.answers = method(iter(self.questions.get, None), timeout=60)

    def ask(self):
        self.questions.put(self.request)
        return next(self.answers).list_services_response.service

    def close(self):
        self.questions.put(None)
        return list(self.answers)


def test_new_certificates_are_for_new_connections(secure):
    before = secure.connect(secure.old)
    talk = Talk(before)
    assert talk.ask()
    for path in secure.other.iterdir():
        shutil.copy(path, secure.pki)
    secure.hang_up("reloaded")

    # The stream that was there goes on, and so does its connection.
    assert talk.ask()
    assert check(before) == 1
    assert talk.close() == []

    after = secure.connect(secure.other)
    assert check(after) == 1
    # Clients of the authority that is gone are strangers now.
    stranger = secure.connect(secure.old)
    assert stranger.failure(lambda: check(stranger)).code == grpc.StatusCode.UNAVAILABLE
    for api in (before, after, stranger):
        api.close()


def test_files_that_cannot_be_used_change_nothing(secure):
    (secure.pki / "server.key").write_bytes((secure.other / "server.key").read_bytes())
    secure.hang_up("reload failed")
    api = secure.connect(secure.old)
    assert check(api) == 1
    (secure.pki / "server.pem").write_text("no certificate")
    secure.hang_up("reload failed")
    again = secure.connect(secure.old)
    assert check(again) == 1
    api.close()
    again.close()
