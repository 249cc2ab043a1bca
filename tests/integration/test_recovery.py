"""What goes away and comes back: containerd, the daemon, the client. Each test has a host of its own."""

import concurrent.futures
import contextlib
import random
import socket
import subprocess
import threading
import time

import grpc
import pytest

import archives
import conftest
import host
import leaks
import moments
import stubs

FOREVER = ("sleep", "100000")


def big_archive(images):
    return archives.docker(archives.Image(images.layer, archives.tar(("big", bytes(20 << 20)))), "big:1")


def try_load(own, data):
    try:
        own.load(data)
    except grpc.RpcError:
        pass


def of_load(own):
    """What a load that was cut off may have left beside the image that every test here has."""
    ctrd = own.box.containerd
    leases = ctrd.names("leases", "ls", "-q", namespace=own.name)
    blobs = ctrd.names("content", "ls", "-q", namespace=own.name)
    snapshots = ctrd.ctr("snapshots", "ls", namespace=own.name).stdout.splitlines()[1:]
    ingests = ctrd.ctr("content", "active", namespace=own.name).stdout.splitlines()[1:]
    return leases + ingests + blobs[3:] + snapshots[1:]


class TestContainerdStopped:
    def test_error_says_who_is_missing_and_what_to_do(self, own):
        own.box.containerd.stop()
        begin = time.monotonic()
        failure = own.api.failure(lambda: own.create("true"))
        assert time.monotonic() - begin < 10
        assert failure.code == grpc.StatusCode.UNAVAILABLE
        assert "containerd" in failure.message
        assert failure.reason == "CONTAINERD_UNAVAILABLE"
        assert failure.detail.component == "containerd"
        assert failure.suggestions

    def test_version_says_so(self, own):
        assert own.box.daemon.cli("version").stderr == ""
        own.box.containerd.stop()
        done = own.box.daemon.cli("version")
        assert done.returncode == 0 and "nerdctl-grpcd:" in done.stdout
        assert "containerd:" not in done.stdout
        assert "the daemon cannot reach containerd" in done.stderr

    def test_health_of_services_follows_but_not_of_the_server(self, own):
        health = own.m.health
        watch = own.api.health.Watch(
            health.HealthCheckRequest(service="nerdctl.v1.ContainerService"), timeout=60)
        assert next(watch).status == health.HealthCheckResponse.SERVING
        own.box.containerd.stop()
        assert next(watch).status == health.HealthCheckResponse.NOT_SERVING
        whole = own.api.health.Check(health.HealthCheckRequest(), timeout=10)
        assert whole.status == health.HealthCheckResponse.SERVING
        own.box.containerd.start()
        assert next(watch).status == health.HealthCheckResponse.SERVING
        watch.cancel()

    def test_recovers_within_two_seconds(self, own):
        running = own.run(*FOREVER, detach=True, name="survivor").id
        for _ in range(3):
            own.box.containerd.kill()
            host.wait_until(lambda: not conftest.can_list(own), 10, "the loss is noticed")
            own.box.containerd.start()
            begin = time.monotonic()
            host.wait_until(lambda: conftest.can_list(own), 10, "recovery")
            assert time.monotonic() - begin < 2
            assert own.state("survivor") == own.m.container.CONTAINER_STATE_RUNNING
        assert own.inspect(running).container.pid > 0

    def test_long_outage_is_recovered_from_as_fast(self, own):
        """However long the backoff has grown."""
        own.box.containerd.stop()
        for _ in range(20):
            assert not conftest.can_list(own)
            time.sleep(0.3)
        own.box.containerd.start()
        begin = time.monotonic()
        host.wait_until(lambda: conftest.can_list(own), 10, "recovery")
        assert time.monotonic() - begin < 2

    def test_events_go_on_after_a_gap(self, own):
        events = own.call(own.api.system.Events, own.m.system.SystemServiceEventsRequest())
        events.initial_metadata()
        own.box.containerd.kill()
        own.box.containerd.start()
        host.wait_until(lambda: conftest.can_list(own), 10, "recovery")
        topics = []
        found = threading.Event()

        def collect():
            try:
                for event in events:
                    topics.append(event.topic)
                    if event.topic == "/tasks/exit":
                        found.set()
            except grpc.RpcError:
                pass
        threading.Thread(target=collect, daemon=True).start()
        host.wait_until(lambda: "/nerdctl-grpc/gap" in topics, 10, "the gap")
        own.run("true")
        assert found.wait(10), topics
        events.cancel()

    def test_wait_survives_the_outage(self, own):
        done = own.run("sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.05; done", detach=True)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(lambda: own.wait(done.id))
            own.box.containerd.kill()
            own.box.containerd.start()
            host.wait_until(lambda: conftest.can_list(own), 10, "recovery")
            own.kill(done.id, "TERM")
            try:
                replies = waiting.result(30)
                assert replies[0].exit.code == 5
            except grpc.RpcError as error:
                # Honest too: the wait is over, and asking again gives the code.
                assert error.code() == grpc.StatusCode.UNAVAILABLE
                host.wait_until(lambda: conftest.can_list(own), 10, "recovery")
                assert own.wait(done.id)[0].exit.code == 5

    def test_logs_follow_survives_the_outage(self, own):
        done = own.run("sh", "-c", "i=0; while [ $i -lt 60 ]; do echo $i; i=$((i+1)); sleep 0.05; done",
                       detach=True)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            begun = threading.Event()

            def follow():
                pieces = []
                for reply in own.call(own.api.container.Logs, own.logs_request(done.id, follow=True)):
                    pieces.append(reply.data)
                    begun.set()
                return b"".join(pieces)
            following = pool.submit(follow)
            assert begun.wait(10)
            own.box.containerd.kill()
            own.box.containerd.start()
            out = following.result(30)
        assert out == "".join(f"{i}\n" for i in range(60)).encode()

    def test_killed_while_loading(self, own, images):
        """At any moment: once it is back, nothing of the archive is left, neither leases nor what they hold."""
        data = big_archive(images)
        watch = moments.Moments(own.box, own.name)
        for moment in moments.OF_A_LOAD:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                watch.reach(moment, lambda: pool.submit(try_load, own, data))
                own.box.containerd.kill()
            own.box.containerd.start()
            host.wait_until(lambda: conftest.can_list(own), 10, "recovery")
            for image in own.images():
                if "big" in image.name:
                    own.remove_image(image.name)
            host.wait_until(lambda: not of_load(own), 10, "nothing is left of the load")

    def test_daemon_says_that_it_waits_and_when_it_is_ready(self, own):
        own.box.daemon.stop()
        own.box.containerd.stop()
        daemon = own.box.daemon
        before = daemon.start(wait=False)

        def said():
            return [record.get("msg") for record in daemon.records(before)]
        host.wait_until(lambda: "waiting for containerd" in said(), 10, "the daemon says that it waits")
        assert "ready" not in said()
        waiting = next(r for r in daemon.records(before) if r["msg"] == "waiting for containerd")
        assert waiting["address"] == own.box.containerd.address
        own.box.containerd.start()
        host.wait_until(lambda: "ready" in said(), 10, "ready")
        reply = own.api.health.Check(
            own.m.health.HealthCheckRequest(service="nerdctl.v1.ContainerService"), timeout=10,
            wait_for_ready=True)
        assert reply.status == own.m.health.HealthCheckResponse.SERVING
        assert said().count("ready") == 1

    def test_killed_under_load(self, own):
        """Calls fail honestly or succeed; afterwards every container is known and nothing hangs."""
        stop = threading.Event()
        outcomes = []

        def work():
            while not stop.is_set():
                try:
                    done = own.run("true")
                    outcomes.append(done.code)
                except grpc.RpcError as error:
                    outcomes.append(error.code())
                    print(error.code(), error.details())
                    time.sleep(0.05)
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()

        def more_runs():
            """Successful ones, which take their time."""
            before = outcomes.count(0)
            host.wait_until(lambda: outcomes.count(0) >= before + 4, 30, "runs")
        for _ in range(3):
            more_runs()
            own.box.containerd.kill()
            own.box.containerd.start()
        more_runs()
        stop.set()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        host.wait_until(lambda: conftest.can_list(own), 10, "recovery")
        assert outcomes[-1] == 0
        assert set(outcomes) <= {0, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND,
                                 grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL,
                                 grpc.StatusCode.ABORTED, grpc.StatusCode.FAILED_PRECONDITION}
        assert own.run("echo", "well").stdout == b"well\n"


