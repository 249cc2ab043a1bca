"""The wire: standard services, TLS, limits, stopping. Nothing here knows what a container is."""

import concurrent.futures
import signal
import socket
import ssl
import subprocess
import threading

import grpc
import pytest

import host
import leaks
import stubs

SERVICES = {"nerdctl.v1.ContainerService", "nerdctl.v1.ImageService", "nerdctl.v1.NamespaceService",
            "nerdctl.v1.OperationService",
            "nerdctl.v1.SystemService"}


def check_health(api, service=""):
    reply = api.health.Check(api.m.health.HealthCheckRequest(service=service), timeout=10)
    return reply.status


def raw(api, path, kind="unary_unary"):
    """A call of bytes to a path, past the stubs."""
    return getattr(api.channel, kind)(path, lambda b: b, lambda b: b)


@pytest.mark.parametrize("service", ["", *sorted(SERVICES)])
def test_health_says_serving(api, service):
    assert check_health(api, service) == api.m.health.HealthCheckResponse.SERVING


def test_health_of_unknown_service_is_not_found(api):
    failure = api.failure(lambda: check_health(api, "no.such.Service"))
    assert failure.code == grpc.StatusCode.NOT_FOUND


def test_health_watch_begins_with_the_state_and_ends_on_cancel(api):
    watch = api.health.Watch(api.m.health.HealthCheckRequest(), timeout=10)
    assert next(watch).status == api.m.health.HealthCheckResponse.SERVING
    watch.cancel()
    with pytest.raises(grpc.RpcError):
        next(watch)


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
class TestReflection:
    def ask(self, api, version, **question):
        method = api.channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            api.m.reflection.ServerReflectionRequest.SerializeToString,
            api.m.reflection.ServerReflectionResponse.FromString)
        request = api.m.reflection.ServerReflectionRequest(**question)
        return next(method(iter([request]), timeout=10))

    def test_lists_services(self, api, version):
        reply = self.ask(api, version, list_services="*")
        names = {service.name for service in reply.list_services_response.service}
        assert SERVICES <= names
        assert "grpc.health.v1.Health" in names

    def test_describes_a_symbol_with_all_it_imports(self, api, version):
        from google.protobuf import descriptor_pb2, descriptor_pool
        reply = self.ask(api, version, file_containing_symbol="nerdctl.v1.ContainerService")
        files = [descriptor_pb2.FileDescriptorProto.FromString(data)
                 for data in reply.file_descriptor_response.file_descriptor_proto]
        known = {f.name: f for f in files}
        while missing := {d for f in known.values() for d in f.dependency} - set(known):
            for name in missing:
                more = self.ask(api, version, file_by_filename=name)
                for data in more.file_descriptor_response.file_descriptor_proto:
                    parsed = descriptor_pb2.FileDescriptorProto.FromString(data)
                    known[parsed.name] = parsed
        pool = descriptor_pool.DescriptorPool()

        def add(name):
            for dependency in known[name].dependency:
                add(dependency)
            pool.Add(known[name])
        add("nerdctl/v1/container.proto")
        service = pool.FindServiceByName("nerdctl.v1.ContainerService")
        assert "Run" in service.methods_by_name

    def test_unknown_symbol_is_an_answer_not_a_failure(self, api, version):
        reply = self.ask(api, version, file_containing_symbol="no.Such")
        assert reply.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


@pytest.mark.parametrize("path", ["/nerdctl.v1.ContainerService/NoSuch", "/no.such.Service/List",
                                  "/nerdctl.v1.ContainerService/list"])
def test_unknown_method_is_unimplemented(api, path):
    failure = api.failure(lambda: raw(api, path)(b"", timeout=10))
    assert failure.code == grpc.StatusCode.UNIMPLEMENTED


def test_garbage_message_is_refused_and_the_connection_lives(api):
    failure = api.failure(lambda: raw(api, "/nerdctl.v1.SystemService/Events", "unary_stream")(
        b"\xff\xff\xff\xff", timeout=10).__next__())
    assert failure.code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT)
    assert check_health(api) == api.m.health.HealthCheckResponse.SERVING


