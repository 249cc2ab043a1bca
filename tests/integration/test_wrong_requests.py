"""Wrong requests: each is refused, the error names the field, and nothing has changed.

One table of configs for Create; every row changes one thing of a good config. Then the other methods.
"""

import os

import grpc
import pytest

import host
import leaks

INVALID = grpc.StatusCode.INVALID_ARGUMENT


def mount(**fields):
    fields.setdefault("type", "bind")
    fields.setdefault("source", "/etc")
    fields.setdefault("target", "/mnt")
    return lambda ns: {"mounts": [ns.m.container.Mount(**fields)]}


def resources(**fields):
    return lambda ns: {"resources": ns.m.container.Resources(**fields)}


def ulimit(**fields):
    return lambda ns: {"ulimits": [ns.m.container.Ulimit(**fields)]}


def device(**fields):
    return lambda ns: {"devices": [ns.m.container.Device(**fields)]}


def log(driver="json-file", **options):
    named = {key.replace("_", "-"): value for key, value in options.items()}
    return lambda ns: {"log": ns.m.container.LogConfig(driver=driver, options=named)}


# (what is wrong, change of the config or a function that makes it, field)
CONFIGS = [
    ("no image", {"image": ""}, "config.image"),
    ("image in capitals", {"image": "UPPER"}, "config.image"),
    ("image with space", {"image": "a b"}, "config.image"),
    ("image with control character", {"image": "a\x01b"}, "config.image"),
    ("image with bad digest", {"image": "a@sha256:123"}, "config.image"),
    ("image too long", {"image": "a/" * 200 + "b"}, "config.image"),
    ("name of one character", {"name": "x"}, "config.name"),
    ("name with slash", {"name": "a/b"}, "config.name"),
    ("name with space", {"name": "a b"}, "config.name"),
    ("name begins with dot", {"name": "..a"}, "config.name"),
    ("name begins with dash", {"name": "-rf"}, "config.name"),
    ("name not ASCII", {"name": "näme"}, "config.name"),
    ("name with newline", {"name": "ab\ncd"}, "config.name"),
    ("name too long", {"name": "a" * 300}, "config.name"),
    ("env without name", {"env": ["=x"]}, "config.env[0]"),
    ("env without equals", {"env": ["A=1", "B"]}, "config.env[1]"),
    ("empty env", {"env": [""]}, "config.env[0]"),
    ("relative working dir", {"working_dir": "some/where"}, "config.working_dir"),
    ("user with two colons", {"user": "a:b:c"}, "config.user"),
    ("user out of range", {"user": "99999999999"}, "config.user"),
    ("negative user", {"user": "-1"}, "config.user"),
    ("group without user", {"user": ":5"}, "config.user"),
    ("empty group", {"group_add": [""]}, "config.group_add[0]"),
    ("hostname with space", {"hostname": "a b"}, "config.hostname"),
    ("hostname too long", {"hostname": "h" * 100}, "config.hostname"),
    ("hostname with newline", {"hostname": "a\nb"}, "config.hostname"),
    ("domainname with newline", {"domainname": "a\nb"}, "config.domainname"),
    ("reserved label", {"labels": {"nerdctl/name": "x"}}, 'config.labels["nerdctl/name"]'),
    ("reserved label of ours", {"labels": {"nerdctl-grpc/x": "y"}}, 'config.labels["nerdctl-grpc/x"]'),
    ("reserved label of containerd", {"labels": {"containerd.io/gc.root": "y"}},
     'config.labels["containerd.io/gc.root"]'),
    ("label without key", {"labels": {"": "x"}}, 'config.labels[""]'),
    ("label too large", {"labels": {"k": "v" * 5000}}, 'config.labels["k"]'),
    ("annotation without key", {"annotations": {"": "x"}}, 'config.annotations[""]'),
    ("unknown network", {"networks": ["nosuch"]}, "config.networks[0]"),
    ("two networks with none", {"networks": ["none", "host"]}, "config.networks"),
    ("empty network", {"networks": [""]}, "config.networks[0]"),
    ("mount without target", mount(target=""), "config.mounts[0].target"),
    ("mount on relative target", mount(target="mnt"), "config.mounts[0].target"),
    ("mount on root", mount(target="/"), "config.mounts[0].target"),
    ("mount target with dotdot", mount(target="/a/../../b"), "config.mounts[0].target"),
    ("mount of missing source", mount(source="/no/such/path"), "config.mounts[0].source"),
    ("bind mount of relative source", mount(source="etc"), "config.mounts[0].source"),
    ("bind mount without source", mount(source=""), "config.mounts[0].source"),
    ("mount of unknown type", mount(type="nfs"), "config.mounts[0].type"),
    ("mount with unknown option", mount(options=["explode"]), "config.mounts[0].options[0]"),
    ("tmpfs with source", mount(type="tmpfs", source="/etc"), "config.mounts[0].source"),
    ("tmpfs with bad size", mount(type="tmpfs", source="", options=["size=lots"]),
     "config.mounts[0].options[0]"),
    ("device that is missing", device(host_path="/dev/nosuch"), "config.devices[0].host_path"),
    ("device that is no device", device(host_path="/etc/passwd"), "config.devices[0].host_path"),
    ("device with relative path", device(host_path="null"), "config.devices[0].host_path"),
    ("device with bad permissions", device(host_path="/dev/null", permissions="x"),
     "config.devices[0].permissions"),
    ("negative memory", resources(memory=-5), "config.resources.memory"),
    ("tiny memory", resources(memory=1000), "config.resources.memory"),
    ("swap below memory", resources(memory=64 << 20, memory_swap=32 << 20),
     "config.resources.memory_swap"),
    ("swap without memory", resources(memory_swap=64 << 20), "config.resources.memory_swap"),
    ("swap below minus one", resources(memory=64 << 20, memory_swap=-2),
     "config.resources.memory_swap"),
    ("negative reservation", resources(memory_reservation=-1), "config.resources.memory_reservation"),
    ("swappiness over 100", resources(memory_swappiness=101), "config.resources.memory_swappiness"),
    ("negative swappiness", resources(memory_swappiness=-2), "config.resources.memory_swappiness"),
    ("negative cpus", resources(cpus=-1), "config.resources.cpus"),
    ("cpus that is no number", resources(cpus=float("nan")), "config.resources.cpus"),
    ("infinite cpus", resources(cpus=float("inf")), "config.resources.cpus"),
    ("more cpus than there are", resources(cpus=100000), "config.resources.cpus"),
    ("cpus and quota", resources(cpus=1, cpu_quota=1000), "config.resources.cpus"),
    ("quota below minus one", resources(cpu_quota=-2), "config.resources.cpu_quota"),
    ("tiny quota", resources(cpu_quota=1), "config.resources.cpu_quota"),
    ("period out of range", resources(cpu_period=5), "config.resources.cpu_period"),
    ("bad cpuset", resources(cpuset_cpus="zero"), "config.resources.cpuset_cpus"),
    ("reversed cpuset", resources(cpuset_cpus="3-1"), "config.resources.cpuset_cpus"),
    ("bad mems", resources(cpuset_mems="x"), "config.resources.cpuset_mems"),
    ("pids below minus one", resources(pids_limit=-2), "config.resources.pids_limit"),
    ("weight out of range", resources(blkio_weight=5), "config.resources.blkio_weight"),
    ("unknown ulimit", ulimit(name="nosuch", soft=1, hard=1), "config.ulimits[0].name"),
    ("soft over hard", ulimit(name="nofile", soft=10, hard=5), "config.ulimits[0].soft"),
    ("ulimit below minus one", ulimit(name="nofile", soft=-5, hard=5), "config.ulimits[0].soft"),
    ("sysctl not namespaced", {"sysctls": {"kernel.panic": "1"}}, 'config.sysctls["kernel.panic"]'),
    ("sysctl with dotdot", {"sysctls": {"net/../kernel": "1"}}, 'config.sysctls["net/../kernel"]'),
    ("net sysctl in the host's network", {"networks": ["host"], "sysctls": {"net.ipv4.ip_forward": "1"}},
     'config.sysctls["net.ipv4.ip_forward"]'),
    ("unknown capability", {"cap_add": ["FLY"]}, "config.cap_add[0]"),
    ("unknown capability dropped", {"cap_drop": ["CAP_FLY"]}, "config.cap_drop[0]"),
    ("unknown security option", {"security_options": ["magic=on"]}, "config.security_options[0]"),
    ("seccomp that is no JSON", {"security_options": ["seccomp={broken"]}, "config.security_options[0]"),
    ("seccomp with unknown action",
     {"security_options": ['seccomp={"defaultAction":"SCMP_ACT_NO"}']}, "config.security_options[0]"),
    ("negative shm", {"shm_size": -1}, "config.shm_size"),
    ("unknown ipc mode", {"ipc_mode": "mine"}, "config.ipc_mode"),
    ("unknown pid mode", {"pid_mode": "mine"}, "config.pid_mode"),
    ("unknown uts mode", {"uts_mode": "mine"}, "config.uts_mode"),
    ("unknown cgroupns mode", {"cgroupns_mode": "mine"}, "config.cgroupns_mode"),
    ("cgroup parent with dotdot", {"cgroup_parent": "/a/../../b"}, "config.cgroup_parent"),
    ("oom score too high", {"oom_score_adj": 1001}, "config.oom_score_adj"),
    ("oom score too low", {"oom_score_adj": -1001}, "config.oom_score_adj"),
    ("unknown stop signal", {"stop_signal": "SIGNOSUCH"}, "config.stop_signal"),
    ("stop signal out of range", {"stop_signal": "99"}, "config.stop_signal"),
    ("negative stop timeout", {"stop_timeout": -5}, "config.stop_timeout"),
    ("unknown log driver", log(driver="carrier-pigeon"), "config.log.driver"),
    ("unknown log option", log(nosuch="1"), 'config.log.options["nosuch"]'),
    ("bad max-size", log(max_size="huge"), 'config.log.options["max-size"]'),
    ("max-file of zero", log(max_size="1m", max_file="0"), 'config.log.options["max-file"]'),
    ("bad platform", {"platform": "lin ux/!"}, "config.platform"),
    ("unknown pull policy", {"pull": 77}, "config.pull"),
    ("dns that is no address", {"dns": ["not an address"]}, "config.dns[0]"),
    ("dns search with newline", {"dns_search": ["a\nb"]}, "config.dns_search[0]"),
    ("dns option with newline", {"dns_options": ["a\nb"]}, "config.dns_options[0]"),
    ("host without address", {"add_hosts": ["db"]}, "config.add_hosts[0]"),
    ("host with bad address", {"add_hosts": ["db:nowhere"]}, "config.add_hosts[0]"),
    ("host with newline", {"add_hosts": ["a\nb:10.0.0.1"]}, "config.add_hosts[0]"),
    ("unknown runtime", {"runtime": "no such runtime"}, "config.runtime"),
    ("missing runtime", {"runtime": "/no/such/runc"}, "config.runtime"),
]