class TestDaemonKilled:
    def test_containers_and_their_logs_live_on(self, own):
        done = own.run("sh", "-c", "i=0; while [ $i -lt 100 ]; do echo $i; i=$((i+1)); sleep 0.03; done",
                       detach=True, name="survivor")
        for _ in range(3):
            own.box.daemon.kill()
            own.box.daemon.start()
        host.wait_until(lambda: conftest.can_list(own), 10, "connected again")
        assert own.wait("survivor")[0].exit.code == 0
        assert own.logs(done.id)[0] == "".join(f"{i}\n" for i in range(100)).encode()

    def test_auto_remove_is_kept_up(self, own):
        """One that ended while no daemon ran is removed after its start."""
        done = own.run("sleep", "0.5", detach=True, auto_remove=True)
        pid = own.inspect(done.id).container.pid
        own.box.daemon.kill()
        host.wait_until(lambda: not host.is_running(pid), 10, "ended")
        own.box.daemon.start()
        host.wait_until(lambda: conftest.can_list(own), 10, "connected again")
        host.wait_until(lambda: not own.list(all=True), 10, "removed")

    def test_a_process_that_was_just_being_started_holds_the_socket(self, own):
        """Until it becomes another program: the next daemon waits for that."""
        own.box.daemon.kill()
        own.box.daemon.socket.unlink()
        with socket.socket(socket.AF_UNIX) as held, concurrent.futures.ThreadPoolExecutor(1) as pool:
            held.bind(str(own.box.daemon.socket))
            held.listen()
            started = pool.submit(own.box.daemon.start)
            held.accept()[0].close()  # it has seen that somebody is there
            held.close()
            started.result()
        host.wait_until(lambda: conftest.can_list(own), 10, "connected again")

    def test_killed_while_creating(self, own):
        """At any moment: what is left can be listed and removed, and of the rest there is nothing."""
        watch = moments.Moments(own.box, own.name)
        for moment in moments.OF_A_RUN:
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                watch.reach(moment, lambda: [pool.submit(self.try_run, own) for _ in range(4)])
                own.box.daemon.kill()
            own.box.daemon.start()
        host.wait_until(lambda: conftest.can_list(own), 10, "recovery")
        for container in own.list(all=True):
            own.remove(container.id, force=True)
        assert own.list(all=True) == []

    def test_killed_while_stopping(self, own):
        """The next one finishes it: SIGKILL comes when the time that was given is over."""
        done = own.run(*FOREVER, detach=True)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            stopping = pool.submit(lambda: own.api.failure(lambda: own.stop(done.id, timeout=3)))
            host.wait_until(lambda: self.is_marked_as_stopped(own, done.id), 10, "begun")
            own.box.daemon.kill()
            assert stopping.result().code == grpc.StatusCode.UNAVAILABLE
        own.box.daemon.start()
        host.wait_until(lambda: conftest.can_list(own), 10, "connected again")
        assert own.wait(done.id)[0].exit.code == 137
        own.remove(done.id)

    def is_marked_as_stopped(self, own, container):
        labels = own.inspect(container).container.labels
        return labels.get("containerd.io/restart.explicitly-stopped") == "true"

    def try_run(self, own):
        try:
            own.run("true")
        except grpc.RpcError:
            pass

    def test_killed_while_loading(self, own, images):
        data = big_archive(images)
        watch = moments.Moments(own.box, own.name)
        for moment in moments.OF_A_LOAD:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                watch.reach(moment, lambda: pool.submit(try_load, own, data))
                own.box.daemon.kill()
            own.box.daemon.start()
        host.wait_until(lambda: conftest.can_list(own), 10, "recovery")
        own.load(data)
        assert own.run("true", image="big:1").code == 0


