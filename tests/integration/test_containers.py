"""ContainerService: the life of a container, its output, its exit code."""

import concurrent.futures
import json
import pathlib
import re
import threading
import time

import grpc
import pytest

import host
import streams
import stubs

FOREVER = ("sleep", "100000")
SHELL = ("sh", "-c")


class TestRun:
    def test_output_and_exit_code(self, ready):
        done = ready.run(*SHELL, "echo out; echo err >&2; exit 7")
        assert (done.stdout, done.stderr, done.code) == (b"out\n", b"err\n", 7)
        assert len(done.id) == 64
        assert abs(done.exit.exited_at.seconds - time.time()) < 60

    @pytest.mark.parametrize("code", [0, 1, 2, 3, 42, 125, 126, 127, 128, 255])
    def test_exit_codes(self, ready, code):
        assert ready.run(*SHELL, f"exit {code}").code == code

    @pytest.mark.parametrize("signal, code", [("TERM", 143), ("KILL", 137), ("INT", 130)])
    def test_death_by_signal(self, ready, signal, code):
        """The shell as first process ignores what it does not handle: let a child die of it."""
        assert ready.run(*SHELL, f"sh -c 'kill -{signal} $$'; exit $?").code == code

    def test_missing_program(self, ready):
        failure = ready.failure(ready.api.container.Run, iter([ready.run_request("/no/such")]))
        assert failure.code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION,
                                grpc.StatusCode.INVALID_ARGUMENT)
        assert "/no/such" in failure.message

    def test_program_that_is_no_program(self, ready):
        failure = ready.failure(ready.api.container.Run, iter([ready.run_request("/etc/passwd")]))
        assert "permission denied" in failure.message

    def test_removes_itself(self, ready):
        done = ready.run("echo", "bye", auto_remove=True)
        assert (done.stdout, done.code) == (b"bye\n", 0)
        host.wait_until(lambda: not ready.list(all=True), 10, "gone")

    def test_detached_and_removing_itself(self, ready):
        ready.run("sleep", "0.3", auto_remove=True, detach=True)
        host.wait_until(lambda: not ready.list(all=True), 10, "gone")

    def test_detached_returns_while_it_runs(self, ready):
        begin = time.monotonic()
        done = ready.run(*FOREVER, detach=True)
        assert time.monotonic() - begin < 20
        assert done.exit is None
        assert ready.state(done.id) == ready.m.container.CONTAINER_STATE_RUNNING

    def test_signal_of_the_client_reaches_it(self, ready):
        requests = stubs.Requests(ready.run_request(
            *SHELL, "trap 'echo got; exit 5' USR1; echo up; while :; do sleep 0.05; done"))
        replies = ready.call(ready.api.container.Run, requests)
        done = stubs.Ran()
        for reply in replies:
            kind = reply.WhichOneof("response")
            if kind == "output":
                done.stdout += reply.output.data
                if done.stdout == b"up\n":
                    requests.put(ready.m.container.ContainerServiceRunRequest(signal="USR1"))
            elif kind == "exit":
                done.exit = reply.exit
        requests.close()
        assert (done.stdout, done.code) == (b"up\ngot\n", 5)

    def test_large_output_comes_whole(self, ready):
        done = ready.run(*SHELL, "head -c 8000000 /dev/zero | tr '\\0' x; echo; echo end >&2")
        assert len(done.stdout) == 8000001
        assert done.stderr == b"end\n"

    def test_binary_output_comes_unchanged(self, ready):
        done = ready.run(*SHELL, "i=0; while [ $i -lt 256 ]; do printf \"\\\\$(printf %03o $i)\"; "
                                 "i=$((i+1)); done")
        assert done.stdout == bytes(range(256))

    def test_tty_detached(self, ready):
        done = ready.run(*SHELL, "test -t 1 && echo tty; echo err >&2; echo $TERM", tty=True,
                         detach=True)
        assert ready.wait(done.id)[0].exit.code == 0
        assert ready.logs(done.id) == (b"tty\r\nerr\r\nxterm\r\n", b"")

    def test_many_at_once(self, ready):
        def one(i):
            return ready.run(*SHELL, f"echo {i}; exit {i}")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for i, done in enumerate(pool.map(one, range(24))):
                assert (done.stdout, done.code) == (f"{i}\n".encode(), i)

    def test_slow_reader_does_not_lose_output(self, ready):
        """Backpressure: the container writes more than any window holds, and waits while nobody reads."""
        replies = ready.call(ready.api.container.Run, iter([ready.run_request(
            *SHELL, "head -c 60000000 /dev/zero | tr '\\0' a")]))
        container = next(r.container_id for r in replies if r.container_id)
        log = next(ready.box.folder.glob(f"data/*/containers/{ready.name}/{container}/*-json.log"))
        host.wait_until(lambda: log.stat().st_size > 150000, 20, "output")
        assert ready.state(container) == ready.m.container.CONTAINER_STATE_RUNNING
        assert len(self.outputs(replies)) == 60000000

    def unread_log(self, ready, lines, pace="", **options):
        """Write so many numbered lines with somebody attached by the log, who reads nothing before the end."""
        log = ready.m.container.LogConfig(driver="json-file", options=options)
        script = ("while [ ! -e /tmp/go ]; do sleep 0.05; done;"
                  f"i=0; while [ $i -lt {lines} ]; do i=$((i+1)); echo line $i; {pace} done")
        container = ready.run(*SHELL, script, log=log, detach=True).id
        # As where another program's logger has the output.
        next(ready.box.folder.glob(f"data/*/containers/{ready.name}/{container}/streams/socket")).unlink()
        replies = ready.call(ready.api.container.Attach, iter([
            ready.m.container.ContainerServiceAttachRequest(
                options=ready.m.container.AttachOptions(container=container))]))
        assert next(replies).container_id == container
        assert next(replies).event.session.source == ready.m.container.OUTPUT_SOURCE_LOG
        streams.execute(ready, container, "touch", "/tmp/go").end()
        ready.wait(container)
        return container, replies

    def outputs(self, replies):
        return b"".join(r.output.data for r in replies if r.WhichOneof("response") == "output")

    def test_output_that_was_rotated_away_still_comes(self, ready):
        """Its files go one after the other while nobody reads; they are held open."""
        pace = "[ $((i % 1000)) -ne 0 ] || sleep 0.05;"  # per file: what is gone at once nobody can open
        _, replies = self.unread_log(ready, 30000, pace, **{"max-size": "70k", "max-file": "3"})
        assert self.outputs(replies) == b"".join(b"line %d\n" % i for i in range(1, 30001))

    def test_output_that_is_lost_is_told(self, ready):
        """Far more than is held: what came before the hole is whole, and nothing comes from behind it."""
        container, replies = self.unread_log(ready, 60000, **{"max-size": "10k", "max-file": "2"})
        received = b""
        with pytest.raises(grpc.RpcError) as caught:
            for reply in replies:
                assert reply.WhichOneof("response") != "exit"
                received += reply.output.data
        assert caught.value.code() == grpc.StatusCode.DATA_LOSS
        assert re.search("at least [0-9]+ of the log's files", caught.value.details())
        lines = received.split()
        assert lines == [w for i in range(1, len(lines) // 2 + 1) for w in (b"line", b"%d" % i)]
        assert ready.inspect(container).container.exit.code == 0

    def test_half_close_does_not_end_it(self, ready):
        done = ready.run(*SHELL, "sleep 0.5; echo late")
        assert done.stdout == b"late\n"


class TestConfig:
    """What is asked for is what the process sees."""

    def shell(self, ns, script, **config):
        done = ns.run(*SHELL, script, **config)
        assert done.code == 0, done
        return done.stdout.decode()

    def test_env(self, ready):
        out = self.shell(ready, "env", env=["A=1", "B=two words", "EMPTY="], hostname="h")
        lines = out.splitlines()
        assert {"A=1", "B=two words", "EMPTY=", "HOSTNAME=h"} <= set(lines)

    def test_env_of_the_image_is_overridden(self, ns, images):
        ns.load(images.docker())
        out = self.shell(ns, "echo $FROM_IMAGE $PATH", env=["FROM_IMAGE=no"])
        assert out == "no /bin\n"

    def test_working_dir_is_made(self, ready):
        assert self.shell(ready, "pwd", working_dir="/some/where") == "/some/where\n"

    def test_hostname(self, ready):
        assert self.shell(ready, "hostname; cat /etc/hostname", hostname="web") == "web\nweb\n"

    def test_default_hostname_is_the_id(self, ready):
        done = ready.run("hostname")
        assert done.stdout.decode().strip() == done.id[:12]

    @pytest.mark.parametrize("user, out", [
        ("1000", "1000 1000"), ("4242", "4242 0"), ("1000:2000", "1000 2000"), ("0", "0 0"), ("root", "0 0")])
    def test_user(self, ready, user, out):
        assert self.shell(ready, "echo $(id -u) $(id -g)", user=user) == f"{out}\n"

    def test_user_by_name_with_groups(self, ns, images):
        ns.load(images.docker())
        out = self.shell(ns, "id -u; id -g; id -G", user="user")
        assert out.split()[:2] == ["1000", "1000"]
        assert "50" in out.split()

    def test_group_add(self, ready):
        assert "77" in self.shell(ready, "id -G", group_add=["77"]).split()

    def test_entrypoint(self, ready):
        done = ready.run("a", "b", entrypoint=["echo", "first"])
        assert done.stdout == b"first a b\n"

    def test_read_only(self, ready):
        assert ready.run(*SHELL, "echo x > /file", read_only=True).code != 0

    def test_bind_mount(self, ready, tmp_path):
        (tmp_path / "in").write_text("from the host")
        mount = ready.m.container.Mount(type="bind", source=str(tmp_path), target="/mnt")
        assert self.shell(ready, "cat /mnt/in; echo back > /mnt/out", mounts=[mount]) == \
            "from the host"
        assert (tmp_path / "out").read_text() == "back\n"

    def test_read_only_mount(self, ready, tmp_path):
        mount = ready.m.container.Mount(source=str(tmp_path), target="/mnt", read_only=True)
        assert ready.run(*SHELL, "echo x > /mnt/x", mounts=[mount]).code != 0

    def test_tmpfs(self, ready):
        mount = ready.m.container.Mount(type="tmpfs", target="/t", options=["size=1m"])
        out = self.shell(ready, "grep ' /t ' /proc/mounts", mounts=[mount])
        assert "tmpfs" in out and "size=1024k" in out and "noexec" in out

    def test_missing_source_is_made_when_asked(self, ready, tmp_path):
        source = tmp_path / "new" / "folder"
        mount = ready.m.container.Mount(source=str(source), target="/mnt", create_source=True)
        self.shell(ready, "touch /mnt/x", mounts=[mount])
        assert (source / "x").exists()

    def test_memory_and_pids(self, ready):
        resources = ready.m.container.Resources(memory=64 << 20, pids_limit=50, cpu_shares=512)
        done = ready.run(*FOREVER, detach=True, resources=resources)
        cgroup = self.cgroups(ready, done.id)
        found = {name: value for folder in cgroup for name, value in self.read_limits(folder)}
        assert found.get("memory.limit_in_bytes", found.get("memory.max")) == str(64 << 20)
        assert found["pids.max"] == "50"

    def cgroups(self, ns, container):
        pid = ns.inspect(container).container.pid
        lines = pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        for line in lines:
            _, controllers, path = line.split(":", 2)
            for base in (f"/sys/fs/cgroup/{controllers}", "/sys/fs/cgroup"):
                yield pathlib.Path(base + path)

    def read_limits(self, folder):
        for name in ("memory.limit_in_bytes", "memory.max", "pids.max"):
            if (folder / name).exists():
                yield name, (folder / name).read_text().strip()

    def test_ulimit(self, ready):
        limit = ready.m.container.Ulimit(name="nofile", soft=512, hard=600)
        assert self.shell(ready, "ulimit -n; ulimit -Hn", ulimits=[limit]) == "512\n600\n"

    def test_capabilities(self, ready):
        def bits(**config):
            out = self.shell(ready, "grep CapEff /proc/self/status", **config)
            return int(out.split()[1], 16)
        default = bits()
        assert default == 0xa80425fb
        assert bits(cap_add=["NET_ADMIN"]) == default | 1 << 12
        assert bits(cap_drop=["CAP_CHOWN"]) == default & ~1
        assert bits(cap_drop=["ALL"], cap_add=["KILL"]) == 1 << 5
        assert bits(privileged=True) > default

    def test_seccomp_is_on_unless_unconfined(self, ready):
        assert self.shell(ready, "grep Seccomp: /proc/self/status").split()[1] == "2"
        out = self.shell(ready, "grep Seccomp: /proc/self/status",
                         security_options=["seccomp=unconfined"])
        assert out.split()[1] == "0"

    def test_no_new_privileges(self, ready):
        out = self.shell(ready, "grep NoNewPrivs /proc/self/status",
                         security_options=["no-new-privileges"])
        assert out.split()[1] == "1"

    def test_network_none_has_loopback_alone(self, ready):
        assert self.shell(ready, "ls /sys/class/net").split() == ["lo"]

    def test_network_host(self, ready):
        names = sorted(p.name for p in pathlib.Path("/sys/class/net").iterdir())
        assert sorted(self.shell(ready, "ls /sys/class/net", networks=["host"]).split()) == names

    def test_pid_host(self, ready):
        out = self.shell(ready, "ls /proc | grep -c '^[0-9]'", pid_mode="host")
        assert int(out) > 5

    def test_shm_size(self, ready):
        out = self.shell(ready, "grep ' /dev/shm ' /proc/mounts", shm_size=8 << 20)
        assert "size=8192k" in out

    def test_sysctl(self, ready):
        out = self.shell(ready, "cat /proc/sys/net/ipv4/ip_forward",
                         sysctls={"net.ipv4.ip_forward": "1"})
        assert out == "1\n"

    def test_device(self, ready):
        device = ready.m.container.Device(host_path="/dev/zero", container_path="/dev/nothing")
        assert self.shell(ready, "head -c 3 /dev/nothing | wc -c", devices=[device]).strip() == "3"

    def test_add_hosts_and_dns(self, ready):
        out = self.shell(ready, "cat /etc/hosts /etc/resolv.conf", add_hosts=["db:10.0.0.5"],
                         dns=["192.0.2.1"], dns_search=["example.org"], dns_options=["ndots:2"])
        assert re.search(r"10\.0\.0\.5\s+db", out)
        assert "nameserver 192.0.2.1" in out and "search example.org" in out
        assert "options ndots:2" in out

    def test_oom_score(self, ready):
        assert self.shell(ready, "cat /proc/self/oom_score_adj", oom_score_adj=500) == "500\n"

    def test_cgroup_parent(self, ready):
        done = ready.run(*FOREVER, detach=True, cgroup_parent="/ndtest")
        pid = ready.inspect(done.id).container.pid
        assert f"/ndtest/{done.id}" in pathlib.Path(f"/proc/{pid}/cgroup").read_text()
        ready.remove(done.id, force=True)
        for folder in pathlib.Path("/sys/fs/cgroup").glob("*/ndtest"):
            folder.rmdir()

    def test_masked_and_read_only_paths(self, ready):
        out = self.shell(ready, "cat /proc/kcore | head -c 1 | wc -c; "
                                "echo 1 > /proc/sys/kernel/sysrq || echo denied")
        assert out.split() == ["0", "denied"]


class TestLifecycle:
    def test_created_runs_when_started(self, ready):
        state = ready.m.container
        container = ready.create(*SHELL, "echo hi; exit 4")
        assert ready.state(container) == state.CONTAINER_STATE_CREATED
        done = ready.start(container, attach=True)
        assert (done.id, done.stdout, done.code) == (container, b"hi\n", 4)
        assert ready.state(container) == state.CONTAINER_STATE_EXITED

    def test_start_without_attach_returns_at_once(self, ready):
        container = ready.create(*FOREVER)
        assert ready.start(container).exit is None
        assert ready.state(container) == ready.m.container.CONTAINER_STATE_RUNNING

    def test_start_of_a_running_one_is_fine(self, ready):
        done = ready.run(*FOREVER, detach=True)
        pid = ready.inspect(done.id).container.pid
        ready.start(done.id)
        assert ready.inspect(done.id).container.pid == pid

    def test_started_again_and_logged_on(self, ready):
        container = ready.create(*SHELL, "n=$(cat /n 2>/dev/null)x; echo $n | tee /n")
        for _ in range(3):
            ready.start(container, attach=True)
        assert ready.logs(container)[0] == b"x\nxx\nxxx\n"

    def test_stop_asks_first(self, ready):
        done = ready.run(*SHELL, "trap 'echo asked; exit 9' TERM; echo up; while :; do sleep 0.05; done",
                         detach=True)
        host.wait_until(lambda: ready.logs(done.id)[0], 10, "up")
        assert ready.stop(done.id).container_id == done.id
        assert ready.logs(done.id)[0] == b"up\nasked\n"
        assert ready.inspect(done.id).container.exit.code == 9

    def test_stop_kills_after_the_timeout(self, ready):
        done = ready.run(*FOREVER, detach=True)
        begin = time.monotonic()
        ready.stop(done.id, timeout=1)
        assert 0.9 < time.monotonic() - begin < 15
        assert ready.inspect(done.id).container.exit.code == 137

    def test_stop_goes_on_when_its_client_leaves(self, ready):
        """As with docker; nerdctl's ends."""
        done = ready.run(*FOREVER, detach=True)
        request = ready.m.container.ContainerServiceStopRequest(container=done.id, timeout=2)
        with pytest.raises(grpc.RpcError):
            ready.call(ready.api.container.Stop, request, timeout=0.5)
        assert ready.wait(done.id)[0].exit.code == 137

    def test_stops_that_were_left_go_by_the_shortest(self, ready):
        done = ready.run(*FOREVER, detach=True)
        request = ready.m.container.ContainerServiceStopRequest(container=done.id)
        for request.timeout in (3600, -1, 7200, 1):
            with pytest.raises(grpc.RpcError):
                ready.call(ready.api.container.Stop, request, timeout=0.3)
        assert ready.wait(done.id)[0].exit.code == 137
        ready.start(done.id)
        assert ready.state(done.id) == ready.m.container.CONTAINER_STATE_RUNNING

    def test_stop_with_timeout_zero_kills(self, ready):
        done = ready.run(*FOREVER, detach=True)
        ready.stop(done.id, timeout=0)
        assert ready.inspect(done.id).container.exit.code == 137

    def test_stop_signal(self, ready):
        done = ready.run(*SHELL, "trap 'exit 33' USR2; echo up; while :; do sleep 0.05; done",
                         detach=True, stop_signal="SIGUSR2")
        host.wait_until(lambda: ready.logs(done.id)[0], 10, "up")
        ready.stop(done.id)
        assert ready.inspect(done.id).container.exit.code == 33

    def test_stop_of_a_stopped_one_is_fine(self, ready):
        done = ready.run("true")
        ready.stop(done.id)
        ready.stop(ready.create("true"))

    @pytest.mark.parametrize("signal, code", [("", 137), ("KILL", 137), ("SIGTERM", 143), ("9", 137)])
    def test_kill(self, ready, signal, code):
        done = ready.run(*SHELL, "trap 'exit 143' TERM; echo up; while :; do sleep 0.05; done",
                         detach=True)
        host.wait_until(lambda: ready.logs(done.id)[0], 10, "up")
        assert ready.kill(done.id, signal).container_id == done.id
        assert ready.wait(done.id)[0].exit.code == code

    def test_kill_of_a_stopped_one(self, ready):
        done = ready.run("true")
        failure = ready.api.failure(lambda: ready.kill(done.id))
        assert failure.code == grpc.StatusCode.FAILED_PRECONDITION

    def test_remove_refuses_a_running_one(self, ready):
        done = ready.run(*FOREVER, detach=True)
        failure = ready.api.failure(lambda: ready.remove(done.id))
        assert failure.code == grpc.StatusCode.FAILED_PRECONDITION
        assert "running" in failure.message
        assert ready.state(done.id) == ready.m.container.CONTAINER_STATE_RUNNING
        ready.remove(done.id, force=True)
        assert ready.list(all=True) == []

    def test_name_is_free_after_removal(self, ready):
        for _ in range(3):
            container = ready.create("true", name="again")
            ready.remove("again")
        assert container

    def test_created_one_is_removed(self, ready):
        ready.remove(ready.create("true"))
        assert ready.list(all=True) == []


class TestWait:
    def test_gives_the_code(self, ready):
        done = ready.run(*SHELL, "sleep 0.3; exit 6", detach=True)
        replies = ready.wait(done.id)
        assert [(r.container_id, r.exit.code) for r in replies] == [(done.id, 6)]

    def test_of_an_exited_one_is_at_once(self, ready):
        done = ready.run(*SHELL, "exit 8")
        assert ready.wait(done.id)[0].exit.code == 8

    def test_replies_in_the_order_of_the_request(self, ready):
        slow = ready.run(*SHELL, "sleep 0.6; exit 1", detach=True).id
        fast = ready.run(*SHELL, "exit 2", detach=True).id
        assert [(r.container_id, r.exit.code) for r in ready.wait(slow, fast)] == \
            [(slow, 1), (fast, 2)]

    def test_of_one_that_removes_itself(self, ready):
        done = ready.run(*SHELL, "sleep 0.5; exit 11", detach=True, auto_remove=True)
        assert ready.wait(done.id)[0].exit.code == 11

    @pytest.mark.parametrize("code", [0, 3, 125, 126, 127, 137])
    def test_exit_codes(self, ready, code):
        done = ready.run(*SHELL, f"exit {code}", detach=True)
        assert ready.wait(done.id)[0].exit.code == code


class TestLogs:
    def test_both_streams(self, ready):
        done = ready.run(*SHELL, "echo a; echo b >&2; echo c", detach=True)
        ready.wait(done.id)
        assert ready.logs(done.id) == (b"a\nc\n", b"b\n")

    def test_unfinished_last_line(self, ready):
        done = ready.run("printf", "no newline")
        assert ready.logs(done.id)[0] == b"no newline"

    def test_empty(self, ready):
        assert ready.logs(ready.create("true")) == (b"", b"")

    def test_tail(self, ready):
        done = ready.run("seq", "1000")
        assert ready.logs(done.id, tail=3)[0] == b"998\n999\n1000\n"
        assert ready.logs(done.id, tail=0)[0] == b""
        assert len(ready.logs(done.id, tail=100000)[0].split()) == 1000

    def test_timestamps(self, ready):
        done = ready.run("echo", "x")
        out = ready.logs(done.id, timestamps=True)[0].decode()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z x\n", out)

    def test_since_and_until(self, ready):
        done = ready.run(*SHELL, "echo early; sleep 2.2; echo late")
        from google.protobuf.timestamp_pb2 import Timestamp
        middle = Timestamp()
        middle.FromSeconds(done.exit.exited_at.seconds - 0)
        assert ready.logs(done.id, since=middle)[0] in (b"late\n", b"")
        assert b"early\n" in ready.logs(done.id, until=middle)[0]
        assert b"early" not in ready.logs(done.id, since=middle)[0]

    def test_follow_ends_with_the_container(self, ready):
        done = ready.run(*SHELL, "for i in 1 2 3 4 5; do echo $i; sleep 0.1; done", detach=True)
        assert ready.logs(done.id, follow=True)[0] == b"1\n2\n3\n4\n5\n"

    def test_follow_of_an_exited_one_ends(self, ready):
        done = ready.run("echo", "x")
        assert ready.logs(done.id, follow=True)[0] == b"x\n"

    def test_followers_do_not_share(self, ready):
        done = ready.run(*SHELL, "for i in $(seq 200); do echo line $i; done; sleep 0.3; echo end",
                         detach=True)
        wanted = "".join(f"line {i}\n" for i in range(1, 201)).encode() + b"end\n"
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            results = pool.map(lambda _: ready.logs(done.id, follow=True)[0], range(6))
            assert all(result == wanted for result in results)

    def test_exact_after_a_burst(self, ready):
        """Half a megabyte and an immediate end: nothing is lost at the end."""
        done = ready.run(*SHELL, "head -c 500000 /dev/zero | tr '\\0' y | fold -w 79", detach=True)
        ready.wait(done.id)
        out = ready.logs(done.id, follow=True)[0]
        assert out.replace(b"\n", b"") == b"y" * 500000

    def test_long_line(self, ready):
        done = ready.run(*SHELL, "head -c 300000 /dev/zero | tr '\\0' z; echo")
        assert ready.logs(done.id)[0] == b"z" * 300000 + b"\n"

    def test_of_the_driver_none(self, ready):
        done = ready.run("echo", "x", log=ready.m.container.LogConfig(driver="none"))
        assert (done.stdout, done.warnings) == (b"x\n", [])
        failure = ready.api.failure(lambda: ready.logs(done.id))
        assert failure.code in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.UNIMPLEMENTED)

    def test_rotation(self, ready):
        log = ready.m.container.LogConfig(driver="json-file",
                                          options={"max-size": "20k", "max-file": "2"})
        done = ready.run(*SHELL, "seq 5000", log=log, detach=True)
        ready.wait(done.id)
        out = ready.logs(done.id)[0]
        assert out.endswith(b"4999\n5000\n") and len(out) < 23893
        assert out == b"".join(b"%d\n" % i for i in range(int(out.split()[0]), 5001))
        state = pathlib.Path(dict(ready.inspect(done.id).container.labels)["nerdctl/state-dir"])
        files = sorted(p.name for p in state.glob("*-json.log*"))
        assert len(files) == 2


class TestListAndInspect:
    def test_only_running_ones_unless_all(self, ready):
        running = ready.run(*FOREVER, detach=True).id
        exited = ready.run("true").id
        created = ready.create("true")
        assert [c.id for c in ready.list()] == [running]
        assert [c.id for c in ready.list(all=True)] == [created, exited, running]

    @pytest.mark.parametrize("make, fields, want", [
        ("create", {}, (False, True, False, False, False)),
        ("create", {"interactive": True}, (True, True, False, True, True)),
        ("run", {"tty": True}, (False, False, True, False, False)),
        ("run", {"interactive": True}, (False, False, False, True, False)),
    ])
    def test_inspect_tells_of_the_streams(self, ready, make, fields, want):
        """As docker does: what is attached follows from whether it was made to run detached."""
        made = (ready.create("true", **fields) if make == "create"
                else ready.run("true", detach=True, **fields).id)
        config = json.loads(ready.inspect(made).document)["Config"]
        assert tuple(config[key] for key in ("AttachStdin", "AttachStdout", "Tty", "OpenStdin",
                                             "StdinOnce")) == want
        assert config["AttachStderr"] == config["AttachStdout"]

    def test_fields(self, ready):
        container = ready.create("echo", "a b", name="web", labels={"colour": "blue"})
        found = ready.list(all=True)[0]
        assert (found.id, found.name, found.image) == (container, "web",
                                                       "docker.io/library/busybox:latest")
        assert list(found.command) == ["echo", "a b"]
        assert found.state == ready.m.container.CONTAINER_STATE_CREATED
        assert found.status == "Created"
        assert found.labels["colour"] == "blue" and found.labels["nerdctl/name"] == "web"
        assert list(found.networks) == ["none"]
        assert (found.runtime, found.platform) == ("io.containerd.runc.v2", "linux/amd64")
        assert found.snapshotter == ready.box.snapshotter
        assert abs(found.created_at.seconds - time.time()) < 60

    def test_status_texts(self, ready):
        running = ready.run(*FOREVER, detach=True).id
        exited = ready.run(*SHELL, "exit 3").id
        status = {c.id: c.status for c in ready.list(all=True)}
        assert status[running] == "Up"
        assert re.fullmatch(r"Exited \(3\) .* ago", status[exited])

    def test_last(self, ready):
        ids = [ready.create("true") for _ in range(4)]
        assert [c.id for c in ready.list(last=2)] == [ids[3], ids[2]]

    def test_pages(self, ready):
        ids = [ready.create("true") for _ in range(5)]
        seen, token = [], ""
        while True:
            request = ready.m.container.ContainerServiceListRequest(all=True, page_size=2,
                                                                    page_token=token)
            reply = ready.call(ready.api.container.List, request)
            seen += [c.id for c in reply.containers]
            token = reply.next_page_token
            if not token:
                break
        assert seen == ids[::-1]

    @pytest.mark.parametrize("filters, names", [
        (["name=^web"], {"web1", "web2"}),
        (["name=db", "name=web1"], {"db", "web1"}),
        (["label=tier"], {"web1", "db"}),
        (["label=tier=front"], {"web1"}),
        (["label=tier=front", "label=none"], set()),
        (["status=exited"], {"db"}),
        (["status=created"], {"web2"}),
        (["status=running", "status=exited"], {"web1", "db"}),
        (["exited=3"], {"db"}),
        (["exited=0"], set()),
        (["before=web2"], {"web1"}),
        (["since=web1"], {"db", "web2"}),
        (["network=none"], {"web1", "web2", "db"}),
        (["volume=/etc"], {"db"}),
        (["name=nothing"], set()),
    ])
    def test_filters(self, ready, filters, names):
        mount = ready.m.container.Mount(source="/etc", target="/mnt", read_only=True)
        ready.run(*FOREVER, name="web1", detach=True, labels={"tier": "front"})
        ready.create("true", name="web2")
        ready.run(*SHELL, "exit 3", name="db", labels={"tier": "back"}, mounts=[mount])
        assert {c.name for c in ready.list(all=True, filters=filters)} == names

    def test_filter_by_id(self, ready):
        ids = [ready.create("true") for _ in range(2)]
        assert [c.id for c in ready.list(all=True, filters=[f"id={ids[0][:20]}"])] == [ids[0]]

    def test_found_by_name_id_and_prefix(self, ready):
        container = ready.create("true", name="web")
        for spelling in ("web", container, container[:12], container[:20]):
            assert ready.inspect(spelling).container.id == container

    def test_ambiguous_prefix(self, ready):
        ids = set()
        while not any(sum(i.startswith(p) for i in ids) > 1 for p in "0123456789abcdef"):
            ids.add(ready.create("true"))
        prefix = next(p for p in "0123456789abcdef" if sum(i.startswith(p) for i in ids) > 1)
        failure = ready.api.failure(lambda: ready.inspect(prefix))
        assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
        assert "multiple IDs found with provided prefix" in failure.message

    def test_inspect_document(self, ready):
        done = ready.run(*SHELL, "exit 2", name="web", env=["A=b"], labels={"x": "y"},
                         hostname="hh", user="7", read_only=True, cap_add=["NET_ADMIN"])
        document = json.loads(ready.inspect("web").document)
        assert document["Id"] == done.id and document["Name"] == "web"
        assert document["Image"] == "docker.io/library/busybox:latest"
        assert document["State"]["Status"] == "exited" and document["State"]["ExitCode"] == 2
        assert document["State"]["Running"] is False
        assert document["Path"] == "sh" and document["Args"] == ["-c", "exit 2"]
        assert document["Config"]["Hostname"] == "hh" and "A=b" in document["Config"]["Env"]
        assert document["Config"]["Labels"]["x"] == "y" and document["Config"]["User"] == "7"
        assert document["HostConfig"]["ReadonlyRootfs"] is True
        assert document["HostConfig"]["CapAdd"] == ["CAP_NET_ADMIN"]
        assert document["HostConfig"]["NetworkMode"] == "none"
        assert document["HostConfig"]["LogConfig"]["driver"] == "json-file"
        assert document["LogPath"].endswith("-json.log")
        assert pathlib.Path(document["HostsPath"]).exists()
        assert document["State"]["StartedAt"] and document["State"]["FinishedAt"]

    def test_probes_of_nerdctl_are_shown(self, ready):
        """Health is a label, what the probes said a file; nerdctl's timer writes both."""
        container = ready.create("true")
        state = pathlib.Path(dict(ready.inspect(container).container.labels)["nerdctl/state-dir"])
        probe = {"Start": "2026-01-02T03:04:05Z", "End": "2026-01-02T03:04:06Z", "ExitCode": 1}
        (state / "health.json").write_text("".join(json.dumps({**probe, "Output": f"{i}\n"}) + "\n"
                                                   for i in range(7)))
        ready.box.containerd.ctr("containers", "label", container, "nerdctl/healthstate=" + json.dumps(
            {"Status": "unhealthy", "FailingStreak": 3}), namespace=ready.name)
        health = json.loads(ready.inspect(container).document)["State"]["Health"]
        assert (health["Status"], health["FailingStreak"]) == ("unhealthy", 3)
        assert health["Log"] == [{**probe, "Output": f"{i}\n"} for i in range(2, 7)]

    def test_published_ports_are_those_of_the_file(self, ready):
        """A whole range of ports is as many mappings; of two for one port the later one counts."""
        done = ready.run(*FOREVER, detach=True, networks=["host"])
        state = pathlib.Path(dict(ready.inspect(done.id).container.labels)["nerdctl/state-dir"])
        ports = [*range(1, 20001), 80, 7]
        (state / "network-config.json").write_text(json.dumps({"portMappings": [
            {"HostPort": port + 30000 + (i >= 20000), "ContainerPort": port, "Protocol": "tcp", "HostIP": "::"}
            for i, port in enumerate(ports)]}))
        shown = json.loads(ready.inspect(done.id).document)["NetworkSettings"]["Ports"]
        assert len(shown) == 20000
        assert shown["80/tcp"] == [{"HostIp": "::", "HostPort": "30081"}]
        assert shown["81/tcp"] == [{"HostIp": "::", "HostPort": "30081"}]

    def test_list_says_when_it_was_started(self, ready):
        created = ready.create("true")
        ran = ready.run("true").id
        found = {c.id: c.started_at.seconds for c in ready.list(all=True)}
        assert found[created] == 0
        assert found[ran] == ready.inspect(ran).container.started_at.seconds > 0

    def test_inspect_native(self, ready):
        container = ready.create("true")
        native = ready.m.common.INSPECT_MODE_NATIVE
        document = json.loads(ready.inspect(container, mode=native).document)
        assert document["ID"] == container
        assert document["Spec"]["process"]["args"] == ["true"]

    def test_reads_what_it_wrote(self, ready):
        """A reply means that the next read shows it."""
        for _ in range(10):
            container = ready.create("true")
            assert container in [c.id for c in ready.list(all=True)]
            ready.remove(container)
            assert ready.list(all=True) == []

    def test_containers_of_ctr_are_shown(self, ready):
        """Made by another program: listed, inspected, removed."""
        ready.box.containerd.ctr("containers", "create", "--snapshotter", ready.box.snapshotter,
                                 "docker.io/library/busybox:latest", "foreign1", "true",
                                 namespace=ready.name)
        found = host.wait_until(lambda: ready.list(all=True), 5, "foreign container")[0]
        assert found.id == "foreign1"
        assert ready.inspect("foreign1").container.id == "foreign1"
        ready.remove("foreign1")
        assert ready.list(all=True) == []


def test_namespaces_are_separate_worlds(ready, api, images):
    other = api.namespace(ready.name + "x")
    ready.create("true", name="same")
    other.load(images.busybox)
    other.create("true", name="same")
    assert len(ready.list(all=True)) == len(other.list(all=True)) == 1
    assert ready.inspect("same").container.id != other.inspect("same").container.id
    other.clear()
    assert len(ready.list(all=True)) == 1


def test_two_creates_of_one_name_at_once(ready):
    """One wins, the others say whose it is, and nothing of them is left."""
    barrier = threading.Barrier(6)

    def one(_):
        barrier.wait()
        try:
            return ready.create("true", name="contended")
        except grpc.RpcError as error:
            return ready.api.read_failure(error)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        results = list(pool.map(one, range(6)))
    won = [r for r in results if isinstance(r, str)]
    lost = [r for r in results if not isinstance(r, str)]
    assert len(won) == 1
    assert all(r.code == grpc.StatusCode.ALREADY_EXISTS and won[0] in r.message for r in lost), lost
    assert len(ready.list(all=True)) == 1