LONG = "x" * 5000

# (service, method, fields of the request, field that is wrong); "box" and "busybox" are there.
REQUESTS = [
    ("container", "Stop", {"container": "box", "signal": "NOSUCH"}, "signal"),
    ("container", "Stop", {"container": "box", "signal": "99"}, "signal"),
    ("container", "Stop", {"container": "box", "timeout": -5}, "timeout"),
    ("container", "Kill", {"container": "box", "signal": "NOSUCH"}, "signal"),
    ("container", "Kill", {"container": "box", "signal": "-3"}, "signal"),
    ("container", "Kill", {"container": "box", "signal": "0"}, "signal"),
    ("container", "Stop", {"container": "box", "request_id": "a b"}, "request_id"),
    ("container", "Stop", {"container": "box", "request_id": "x" * 129}, "request_id"),
    ("container", "Kill", {"container": "box", "request_id": "tab\there"}, "request_id"),
    ("container", "Kill", {"container": "box", "request_id": "\x7f"}, "request_id"),
    ("container", "Remove", {"container": "box", "request_id": "ä"}, "request_id"),
    ("image", "Tag", {"source": "busybox", "target": "ok:1", "request_id": "a b"}, "request_id"),
    ("image", "Remove", {"image": "busybox", "request_id": "\n"}, "request_id"),
    ("container", "Rename", {"container": "", "new_name": "ok"}, "container"),
    ("container", "Rename", {"container": "box", "new_name": ""}, "new_name"),
    ("container", "Rename", {"container": "box", "new_name": "x"}, "new_name"),
    ("container", "Rename", {"container": "box", "new_name": "a/b"}, "new_name"),
    ("container", "Rename", {"container": "box", "new_name": "../../escape"}, "new_name"),
    ("container", "Rename", {"container": "box", "new_name": "..a"}, "new_name"),
    ("container", "Rename", {"container": "box", "new_name": "-rf"}, "new_name"),
    ("container", "Rename", {"container": "box", "new_name": "a b"}, "new_name"),
    ("container", "Rename", {"container": "box", "new_name": "ab\ncd"}, "new_name"),
    ("container", "Rename", {"container": "box", "new_name": "näme"}, "new_name"),
    ("container", "Rename", {"container": "box", "new_name": "a" * 300}, "new_name"),
    ("container", "Rename", {"container": "box", "new_name": "a" * 100000}, "new_name"),
    ("container", "Rename", {"container": "box", "new_name": "box"}, "new_name"),
    ("container", "Rename", {"container": "box", "new_name": "ok", "request_id": "a b"}, "request_id"),
    ("container", "Inspect", {"container": "box", "mode": 77}, "mode"),
    ("container", "Logs", {"container": "box", "tail": -1}, "tail"),
    ("container", "List", {"filters": ["name"]}, "filters[0]"),
    ("container", "List", {"filters": ["id="]}, "filters[0]"),
    ("container", "List", {"filters": ["exited=-1"]}, "filters[0]"),
    ("container", "List", {"filters": ["exited=99999999999"]}, "filters[0]"),
    ("container", "List", {"filters": ["before=nosuch"]}, "filters[0]"),
    ("container", "List", {"filters": ["id=x"] * 1000}, "filters"),
    ("container", "Wait", {"containers": ["box"] * 5000}, "containers"),
    ("image", "Inspect", {"image": ""}, "image"),
    ("image", "Inspect", {"image": "a b"}, "image"),
    ("image", "Inspect", {"image": LONG}, "image"),
    ("image", "Inspect", {"image": "x" * 3000000}, "image"),
    ("image", "Tag", {"source": "x" * 3000000, "target": "x:1"}, "source"),
    ("image", "Inspect", {"image": "busybox", "mode": 77}, "mode"),
    ("image", "Inspect", {"image": "busybox", "platform": "lin ux/!"}, "platform"),
    ("image", "Inspect", {"image": "busybox", "platform": "/"}, "platform"),
    ("image", "Inspect", {"image": "busybox", "platform": "nosuch"}, "platform"),
    ("image", "List", {"page_size": -1}, "page_size"),
    ("image", "List", {"page_token": "no token of ours"}, "page_token"),
    ("image", "List", {"filters": [""]}, "filters[0]"),
    ("image", "List", {"filters": ["nosuch=x"]}, "filters[0]"),
    ("image", "List", {"filters": ["label"]}, "filters[0]"),
    ("image", "List", {"filters": ["reference="]}, "filters[0]"),
    ("image", "List", {"filters": ["dangling=perhaps"]}, "filters[0]"),
    ("image", "List", {"filters": ["label=x", "before=a b"]}, "filters[1]"),
    ("image", "List", {"filters": ["label=x"] * 100}, "filters"),
    ("image", "List", {"filters": ["reference=" + "*[" * 2044]}, "filters[0]"),
    ("image", "List", {"reference": "*[" * 2049}, "reference"),
    ("image", "Tag", {"source": "", "target": "x:1"}, "source"),
    ("image", "Tag", {"source": "a b", "target": "x:1"}, "source"),
    ("image", "Tag", {"source": "busybox", "target": ""}, "target"),
    ("image", "Tag", {"source": "busybox", "target": "UPPER"}, "target"),
    ("image", "Tag", {"source": "busybox", "target": "x:" + "t" * 129}, "target"),
    ("image", "Tag", {"source": "busybox", "target": "x@sha256:" + "0" * 64}, "target"),
    ("image", "Remove", {"image": ""}, "image"),
    ("image", "Remove", {"image": "a b"}, "image"),
    ("system", "Events", {"filters": ["x"]}, "filters[0]"),
    ("system", "Events", {"filters": ["nosuch=x"]}, "filters[0]"),
    ("system", "Events", {"filters": ["event="]}, "filters[0]"),
    ("system", "Events", {"filters": ["event=x"] * 1000}, "filters"),
]