def test_message_over_the_limit_is_resource_exhausted(api):
    failure = api.failure(lambda: raw(api, "/nerdctl.v1.ContainerService/Inspect")(
        b"\x0a" + b"\x80\x80\x80\x03" + b"x" * (6 << 20), timeout=30))
    assert failure.code == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_deadline_ends_a_stream(api):
    events = api.system.Events(api.m.system.SystemServiceEventsRequest(), timeout=0.3)
    failure = api.failure(lambda: list(events))
    assert failure.code == grpc.StatusCode.DEADLINE_EXCEEDED


def test_many_calls_at_once(api):
    ping = api.m.system.SystemServicePingRequest()
    futures = [api.system.Ping.future(ping, timeout=30) for _ in range(300)]
    assert all(future.result().time.seconds > 0 for future in futures)


def test_many_connections_at_once(api_modules, box):
    def one(_):
        connection = stubs.Api(api_modules, box.daemon.target)
        try:
            return check_health(connection)
        finally:
            connection.close()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert set(pool.map(one, range(64))) == {1}


def test_aborted_streams_leave_nothing(api, box):
    """Rapid open and cancel: descriptors stay what they are."""
    request = api.m.system.SystemServiceEventsRequest()
    check_health(api)
    holdings = leaks.Holdings(box.daemon.process.pid)
    for _ in range(300):
        api.system.Events(request, timeout=30).cancel()
    assert check_health(api) == 1
    holdings.assert_same()


@pytest.mark.parametrize("name", ["-bad", "a b", "x" * 100, "UPPER/slash", "a..b"])
def test_bad_namespace_names_the_field(api, name):
    view = api.namespace(name)
    failure = view.failure(api.container.List, api.m.container.ContainerServiceListRequest())
    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert list(failure.fields) == ["containerd-namespace"]


