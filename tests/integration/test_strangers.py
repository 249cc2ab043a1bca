"""Others who work on the same containers: several clients at once, and records that somebody else wrote."""

import concurrent.futures
import json
import random

import grpc
import pytest

import host

FOREVER = ("sleep", "100000")
GONE = grpc.StatusCode.NOT_FOUND


def at_once(n, call):
    """What n callers at the same time get: results, and the codes of those who failed."""
    def one(i):
        try:
            return call(i)
        except grpc.RpcError as error:
            return error.code()
    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        return list(pool.map(one, range(n)))


class TestClientsAtOnce:
    def test_many_starts_make_one_process(self, ready):
        container = ready.create("sh", "-c", "echo started; exec sleep 100000")
        got = at_once(8, lambda i: ready.start(container).id)
        assert got == [container] * 8
        host.wait_until(lambda: ready.logs(container)[0], 10, "the output")
        assert ready.logs(container)[0] == b"started\n"

    def test_many_removals_make_one(self, ready):
        container = ready.run(*FOREVER, detach=True, name="doomed").id
        got = at_once(8, lambda i: ready.remove("doomed", force=True).container_id)
        assert set(got) <= {container, GONE} and container in got
        assert ready.list(all=True) == []
        ready.create("true", name="doomed")

    def test_stop_leaves_the_next_process_alone(self, ready):
        """A patient stop that comes too late for its process does not kill the one that follows."""
        container = ready.run("sh", "-c", "trap 'sleep 0.5; exit 0' TERM; while :; do sleep 0.05; done",
                              detach=True).id
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            stopping = pool.submit(ready.stop, container, timeout=3)
            ready.wait(container)
            ready.start(container)
            stopping.result()
        assert ready.state(container) == ready.m.container.CONTAINER_STATE_RUNNING

    def test_whoever_does_not_read_holds_up_nobody(self, ready):
        """The process waits for who started it; a removal by somebody else does not. What was written by
        then still comes, and how it ended."""
        replies = ready.call(ready.api.container.Run, iter([ready.run_request(
            "sh", "-c", "head -c 200000000 /dev/zero | tr '\\0' a", auto_remove=True)]))
        container = next(r.container_id for r in replies if r.container_id)
        log = next(ready.box.folder.glob(f"data/*/containers/{ready.name}/{container}/*-json.log"))
        host.wait_until(lambda: log.stat().st_size > 150000, 20, "output")
        request = ready.m.container.ContainerServiceRemoveRequest(container=container, force=True)
        ready.call(ready.api.container.Remove, request, timeout=20)
        assert ready.list(all=True) == []
        rest = list(replies)
        assert 150000 < sum(len(r.output.data) for r in rest) < 200000000
        assert [r.exit.code for r in rest if r.WhichOneof("response") == "exit"] == [137]

    def test_removes_itself_once_it_was_read(self, ready):
        replies = ready.call(ready.api.container.Run, iter([ready.run_request(
            "sh", "-c", "head -c 5000000 /dev/zero | tr '\\0' a", auto_remove=True)]))
        container = next(r.container_id for r in replies if r.container_id)
        assert [c.id for c in ready.list(all=True)] == [container]
        assert sum(len(r.output.data) for r in replies) == 5000000
        assert ready.list(all=True) == []

    def test_storm(self, ready):
        """Everything with everything: calls fail as documented, and nothing stays (see the fixture)."""
        dice = random.Random(7)
        names = ["ox", "yak", "zebu"]  # no beginnings of ids
        kind = ready.m.container

        def one(seed):
            mine = random.Random(seed)
            name = mine.choice(names)
            action = mine.choice([
                lambda: ready.create("sleep", "0.2", name=name),
                lambda: ready.run("sleep", "0.1", name=name, detach=mine.random() < 0.5,
                                  auto_remove=mine.random() < 0.5),
                lambda: ready.start(name, attach=mine.random() < 0.5),
                lambda: ready.stop(name, timeout=mine.choice([0, 1])),
                lambda: ready.kill(name, mine.choice(["KILL", "TERM", "HUP"])),
                lambda: ready.remove(name, force=mine.random() < 0.7),
                lambda: ready.call(ready.api.container.Remove, kind.ContainerServiceRemoveRequest(
                    container=name, force=True), timeout=mine.choice([0.01, 0.05, 20])),
                lambda: ready.logs(name, follow=mine.random() < 0.5),
                lambda: ready.wait(name),
                lambda: ready.inspect(name),
                lambda: ready.list(all=True),
            ])
            try:
                action()
            except grpc.RpcError as error:
                return error.code(), error.details()
            return None, ""
        seeds = [dice.random() for _ in range(150)]
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            failures = set(pool.map(one, seeds))
        allowed = {None, GONE, grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.FAILED_PRECONDITION,
                   grpc.StatusCode.DEADLINE_EXCEEDED}
        odd = [f for f in failures if f[0] not in allowed]
        assert not odd