def assert_untouched(ns):
    """No container, no file: the image alone is there."""
    assert ns.list(all=True) == []
    assert leaks.files_left(ns.box.folder, ns.name) == []
    records = [r for r in leaks.records_left(ns.box.containerd, ns.name)
               if r.split()[0] in ("container", "task", "lease")]
    assert records == []


@pytest.fixture(scope="module")
def shared(api, box, images):
    """One namespace for the whole table: every row leaves it as it was."""
    view = api.namespace(f"wrong{os.getpid():x}")
    view.box = box
    view.load(images.busybox)
    yield view
    view.clear()
    assert leaks.of_namespace(box, view.name) == []
    host.remove_namespace_cgroups(view.name)


def test_the_table_is_long_enough():
    assert len(CONFIGS) >= 80


@pytest.mark.parametrize("change, field", [row[1:] for row in CONFIGS],
                         ids=[row[0].replace(" ", "_") for row in CONFIGS])
def test_wrong_config(shared, change, field):
    config = {"args": ["true"]} | (change(shared) if callable(change) else change)
    failure = shared.failure(shared.api.container.Create, shared.create_request(**config))
    assert failure.code == INVALID, failure
    assert field in failure.fields, failure
    assert len(failure.fields[field]) > 3
    assert failure.message
    assert_untouched(shared)