class TestTaskGone:
    def test_shim_killed(self, own):
        """The container's shim dies: it is shown as not running and can be removed."""
        done = own.run(*FOREVER, detach=True)
        shim = next(pid for pid, words in host.processes_of(own.box.folder).items()
                    if "containerd-shim" in words and done.id in words)
        host.kill_pid(shim)
        host.wait_until(
            lambda: own.state(done.id) != own.m.container.CONTAINER_STATE_RUNNING, 10, "noticed")
        own.remove(done.id, force=True)
        assert own.list(all=True) == []

    def test_process_killed_from_outside(self, own):
        done = own.run(*FOREVER, detach=True)
        host.kill_pid(own.inspect(done.id).container.pid)
        assert own.wait(done.id)[0].exit.code == 137

    def test_helper_killed(self, own):
        """The log writer dies: the container lives, can be stopped and removed."""
        done = own.run("sh", "-c", "while :; do echo x; sleep 0.1; done", detach=True)
        helper = next(pid for pid, words in host.processes_of(own.box.folder).items()
                      if "nerdctl-grpc-helper" in words)
        host.kill_pid(helper)
        own.stop(done.id, timeout=1)
        own.remove(done.id)


class TestDiskFull:
    """The load says so, leaves nothing behind, and works once there is room."""

    @pytest.mark.parametrize("what, size", [("data", "6m"), ("root", "20m")])
    def test_load(self, api_modules, images, what, size):
        machine = host.Host(conftest.BUILD, prefix="ndf")
        disk = machine.folder / what
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], check=True)
        try:
            machine.start()
            api = stubs.Api(api_modules, machine.daemon.target)
            ns = api.namespace("full")
            ns.box = machine
            noise = random.Random(1).randbytes(11 << 20)
            data = archives.docker(archives.Image(images.layer, archives.tar(("big", noise))), "big:1")
            failure = api.failure(lambda: ns.load(data))
            assert failure.code == grpc.StatusCode.RESOURCE_EXHAUSTED, failure
            assert failure.reason == "DISK_FULL" and failure.suggestions
            assert "no space left" in failure.message.lower()
            assert ns.images() == []
            host.wait_until(lambda: not leaks.of_namespace(machine, ns.name), 10, "nothing is left")
            subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
            ns.load(data)
            ns.remove_image("big:1")
            api.close()
        finally:
            machine.daemon.stop()
            machine.containerd.stop()
            subprocess.run(["umount", "-l", disk], check=True)
            machine.close()

    def test_what_was_answered_stays(self, api_modules, images):
        """The disk of the state folder is full, and the daemon dies before there is room again."""
        machine = host.Host(conftest.BUILD, prefix="ndf")
        disk = machine.folder / "grpc-state"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], check=True)
        try:
            machine.start()
            api = stubs.Api(api_modules, machine.daemon.target)
            ns = api.namespace("full")
            ns.load(images.busybox)
            with contextlib.suppress(OSError), open(disk / "filler", "wb", buffering=0) as filler:
                while True:
                    filler.write(bytes(4096))
            made = [ns.create("true"), ns.run(*FOREVER, detach=True).id]
            machine.daemon.kill()
            machine.daemon.start()
            host.wait_until(lambda: conftest.can_list(ns), 10, "recovery")
            assert {c.id for c in ns.list(all=True)} == set(made)
            assert ns.state(made[1]) == ns.m.container.CONTAINER_STATE_RUNNING
            ns.clear()
            api.close()
        finally:
            machine.daemon.stop()
            machine.containerd.stop()
            subprocess.run(["umount", "-l", disk], check=True)
            machine.close()