# Labels as no program writes them: of a wrong type, torn, leading out of the store, huge.
HOSTILE = [
    {"nerdctl/name": "../../../etc/passwd"},
    {"nerdctl/name": "a/b", "nerdctl/state-dir": "/etc"},
    {"nerdctl/namespace": "other", "nerdctl/networks": "5", "nerdctl/ports": "{"},
    {"nerdctl/ipc": "[", "nerdctl/mounts": "{\"Source\": 5}", "nerdctl/mounts.0": "7",
     "nerdctl/mounts.1": "{\"Mode\": \",,,\", \"RW\": \"no\"}"},
    {"nerdctl/ipc": "{\"mode\":\"shareable\",\"shmSize\":\"" + "9" * 400 + "g\"}"},
    {"nerdctl/log-uri": "binary:///bin/false?x=%zz", "nerdctl/log-config": "null"},
    {"nerdctl/auto-remove": "maybe", "nerdctl-grpc/removing": "no"},
    {"nerdctl/host-config": "[[[[", "nerdctl/dns": "{\"DNSServers\":{}}", "nerdctl/extraHosts": "{}"},
    {"nerdctl/stop-timeout": "-1", "io.containerd.image.config.stop-signal": "SIGNOTHING"},
    {"nerdctl/stop-timeout": "99999999999999999999", "nerdctl/healthstate": "{\"FailingStreak\":1e999}"},
    {"containerd.io/restart.policy": "on-failure:99999999999999999999",
     "containerd.io/restart.count": "-5", "containerd.io/restart.explicitly-stopped": "perhaps"},
    {"nerdctl/anonymous-volumes": "[\"../../x\"]", "nerdctl/pid-container": "../x"},
    {"nerdctl/error": "\x1b[31m" + "e" * 3000},
]


class TestForeignRecords:
    def make(self, ns, name, labels):
        words = [w for key, value in labels.items() for w in ("--label", f"{key}={value}")]
        ns.box.containerd.ctr("containers", "create", "--snapshotter", ns.box.snapshotter, *words,
                              "docker.io/library/busybox:latest", name, "sleep", "100000",
                              namespace=ns.name)

    @pytest.mark.parametrize("labels", HOSTILE, ids=lambda labels: "-".join(
        key.rsplit("/")[-1] for key in labels))
    def test_odd_labels_are_lived_with(self, ready, labels):
        """Shown, stopped and removed; other containers do not notice."""
        self.make(ready, "foreign", labels)
        ours = ready.create("true")
        assert {c.id for c in ready.list(all=True)} == {"foreign", ours}
        assert ready.inspect("foreign").container.id == "foreign"
        json.loads(ready.inspect("foreign").document)
        assert ready.inspect("foreign", mode=ready.m.common.INSPECT_MODE_NATIVE).document
        ready.stop("foreign")
        ready.wait("foreign")
        assert ready.failure(ready.api.container.Kill, ready.m.container.ContainerServiceKillRequest(
            container="foreign")).code == grpc.StatusCode.FAILED_PRECONDITION
        ready.failure(ready.api.container.Logs, ready.logs_request("foreign"))
        assert ready.remove("foreign").container_id == "foreign"
        assert [c.id for c in ready.list(all=True)] == [ours]

    def test_two_records_of_one_name_are_told_apart_by_id(self, ready):
        for name in ("one", "two"):
            self.make(ready, name, {"nerdctl/name": "twin"})
        failure = ready.failure(ready.api.container.Remove,
                                ready.m.container.ContainerServiceRemoveRequest(container="twin"))
        assert failure.reason == "CONTAINER_ID_AMBIGUOUS"
        failure = ready.failure(ready.api.container.Create, ready.create_request("true", name="twin"))
        assert failure.code == grpc.StatusCode.ALREADY_EXISTS
        ready.remove("one")
        assert ready.remove("twin").container_id == "two"

    def test_name_that_looks_like_an_id(self, ready):
        name = "ab" * 32
        container = ready.create("true", name=name)
        assert ready.inspect(name).container.id == container
        ready.remove(name)