def test_several_wrong_fields_are_refused(shared):
    failure = shared.failure(shared.api.container.Create,
                             shared.create_request(name="x", hostname="a b", cap_add=["FLY"]))
    assert failure.code == INVALID and failure.fields


def test_run_checks_the_same(shared):
    request = shared.run_request("true", name="x")
    failure = shared.failure(shared.api.container.Run, iter([request]))
    assert failure.code == INVALID
    assert any(field.endswith("config.name") for field in failure.fields)
    assert_untouched(shared)


def test_missing_config(shared):
    request = shared.m.container.ContainerServiceCreateRequest()
    failure = shared.failure(shared.api.container.Create, request)
    assert failure.code == INVALID
    assert_untouched(shared)


class TestOtherFields:
    @pytest.fixture(scope="class")
    def with_box(self, shared):
        container = shared.create("true", name="box")
        yield shared
        shared.remove(container)

    @pytest.mark.parametrize("service, method, fields, field", REQUESTS,
                             ids=[f"{row[1]}_{row[3]}_{i}" for i, row in enumerate(REQUESTS)])
    def test_field_is_named(self, with_box, service, method, fields, field):
        request = getattr(getattr(with_box.m, service),
                          f"{service.capitalize()}Service{method}Request")
        failure = with_box.failure(getattr(getattr(with_box.api, service), method),
                                   request(**fields))
        assert failure.code in (INVALID, grpc.StatusCode.RESOURCE_EXHAUSTED), failure
        assert field in failure.fields, failure
        assert len(failure.fields[field]) > 3
        assert len(failure.message) < 2000


