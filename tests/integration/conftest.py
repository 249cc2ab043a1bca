"""What the end-to-end tests stand on: one private containerd and daemon, stubs, a namespace per test.

The stubs are generated from the protos at the start of the run, so that the client shares no code with
the daemon. Each test gets a containerd namespace of its own; when it ends everything in it is removed
through the API, and then nothing may be left: no record, snapshot, lease, file, mount or process.
"""

import itertools
import os
import pathlib
import signal
import sys
import time

import grpc
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

import host  # noqa: E402
import leaks  # noqa: E402
import stubs  # noqa: E402

BUILD = host.BUILD


def pytest_configure():
    # As Ctrl-C: whoever ends the run shall not leave a containerd behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A shell's background job ignores Ctrl-C, and so would the programs that tests send it to.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption("--keep", action="store_true", help="do not wipe the host's folder at the end")


@pytest.fixture(scope="session")
def api_modules(tmp_path_factory):
    return stubs.generate(ROOT, tmp_path_factory.mktemp("stubs"))


@pytest.fixture(scope="session")
def echo(tmp_path_factory):
    return stubs.generate_echo(ROOT, tmp_path_factory.mktemp("echo-stubs"))


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    """A folder with an authority and the keys of a server and a client; whoever changes it makes one of their own."""
    folder = tmp_path_factory.mktemp("pki")
    host.subprocess.run([ROOT / "scripts/dev-pki", folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """Archives for loading, made once: see archives.py."""
    import archives
    return archives.Archives(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def box(request, pki):
    """The host most tests share. What it leaves behind at its end fails the run."""
    port = host.free_port()
    tls = ["--listen", f"tcp://127.0.0.1:{port}", "--tls-cert", f"{pki}/server.pem", "--tls-key",
           f"{pki}/server.key", "--tls-ca", f"{pki}/ca.pem", "--web-origin", "https://web.test"]
    shared = host.Host(BUILD, daemon_options=tls)
    shared.pki = pki
    shared.port = port
    shared.start()
    yield shared
    if request.config.getoption("--keep"):
        print(f"\nkept: {shared.folder}")
        return
    code = shared.daemon.stop()
    left = shared.close()
    assert code == 0, f"the daemon ended with {code}"
    assert not left, "left at the end of the run: " + "; ".join(left)


@pytest.fixture(scope="session")
def api(api_modules, box):
    """A connection to the shared daemon: see stubs.Api."""
    connection = stubs.Api(api_modules, box.daemon.target)
    yield connection
    connection.close()


# Names that no run before has used: what that left behind is not ours.
RUN = f"{os.getpid():x}{int(time.time()) % 4096:x}"
COUNTER = itertools.count(1)


@pytest.fixture
def ns(api, box, request):
    """The test's own containerd namespace, as a view of the API; empty again and checked afterwards."""
    if box.daemon.process.poll() is not None:
        # It crashed in the test before, which has failed for it: the others go on.
        box.daemon.start()
    view = api.namespace(f"t{RUN}-{next(COUNTER)}")
    view.box = box
    yield view
    failed = getattr(request.node, "failed", False)
    view.clear()
    left = leaks.of_namespace(box, view.name)
    host.remove_namespace_cgroups(view.name)
    if not failed:
        assert not left, f"left in namespace {view.name}: " + "; ".join(left)


@pytest.fixture
def ready(ns, images):
    """A namespace that has the busybox image as "busybox:latest"."""
    ns.load(images.busybox)
    return ns


@pytest.fixture
def own(api_modules, images):
    """A host, an API in a namespace, the image loaded; wiped and checked at the end."""
    machine = host.Host(BUILD, prefix="ndr")
    machine.start()
    api = stubs.Api(api_modules, machine.daemon.target)
    ns = api.namespace(f"r{RUN}-{next(COUNTER)}")
    ns.box = machine
    ns.load(images.busybox)
    yield ns
    if machine.containerd.process is None or machine.containerd.process.poll() is not None:
        machine.containerd.start()
    if machine.daemon.process is None:
        machine.daemon.start()
    host.wait_until(lambda: can_list(ns), 10, "recovered")
    ns.clear()
    left = without_task_logs(machine, ns.name, leaks.of_namespace(machine, ns.name))
    host.remove_namespace_cgroups(ns.name)
    api.close()
    lost = [name.decode() for name in machine.containerd.lost_shims()]
    left = [one for one in left + machine.close()
            if not ("containerd-shim" in one and any(name in one for name in lost))]
    assert not left, "; ".join(left)


def without_task_logs(machine, name, left):
    """containerd 1.6 that is killed, or loses a shim, while it deletes a task leaves the task's folder with the
    FIFO of its shim's log, which whoever opens it makes anew. Nobody else may touch that folder. containerd
    removes it at its next start, so that is tried; but for one that it had given a hidden name, as it does when it
    begins to remove it: that it never looks at again. Nothing else is forgiven."""
    logs = [one for one in left if leaks.TASK_LOG.fullmatch(one)]
    if not logs:
        return left
    machine.containerd.stop()
    machine.containerd.start()
    return [one for one in left if one not in logs] + [
        one for one in leaks.of_namespace(machine, name) if not leaks.HIDDEN_TASK_LOG.fullmatch(one)]


def can_list(ns):
    try:
        ns.call(ns.api.system.Ping, ns.m.system.SystemServicePingRequest())
        return True
    except grpc.RpcError:
        return False


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        item.failed = True
        # The last lines of the daemon's log are worth more than a second run.
        shared = item.funcargs.get("box")
        if shared is not None:
            report.sections.append(("daemon's log", host.tail(shared.daemon.log, 30)))
