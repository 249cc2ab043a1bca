"""What we make is what nerdctl makes: record, labels, annotations, spec and files, field by field.

Follows contracts of nerdctl's on-disk and in-containerd state: the record and its labels, the spec,
the data root, the log. Whatever is not listed here must not be there.
"""

import fcntl
import hashlib
import json
import os
import pathlib
import re
import stat

import pytest

import host

FOREVER = ("sleep", "100000")

DEFAULT_CAPS = {"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD",
                "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP",
                "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"}


@pytest.fixture
def made(ready):
    """A created container with its record as ctr shows it."""
    return Made(ready, ready.create(*FOREVER, name="web", hostname="h", labels={"colour": "blue"}))


class Made:
    def __init__(self, ns, container):
        self.ns = ns
        self.id = container
        self.record = json.loads(ns.box.containerd.ctr("containers", "info", container,
                                                       namespace=ns.name).stdout)
        self.labels = self.record["Labels"]
        self.spec = self.record["Spec"]
        address = os.path.realpath(ns.box.containerd.address)
        short = hashlib.sha256(address.encode()).hexdigest()[:8]
        self.address = address
        self.store = ns.box.daemon.data_root / short
        self.state = self.store / "containers" / ns.name / container


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


class TestRecord:
    def test_fields(self, made):
        record = made.record
        assert re.fullmatch("[0-9a-f]{64}", record["ID"])
        assert record["Image"] == "docker.io/library/busybox:latest"
        assert record["Snapshotter"] == made.ns.box.snapshotter
        assert record["SnapshotKey"] == made.id
        assert record["Runtime"]["Name"] == "io.containerd.runc.v2"
        assert record["Runtime"]["Options"]["type_url"] == "containerd.runc.v1.Options"
        assert not record.get("Extensions")

    def test_snapshot_has_no_labels(self, made):
        info = json.loads(made.ns.box.containerd.ctr("snapshots", "info", made.id,
                                                     namespace=made.ns.name).stdout)
        assert info["Kind"] == "Active"
        assert not info.get("Labels")


class TestLabels:
    def test_all_of_them_and_no_other(self, made):
        address = made.ns.box.containerd.address
        helper = host.BUILD / "nerdctl-grpc-helper"
        uri = made.labels.pop("nerdctl/log-uri")
        expected = {
            "colour": "blue",
            "nerdctl/namespace": made.ns.name,
            "nerdctl/name": "web",
            "nerdctl/hostname": "h",
            "nerdctl/extraHosts": "[]",
            "nerdctl/state-dir": str(made.state),
            "nerdctl/networks": '["none"]',
            "nerdctl/platform": "linux/amd64",
            "nerdctl/auto-remove": "false",
            "nerdctl/log-config": '{"driver":"json-file","address":"%s"}' % address,
            "nerdctl/ipc": '{"mode":"private"}',
            "nerdctl/host-config": '{"BlkioWeight":0,"CidFile":"","Devices":null}',
            "nerdctl/dns":
                '{"DNSServers":null,"DNSResolvConfOptions":null,"DNSSearchDomains":null}',
            "io.containerd.image.config.stop-signal": "SIGTERM",
            "nerdctl-grpc/attached": "true",
        }
        assert made.labels == expected
        assert uri == (f"binary://{helper}?_NERDCTL_INTERNAL_LOGGING="
                       + str(made.store).replace("/", "%2F"))

    @pytest.mark.parametrize("config, key, value", [
        ({"auto_remove": True}, "nerdctl/auto-remove", "true"),
        ({"stop_timeout": 7}, "nerdctl/stop-timeout", "7"),
        ({"stop_signal": "SIGUSR1"}, "io.containerd.image.config.stop-signal", "SIGUSR1"),
        ({"privileged": True}, "nerdctl/privileged", "true"),
        ({"user": "7:8"}, "nerdctl/user", "7:8"),
        ({"domainname": "example.org"}, "nerdctl/domainname", "example.org"),
        ({"add_hosts": ["db:10.0.0.5"]}, "nerdctl/extraHosts", '["db:10.0.0.5"]'),
        ({"networks": ["host"]}, "nerdctl/networks", '["host"]'),
        ({"ipc_mode": "host"}, "nerdctl/ipc", '{"mode":"host"}'),
        ({"shm_size": 32 << 20}, "nerdctl/ipc", '{"mode":"private","shmSize":"33554432"}'),
        ({"dns": ["192.0.2.1"], "dns_search": ["a.b"], "dns_options": ["ndots:1"]}, "nerdctl/dns",
         '{"DNSServers":["192.0.2.1"],"DNSResolvConfOptions":["ndots:1"],"DNSSearchDomains":["a.b"]}'),
    ])
    def test_of_options(self, ready, config, key, value):
        made = Made(ready, ready.create(*FOREVER, **config))
        assert made.labels[key] == value

    def test_log_options(self, ready):
        log = ready.m.container.LogConfig(driver="json-file", options={"max-size": "10m"})
        made = Made(ready, ready.create(*FOREVER, log=log))
        assert json.loads(made.labels["nerdctl/log-config"]) == {
            "driver": "json-file", "opts": {"max-size": "10m"},
            "address": ready.box.containerd.address}

    def test_log_driver_none(self, ready):
        made = Made(ready, ready.create(*FOREVER, log=ready.m.container.LogConfig(driver="none")))
        assert made.labels["nerdctl/log-uri"] == "none"
        assert made.labels["nerdctl/log-config"] == '{"driver":"","address":""}'
        assert not (made.state / "log-config.json").exists()

    def test_mounts(self, ready):
        kind = ready.m.container.Mount
        made = Made(ready, ready.create(*FOREVER, mounts=[
            kind(type="bind", source="/etc", target="/dst", read_only=True),
            kind(type="tmpfs", target="/t")]))
        first = json.loads(made.labels["nerdctl/mounts.0"])
        second = json.loads(made.labels["nerdctl/mounts.1"])
        assert (first["Type"], first["Source"], first["Destination"], first["RW"]) == \
            ("bind", "/etc", "/dst", False)
        assert "ro" in first["Mode"].split(",")
        assert (second["Type"], second["Source"], second["Destination"], second["RW"]) == \
            ("tmpfs", "tmpfs", "/t", True)
        assert second["Mode"] == "noexec,nosuid,nodev"
        assert "nerdctl/mounts.2" not in made.labels

    def test_explicitly_stopped(self, ready):
        key = "containerd.io/restart.explicitly-stopped"
        container = ready.create(*FOREVER)
        assert key not in Made(ready, container).labels
        ready.start(container)
        assert Made(ready, container).labels[key] == "false"
        ready.stop(container, timeout=0)
        assert Made(ready, container).labels[key] == "true"
        ready.start(container)
        assert Made(ready, container).labels[key] == "false"
        ready.kill(container)
        assert Made(ready, container).labels[key] == "true"

    def test_name_made_from_the_image(self, ready):
        made = Made(ready, ready.create(*FOREVER))
        assert made.labels["nerdctl/name"] == f"busybox-{made.id[:5]}"