@pytest.mark.parametrize("name", ["a b", "../x", "x" * 300, "a/b", "-x", "x-", "a..b"])
def test_wrong_namespace_names_the_metadata(shared, name):
    request = shared.m.container.ContainerServiceListRequest()
    failure = shared.api.failure(lambda: shared.api.container.List(
        request, metadata=[("containerd-namespace", name)], timeout=10))
    assert failure.code == INVALID
    assert "containerd-namespace" in failure.fields


class TestOtherMethods:
    """Calls on what is not there, or without what they are about."""

    @pytest.mark.parametrize("method, fields, field", [
        ("Inspect", {"container": ""}, "container"),
        ("Stop", {"container": ""}, "container"),
        ("Kill", {"container": ""}, "container"),
        ("Remove", {"container": ""}, "container"),
        ("Rename", {"container": "", "new_name": "ok"}, "container"),
        ("Logs", {"container": ""}, "container"),
        ("Wait", {"containers": []}, "containers"),
        ("Wait", {"containers": [""]}, "containers[0]"),
        ("List", {"filters": ["nosuch=x"]}, "filters[0]"),
        ("List", {"filters": ["name"]}, "filters[0]"),
        ("List", {"filters": ["name=("]}, "filters[0]"),
        ("List", {"filters": ["exited=abc"]}, "filters[0]"),
        ("List", {"filters": ["name=a", "status=nosuch"]}, "filters[1]"),
        ("List", {"page_size": -1}, "page_size"),
        ("List", {"last": -1}, "last"),
        ("List", {"page_token": "no token of ours"}, "page_token"),
        ("Inspect", {"container": "x", "mode": 77}, "mode"),
        ("Logs", {"container": "x", "tail": -1}, "tail"),
        ("Stop", {"container": "x", "signal": "NOSUCH"}, "signal"),
        ("Kill", {"container": "x", "signal": "NOSUCH"}, "signal"),
        ("Kill", {"container": "x", "signal": "-3"}, "signal"),
    ])
    def test_field_is_named(self, shared, method, fields, field):
        request = getattr(shared.m.container, f"ContainerService{method}Request")(**fields)
        failure = shared.failure(getattr(shared.api.container, method), request)
        # A container that is not there may be noticed first.
        assert failure.code in (INVALID, grpc.StatusCode.NOT_FOUND)
        if failure.code == INVALID:
            assert field in failure.fields

    @pytest.mark.parametrize("method", ["Inspect", "Stop", "Kill", "Remove", "Rename", "Logs"])
    def test_missing_container(self, shared, method):
        request = getattr(shared.m.container, f"ContainerService{method}Request")(container="nosuch")
        failure = shared.failure(getattr(shared.api.container, method), request)
        assert failure.code == grpc.StatusCode.NOT_FOUND
        assert "no such container" in failure.message.lower()
        assert failure.reason == "CONTAINER_NOT_FOUND"
        assert failure.suggestions

    def test_wait_and_start_of_a_missing_container(self, shared):
        failure = shared.api.failure(lambda: shared.wait("nosuch"))
        assert failure.code == grpc.StatusCode.NOT_FOUND
        failure = shared.api.failure(lambda: shared.start("nosuch"))
        assert failure.code == grpc.StatusCode.NOT_FOUND

    def test_missing_image(self, shared):
        failure = shared.api.failure(lambda: shared.create("true", image="nosuch:1"))
        assert failure.code == grpc.StatusCode.NOT_FOUND
        assert "nosuch" in failure.message
        assert failure.reason == "IMAGE_NOT_FOUND"
        assert failure.suggestions
        assert_untouched(shared)

    def test_name_in_use(self, shared):
        container = shared.create("true", name="taken")
        failure = shared.api.failure(lambda: shared.create("true", name="taken"))
        shared.remove(container)
        assert failure.code == grpc.StatusCode.ALREADY_EXISTS
        assert f'name "taken" is already used by ID "{container}"' in failure.message
        assert failure.reason == "NAME_IN_USE"
        assert failure.suggestions
        assert_untouched(shared)

    @pytest.mark.parametrize("method, messages", [
        ("Run", []), ("Start", []),
        ("Run", ["signal"]), ("Start", ["signal"]),
    ])
    def test_stream_without_options(self, shared, method, messages):
        kind = getattr(shared.m.container, f"ContainerService{method}Request")
        requests = [kind(signal="TERM") for _ in messages]
        failure = shared.failure(getattr(shared.api.container, method), iter(requests))
        assert failure.code == INVALID
        assert "options" in failure.fields


