"""SystemService and NamespaceService."""

import json
import os
import platform
import threading
import time

import grpc
import pytest

import host


def test_version(api, box):
    reply = api.system.Version(api.m.system.SystemServiceVersionRequest(), timeout=10)
    assert reply.api_version == "v1"
    assert reply.os == "linux"
    assert reply.arch in ("amd64", "arm64")
    components = {c.name: c for c in reply.components}
    assert components["containerd"].version in box.containerd.ctr("version").stdout
    assert components["runc"].version


def test_info(ready):
    info = ready.call(ready.api.system.Info, ready.m.system.SystemServiceInfoRequest())
    assert info.name == platform.node()
    assert info.ncpu == len(os.sched_getaffinity(0))
    memory = int(open("/proc/meminfo").readline().split()[1]) * 1024
    assert info.mem_total == memory
    assert info.kernel_version == platform.release()
    assert info.driver == ready.box.snapshotter
    assert info.namespace == ready.name
    assert (info.containers, info.images) == (0, 1)
    assert "json-file" in info.log_drivers
    assert info.cgroup_version in ("1", "2")
    assert info.server_version
    assert info.containerd_address.endswith("c.sock")


def test_info_counts(ready):
    ready.create("true")
    ready.run("sleep", "1000", detach=True)
    ready.run("true")
    info = ready.call(ready.api.system.Info, ready.m.system.SystemServiceInfoRequest())
    assert (info.containers, info.containers_running, info.containers_stopped) == (3, 1, 2)


def test_ping(api):
    reply = api.system.Ping(api.m.system.SystemServicePingRequest(), timeout=10)
    assert abs(reply.time.seconds - time.time()) < 5


class Watcher:
    """Events of a namespace, collected by a thread until a condition holds."""

    def __init__(self, ns, **options):
        self.events = []
        self.changed = threading.Condition()
        request = ns.m.system.SystemServiceEventsRequest(**options)
        self.stream = ns.call(ns.api.system.Events, request)
        # The first header says that the daemon listens.
        self.stream.initial_metadata()
        threading.Thread(target=self.collect, daemon=True).start()

    def collect(self):
        try:
            for event in self.stream:
                with self.changed:
                    self.events.append(event)
                    self.changed.notify_all()
        except grpc.RpcError:
            pass

    def wait_for(self, topic, seconds=20):
        def find():
            return next((e for e in self.events if e.topic == topic), None)
        with self.changed:
            assert self.changed.wait_for(find, seconds), f"no {topic} in {self.topics()}"
            return find()

    def topics(self):
        return [e.topic for e in self.events]


def test_events_tell_the_life_of_a_container(ready):
    watcher = Watcher(ready)
    done = ready.run("sh", "-c", "exit 3")
    ready.remove(done.id)
    watcher.wait_for("/containers/delete")
    topics = watcher.topics()
    order = ["/containers/create", "/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete",
             "/containers/delete"]
    assert [t for t in topics if t in order] == order
    end = watcher.wait_for("/tasks/exit")
    assert end.namespace == ready.name
    assert (end.type, end.action, end.id) == ("container", "die", done.id)
    assert json.loads(end.event)["exit_status"] == 3
    assert abs(end.timestamp.seconds - time.time()) < 60
    watcher.stream.cancel()


def test_events_of_other_namespaces_do_not_come(ready, api):
    watcher = Watcher(api.namespace("elsewhere"))
    everything = Watcher(ready, all_namespaces=True)
    ready.run("true")
    everything.wait_for("/tasks/exit")
    assert watcher.events == []
    for stream in (watcher, everything):
        stream.stream.cancel()


def test_events_filter(ready):
    watcher = Watcher(ready, filters=["event=start", "event=die"])
    ready.run("true")
    watcher.wait_for("/tasks/exit")
    assert watcher.topics() == ["/tasks/start", "/tasks/exit"]
    watcher.stream.cancel()


def test_events_until_ends_the_stream(ns):
    request = ns.m.system.SystemServiceEventsRequest()
    request.until.FromSeconds(int(time.time()) + 1)
    assert list(ns.call(ns.api.system.Events, request)) == []


def test_namespaces_are_listed_with_what_is_in_them(ready):
    ready.create("true")

    def find():
        reply = ready.call(ready.api.namespaces.List, ready.m.namespace.NamespaceServiceListRequest())
        return next((n for n in reply.namespaces if n.name == ready.name), None)
    found = host.wait_until(find, 5, "namespace")
    assert (found.containers, found.images, found.volumes) == (1, 1, 0)


def test_namespace_labels(api, box):
    box.containerd.ctr("namespaces", "create", "labelled", "colour=blue")
    reply = api.namespaces.List(api.m.namespace.NamespaceServiceListRequest(), timeout=10)
    labels = {n.name: dict(n.labels) for n in reply.namespaces}
    box.containerd.ctr("namespaces", "remove", "labelled")
    assert labels["labelled"] == {"colour": "blue"}


@pytest.mark.parametrize("bad", ["colour=blue", "event", "=x"])
def test_bad_event_filter(ns, bad):
    request = ns.m.system.SystemServiceEventsRequest(filters=[bad])
    failure = ns.failure(ns.api.system.Events, request)
    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert "filters[0]" in failure.fields