class TestSpec:
    def test_annotations_are_the_labels_of_nerdctl(self, made):
        annotations = made.spec["annotations"]
        labels = {k: v for k, v in made.labels.items() if "nerdctl/" in k}
        # containerd drops labels without a value; annotations keep them.
        assert annotations == labels | {"nerdctl/domainname": ""}

    def test_own_annotations_come_along(self, ready):
        made = Made(ready, ready.create(*FOREVER, annotations={"org.example/x": "y"}))
        assert made.spec["annotations"]["org.example/x"] == "y"

    def test_process(self, made):
        process = made.spec["process"]
        assert process["args"] == list(FOREVER)
        assert process["cwd"] == "/"
        assert process["env"][-1] == "HOSTNAME=h"
        assert any(e.startswith("PATH=") for e in process["env"])
        assert process["user"]["uid"] == 0 and process["user"]["gid"] == 0
        assert not process.get("noNewPrivileges")
        assert not process.get("rlimits")
        assert "oomScoreAdj" not in process
        caps = process["capabilities"]
        for kind in ("bounding", "effective", "permitted"):
            assert set(caps[kind]) == DEFAULT_CAPS
        assert not caps.get("inheritable") and not caps.get("ambient")

    def test_root_and_hostname(self, made):
        assert made.spec["root"] == {"path": "rootfs"} or made.spec["root"] == {
            "path": "rootfs", "readonly": False}
        assert made.spec["hostname"] == "h"

    def test_namespaces(self, made):
        kinds = {n["type"]: n.get("path", "") for n in made.spec["linux"]["namespaces"]}
        expected = {"pid": "", "ipc": "", "uts": "", "mount": "", "network": ""}
        if pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists():
            expected["cgroup"] = ""
        assert kinds == expected

    def test_paths(self, made):
        linux = made.spec["linux"]
        assert set(linux["maskedPaths"]) == {
            "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
            "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware",
            "/sys/devices/virtual/powercap", "/proc/scsi"}
        assert set(linux["readonlyPaths"]) == {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                               "/proc/sysrq-trigger"}

    def test_resources(self, made):
        resources = made.spec["linux"]["resources"]
        rules = [(d["allow"], d.get("type"), d.get("major"), d.get("minor"), d["access"])
                 for d in resources["devices"]]
        assert rules[0] == (False, None, None, None, "rwm")
        allowed = {(t, major, minor) for allow, t, major, minor, access in rules[1:]
                   if allow and access == "rwm"}
        assert {("c", 1, 3), ("c", 1, 8), ("c", 1, 7), ("c", 5, 0), ("c", 1, 5), ("c", 1, 9),
                ("c", 5, 1), ("c", 5, 2)} <= allowed
        assert any(t == "c" and major == 136 and minor in (None, -1) for t, major, minor in allowed)
        assert resources["cpu"] == {"realtimeRuntime": 0, "realtimePeriod": 0}
        assert resources.get("memory", {}) == {}
        assert "pids" not in resources

    def test_sysctl_and_seccomp(self, made):
        linux = made.spec["linux"]
        assert linux["sysctl"] == {"net.ipv4.ip_unprivileged_port_start": "0"}
        assert linux["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"
        assert len(linux["seccomp"]["syscalls"]) >= 10
        assert not linux.get("devices")

    def test_cgroup_path(self, made):
        assert made.spec["linux"]["cgroupsPath"] in (f"/{made.ns.name}/{made.id}",
                                                     f"system.slice:nerdctl:{made.id}")

    def test_mounts(self, made):
        mounts = [(m["destination"], m["type"], m["source"], sorted(m["options"]))
                  for m in made.spec["mounts"]]
        hosts = made.store / "etchosts" / made.ns.name / made.id / "hosts"
        # Ordered by depth; which of one depth comes first is open.
        depths = [m[0].count("/") for m in mounts[:7]]
        assert depths == sorted(depths)
        assert sorted(mounts[:7]) == [
            ("/dev", "tmpfs", "tmpfs", ["mode=755", "nosuid", "size=65536k", "strictatime"]),
            ("/dev/mqueue", "mqueue", "mqueue", ["nodev", "noexec", "nosuid"]),
            ("/dev/pts", "devpts", "devpts",
             ["gid=5", "mode=0620", "newinstance", "noexec", "nosuid", "ptmxmode=0666"]),
            ("/dev/shm", "tmpfs", "shm", ["mode=1777", "nodev", "noexec", "nosuid", "size=65536k"]),
            ("/proc", "proc", "proc", ["nodev", "noexec", "nosuid"]),
            ("/sys", "sysfs", "sysfs", ["nodev", "noexec", "nosuid", "ro"]),
            ("/sys/fs/cgroup", "cgroup", "cgroup", ["nodev", "noexec", "nosuid", "ro"]),
        ]
        assert mounts[7:] == [
            ("/etc/resolv.conf", "bind", str(made.state / "resolv.conf"), ["bind", "rprivate"]),
            ("/etc/hosts", "bind", str(hosts), ["bind", "rprivate"]),
            ("/etc/hostname", "bind", str(made.state / "hostname"), ["bind", "rprivate"]),
        ]

    def test_hooks_call_the_helper(self, made):
        hooks = made.spec.get("hooks") or {}
        for hook in hooks.get("createRuntime", []) + hooks.get("poststop", []):
            assert os.path.isabs(hook["path"]) and os.access(hook["path"], os.X_OK)
            assert hook["path"].endswith("/nerdctl-grpc-helper")

    def test_host_network(self, ready):
        made = Made(ready, ready.create(*FOREVER, networks=["host"]))
        assert "network" not in {n["type"] for n in made.spec["linux"]["namespaces"]}
        assert not made.spec["linux"].get("sysctl")

    def test_memory_sets_swap_to_twice(self, ready):
        resources = ready.m.container.Resources(memory=64 << 20)
        made = Made(ready, ready.create(*FOREVER, resources=resources))
        memory = made.spec["linux"]["resources"]["memory"]
        assert (memory["limit"], memory["swap"]) == (64 << 20, 128 << 20)

    def test_privileged(self, ready):
        made = Made(ready, ready.create(*FOREVER, privileged=True))
        linux = made.spec["linux"]
        assert not linux.get("seccomp")
        assert not linux.get("maskedPaths") and not linux.get("readonlyPaths")
        assert len(made.spec["process"]["capabilities"]["bounding"]) > 20
        assert any(d["allow"] and d["access"] == "rwm" and d.get("type") in (None, "a")
                   for d in linux["resources"]["devices"])


class TestFiles:
    def test_after_create(self, made):
        state = made.state
        names = {p.name for p in state.iterdir()}
        assert names == {"resolv.conf", "hostname", "log-config.json", f"{made.id}-json.log",
                         "network-config.json"}
        assert mode(state) == 0o700
        assert (state / "hostname").read_text() == "h\n"
        assert json.loads((state / "log-config.json").read_text()) == {
            "driver": "json-file", "address": made.ns.box.containerd.address}
        assert (state / "network-config.json").read_text() == "{}"
        assert (state / f"{made.id}-json.log").stat().st_size == 0
        assert mode(state / "resolv.conf") == 0o644 and mode(state / "hostname") == 0o644
        for name in ("log-config.json", "network-config.json", f"{made.id}-json.log"):
            assert mode(state / name) == 0o600, name

    def test_after_start(self, made):
        """What nerdctl's hook would have written is there, by whoever did it."""
        before = {p.name for p in made.state.iterdir()}
        made.ns.start(made.id)
        assert {p.name for p in made.state.iterdir()} == before | {"lifecycle.json", "logger-lock",
                                                                     "streams"}
        lifecycle = json.loads((made.state / "lifecycle.json").read_text())
        assert set(lifecycle) == {"started_at", "create_error"}
        assert lifecycle["create_error"] is False
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", lifecycle["started_at"])
        assert mode(made.state / "lifecycle.json") == 0o600

    def test_name_file(self, made):
        path = made.store / "names" / made.ns.name / "web"
        assert path.read_text() == made.id
        assert mode(path) == 0o600 and mode(path.parent) == 0o700

    def test_hosts_store(self, made):
        folder = made.store / "etchosts" / made.ns.name / made.id
        assert mode(folder) == 0o700 and mode(folder / "hosts") == 0o644
        meta = json.loads((folder / "meta.json").read_text())
        assert meta["ID"] == made.id and meta["Networks"] == {"none": None}
        assert meta["Hostname"] == "h" and meta["Name"] == "web"
        assert mode(folder / "meta.json") == 0o600

    def test_resolv_conf_of_none(self, made):
        text = (made.state / "resolv.conf").read_text()
        assert "nameserver" in text and "127.0.0.53" not in text

    def test_logger_holds_its_lock_while_it_runs(self, made):
        made.ns.start(made.id)
        with open(made.state / "logger-lock") as lock:
            with pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            made.ns.stop(made.id, timeout=0)
            fcntl.flock(lock, fcntl.LOCK_EX)
        assert mode(made.state / "logger-lock") == 0o600

    def test_log_lines(self, ready):
        done = ready.run("sh", "-c", "echo '<a&b>'; echo err >&2; printf 'q\"\\\\\\t'")
        made = Made(ready, done.id)
        lines = (made.state / f"{done.id}-json.log").read_text().splitlines()
        decoded = [json.loads(line) for line in lines]
        assert {(d["log"], d["stream"]) for d in decoded} == {
            ("<a&b>\n", "stdout"), ("err\n", "stderr"), ('q"\\\t', "stdout")}
        assert "\\u003ca\\u0026b\\u003e" in "".join(lines)
        for d in decoded:
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", d["time"])
            assert not re.search(r"\.\d*0Z$", d["time"])
        assert list(json.loads(lines[0])) == ["log", "stream", "time"]

    def test_everything_goes_with_the_container(self, made):
        made.ns.remove(made.id)
        assert not made.state.exists()
        assert not (made.store / "names" / made.ns.name / "web").exists()
        assert not (made.store / "etchosts" / made.ns.name / made.id).exists()

    def test_stdio_of_the_task_is_the_log_uri(self, ready):
        done = ready.run(*FOREVER, detach=True)
        made = Made(ready, done.id)
        pid = ready.inspect(done.id).container.pid
        # The shim has no copy of the output: the process writes into the helper's pipe.
        links = {os.readlink(f"/proc/{pid}/fd/{n}").split(":")[0] for n in (1, 2)}
        assert links == {"pipe"}
        assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
        assert made.labels["nerdctl/log-uri"].startswith("binary://")

    def test_hosts_file_lists_the_extra_hosts(self, ready):
        container = ready.create(*FOREVER, add_hosts=["db:10.0.0.5"])
        made = Made(ready, container)
        text = (made.store / "etchosts" / ready.name / container / "hosts").read_text()
        assert "# <nerdctl>\n127.0.0.1\tlocalhost localhost.localdomain\n" in text
        assert "::1\t\tlocalhost localhost.localdomain\n" in text
        assert "10.0.0.5        db\n" in text
        assert text.endswith("# </nerdctl>\n")