class TestRawMessages:
    """What no generated client sends."""

    def call(self, shared, data):
        method = shared.api.channel.unary_stream("/nerdctl.v1.ContainerService/Create",
                                                 lambda b: b, lambda b: b)
        return shared.api.failure(lambda: list(method(data, metadata=shared.metadata, timeout=20)))

    def config(self, tail):
        config = b"\x0a\x0ebusybox:latest" + tail
        return b"\x0a" + bytes([len(config)]) + config

    def test_nul_in_a_text(self, shared):
        assert self.call(shared, self.config(b"\x2a\x03a\0b")).code == INVALID

    def test_text_that_is_not_utf8(self, shared):
        failure = self.call(shared, self.config(b"\x2a\x02\xff\xfe"))
        assert failure.code in (INVALID, grpc.StatusCode.INTERNAL)

    def test_unknown_field_in_a_mutation(self, shared):
        """A newer client asks for something that this daemon would ignore: refused instead."""
        failure = self.call(shared, self.config(b"\xf8\x3e\x01"))
        assert failure.code in (INVALID, grpc.StatusCode.UNIMPLEMENTED)
        assert "1007" in failure.message and failure.info.reason == "UNKNOWN_FIELD"

    def test_too_deep_nesting(self, shared):
        data = b""
        for _ in range(200):
            data = b"\x0a" + bytes([len(data) & 0x7f]) + data
        assert self.call(shared, data[:4000]).code in (INVALID, grpc.StatusCode.INTERNAL)

    @pytest.mark.parametrize("data", [b"\x0a", b"\x0a\xff", b"\x0a\x05ab", b"\xff" * 20, b"\x07",
                                      b"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"])
    def test_broken_encoding(self, shared, data):
        assert self.call(shared, data).code in (INVALID, grpc.StatusCode.INTERNAL)
        assert_untouched(shared)