class TestTls:
    def credentials(self, pki, cert=True):
        parts = [(pki / "ca.pem").read_bytes()]
        if cert:
            parts += [(pki / "client.key").read_bytes(), (pki / "client.pem").read_bytes()]
        return grpc.ssl_channel_credentials(*parts)

    def connect(self, api_modules, box, credentials):
        return stubs.Api(api_modules, f"tcp://localhost:{box.port}", credentials)

    def test_with_a_client_certificate(self, api_modules, box):
        connection = self.connect(api_modules, box, self.credentials(box.pki))
        assert check_health(connection) == 1
        reply = connection.system.Version(connection.m.system.SystemServiceVersionRequest(),
                                          timeout=10)
        assert reply.version
        connection.close()

    def test_without_a_client_certificate(self, api_modules, box):
        connection = self.connect(api_modules, box, self.credentials(box.pki, cert=False))
        failure = connection.failure(lambda: check_health(connection))
        assert failure.code == grpc.StatusCode.UNAVAILABLE
        connection.close()

    def test_with_a_certificate_of_another_authority(self, api_modules, box, tmp_path):
        subprocess.run([host.ROOT / "scripts/dev-pki", tmp_path], check=True)
        (tmp_path / "ca.pem").write_bytes((box.pki / "ca.pem").read_bytes())
        connection = self.connect(api_modules, box, self.credentials(tmp_path))
        failure = connection.failure(lambda: check_health(connection))
        assert failure.code == grpc.StatusCode.UNAVAILABLE
        connection.close()

    def test_in_the_clear(self, api_modules, box):
        connection = self.connect(api_modules, box, None)
        failure = connection.failure(lambda: check_health(connection))
        assert failure.code == grpc.StatusCode.UNAVAILABLE
        connection.close()

    def test_old_versions_are_refused(self, box):
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{box.port}", "-tls1_1"],
                              input="", capture_output=True, text=True, check=False)
        assert done.returncode != 0

    def test_h2_is_negotiated(self, box):
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{box.port}", "-alpn", "h2", "-CAfile",
             box.pki / "ca.pem", "-cert", box.pki / "client.pem", "-key", box.pki / "client.key",
             "-brief"], input="", capture_output=True, text=True, check=False)
        assert "TLSv1.3" in done.stderr

    def python_client(self, box, protocols=None, version=None):
        context = ssl.create_default_context(cafile=box.pki / "ca.pem")
        context.load_cert_chain(box.pki / "client.pem", box.pki / "client.key")
        if protocols:
            context.set_alpn_protocols(protocols)
        if version:
            context.minimum_version = context.maximum_version = version
        return context

    def shake_hands(self, box, context, session=None):
        plain = socket.create_connection(("127.0.0.1", box.port), timeout=10)
        return context.wrap_socket(plain, server_hostname="localhost", session=session)

    @pytest.mark.parametrize("protocols", [None, ["http/1.1"], ["h3", "spdy/3"]])
    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_without_h2_it_is_refused_by_an_alert(self, box, protocols, version):
        with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
            self.shake_hands(box, self.python_client(box, protocols, version)).close()

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_sessions_are_never_resumed(self, box, version):
        """A client whose certificate was withdrawn must not come back without showing it."""
        context = self.python_client(box, ["h2", "http/1.1"], version)
        with self.shake_hands(box, context) as first:
            assert first.selected_alpn_protocol() == "h2"
            assert first.version() == ("TLSv1.2" if version == ssl.TLSVersion.TLSv1_2 else "TLSv1.3")
            first.recv(100)
            session = first.session
        if session is not None:
            assert not session.has_ticket
            with self.shake_hands(box, context, session) as second:
                assert not second.session_reused

    def test_the_cli(self, box):
        done = subprocess.run(
            [box.daemon.remote, "-H", f"tcp://127.0.0.1:{box.port}", "--tlscacert",
             box.pki / "ca.pem", "--tlscert", box.pki / "client.pem", "--tlskey",
             box.pki / "client.key", "version"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "Server:" in done.stdout


class TestHttp:
    """Plain HTTP/2 requests that are no gRPC get an answer, never a hang."""

    def curl(self, box, *args):
        return subprocess.run(["curl", "-s", "--max-time", "10", "--http2-prior-knowledge",
                               "--unix-socket", str(box.daemon.socket), "-o", "/dev/null", "-w",
                               "%{http_code}", *args], capture_output=True, text=True, check=False)

    def test_get(self, box):
        assert self.curl(box, "http://localhost/").stdout in ("404", "405", "415")

    def test_wrong_content_type(self, box):
        # Without a body: curl 7.88 gives up on an answer that comes while it still uploads.
        done = self.curl(box, "-H", "content-type: text/plain", "-X", "POST",
                         "http://localhost/grpc.health.v1.Health/Check")
        assert done.stdout == "415"

    def test_bad_timeout(self, box):
        done = self.curl(box, "-H", "content-type: application/grpc", "-H", "te: trailers", "-H",
                         "grpc-timeout: 1x", "--data-binary", "@/dev/null",
                         "http://localhost/grpc.health.v1.Health/Check")
        assert done.stdout in ("200", "400")

    def test_http1_is_closed(self, box):
        done = subprocess.run(["curl", "-s", "--max-time", "10", "--http1.1", "--unix-socket",
                               str(box.daemon.socket), "http://localhost/"], capture_output=True,
                              check=False)
        assert done.returncode != 28  # no timeout


def test_the_socket_is_for_its_owner(box):
    mode = box.daemon.socket.stat().st_mode
    assert mode & 0o007 == 0


def test_listens_where_it_was_told_and_nowhere_else(box):
    out = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
    ours = [line.split()[3] for line in out.splitlines() if f"pid={box.daemon.process.pid}," in line]
    assert ours == [f"127.0.0.1:{box.port}"]
    abstract = subprocess.run(["ss", "-Hlxnp"], capture_output=True, text=True, check=True).stdout
    sockets = [line.split()[4] for line in abstract.splitlines()
               if f"pid={box.daemon.process.pid}," in line]
    assert all(not name.startswith("@") for name in sockets)


def test_descriptors_are_not_inherited(box):
    for descriptor in leaks.descriptors(box.daemon.process.pid):
        if descriptor > 2:
            text = open(f"/proc/{box.daemon.process.pid}/fdinfo/{descriptor}").read()
            flags = int(text.split("flags:")[1].split()[0], 8)
            assert flags & 0o2000000, f"descriptor {descriptor} is not close-on-exec"


class TestProgram:
    def grpcd(self, *args):
        return subprocess.run([host.BUILD / "nerdctl-grpcd", *args], capture_output=True,
                              text=True, timeout=20, check=False)

    def test_version(self):
        done = self.grpcd("--version")
        assert done.returncode == 0
        assert done.stdout.startswith("nerdctl-grpcd version ")

    def test_check_config(self):
        assert self.grpcd("--check-config").returncode == 0

    @pytest.mark.parametrize("args, word", [
        (["--listen", "tcp://127.0.0.1:9090"], "TLS"),
        (["--listen", "tcp://0.0.0.0:9090", "--insecure"], "loopback"),
        (["--listen", "ftp://x"], "--listen"),
        (["--tls-cert", "/x.pem"], "--tls-key"),
        (["--no-such"], "--no-such"),
        (["--log-level", "loud"], "loud"),
        (["--listen"], "--listen"),
        (["--max-connections", "-1"], "--max-connections"),
        (["--shutdown-grace", "soon"], "--shutdown-grace"),
    ])
    def test_wrong_options_are_said(self, args, word):
        done = self.grpcd(*args, "--check-config")
        assert done.returncode != 0
        assert word in done.stderr

    def test_missing_certificate_is_said(self, tmp_path):
        done = self.grpcd("--listen", "tcp://127.0.0.1:0", "--tls-cert", "/no/such.pem", "--tls-key",
                          "/no/such.key", "--tls-ca", "/no/ca.pem")
        assert done.returncode == 1
        assert "/no/" in done.stderr

    def test_a_second_daemon_on_the_socket_is_refused(self, box):
        done = self.grpcd(*box.daemon.options[:6])
        assert done.returncode == 1
        assert str(box.daemon.socket) in done.stderr


@pytest.fixture
def own_box(api_modules):
    """A host for tests that stop or kill something."""
    import conftest
    own = host.Host(conftest.BUILD, prefix="nds")
    own.start()
    own.api = stubs.Api(api_modules, own.daemon.target)
    yield own
    own.api.close()
    left = own.close()
    assert not left, "; ".join(left)


def test_sigterm_drains_and_exits_with_zero(own_box):
    api = own_box.api
    events = api.system.Events(api.m.system.SystemServiceEventsRequest(), timeout=60)
    watch = api.health.Watch(api.m.health.HealthCheckRequest(), timeout=60)
    assert next(watch).status == 1
    ended = threading.Event()

    def consume():
        try:
            for _ in events:
                pass
        except grpc.RpcError:
            ended.set()
    thread = threading.Thread(target=consume)
    thread.start()
    own_box.daemon.process.send_signal(signal.SIGTERM)
    # Watchers learn it before the connection goes.
    assert next(watch).status == api.m.health.HealthCheckResponse.NOT_SERVING
    assert own_box.daemon.process.wait(20) == 0
    thread.join(10)
    assert ended.is_set()
    assert not own_box.daemon.socket.exists()


def test_second_sigterm_exits_at_once(own_box):
    api = own_box.api
    watch = api.health.Watch(api.m.health.HealthCheckRequest(), timeout=60)
    holds = api.system.Events(api.m.system.SystemServiceEventsRequest(), timeout=60)
    assert next(watch).status == 1
    own_box.daemon.process.send_signal(signal.SIGTERM)
    assert next(watch).status == api.m.health.HealthCheckResponse.NOT_SERVING
    assert api.failure(lambda: next(watch)).code == grpc.StatusCode.UNAVAILABLE
    assert not holds.done()
    own_box.daemon.process.send_signal(signal.SIGTERM)
    own_box.daemon.process.wait(5)


def test_watchers_of_health_do_not_hold_up_the_stop(own_box):
    api = own_box.api
    own_box.daemon.stop()
    own_box.daemon.options += ["--shutdown-grace", "1h"]
    own_box.daemon.start()
    watch = api.health.Watch(api.m.health.HealthCheckRequest(), timeout=60, wait_for_ready=True)
    assert next(watch).status == 1
    own_box.daemon.process.send_signal(signal.SIGTERM)
    assert own_box.daemon.process.wait(20) == 0
    assert api.failure(lambda: list(watch)).code == grpc.StatusCode.UNAVAILABLE


def test_starts_again_after_a_crash(own_box):
    own_box.daemon.kill()
    own_box.daemon.start()
    assert check_health(own_box.api) == 1
