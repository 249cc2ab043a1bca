"""What is left of a namespace, and what a daemon holds: for tests that nothing leaks."""

import os
import pathlib
import re

import host

SETTLE_SECONDS = 10


def records_left(containerd, name):
    """Objects in containerd's namespace."""
    kinds = {"container": ("containers", "ls", "-q"), "task": ("tasks", "ls", "-q"),
             "image": ("images", "ls", "-q"), "lease": ("leases", "ls", "-q"),
             "blob": ("content", "ls", "-q")}
    left = []
    for kind, command in kinds.items():
        left += [f"{kind} {word}" for word in containerd.names(*command, namespace=name)]
    for kind, command in {"snapshot": ("snapshots", "ls"), "ingest": ("content", "active")}.items():
        lines = containerd.ctr(*command, namespace=name).stdout.splitlines()[1:]
        left += [f"{kind} {line.split()[0]}" for line in lines if line.strip()]
    return left


def files_left(folder, name):
    """nerdctl's files of the namespace: state dirs, names, hosts."""
    left = []
    for kind in ("containers", "names", "etchosts"):
        for path in folder.glob(f"data/*/{kind}/{name}/*"):
            left.append(f"file {path.relative_to(folder)}")
    # Temporary files of writers that were cut off.
    left += [f"file {p.relative_to(folder)}" for p in folder.glob(f"data/*/*/{name}/.tmp-*")]
    return left


# As runtime_left() tells of it: containerd's own, in its folder of a task.
TASK_LOG = re.compile(r"fifo .*/io\.containerd\.runtime\.v2\.task/[^/]+/\.*[0-9a-f]{64}/log")
HIDDEN_TASK_LOG = re.compile(r"fifo .*/io\.containerd\.runtime\.v2\.task/[^/]+/\.+[0-9a-f]{64}/log")


def runtime_left(folder, name):
    """Shims, helpers, mounts and FIFOs of the namespace."""
    left = []
    pattern = re.compile(rf"(-namespace {name} )|(/{name}/)")
    for pid, words in host.processes_of(folder).items():
        if pattern.search(words) and host.is_running(pid):
            left.append(f"process {pid}: {words}")
    left += [f"mount {point}" for point in host.mounts_below(folder) if f"/{name}/" in point]
    left += [f"fifo {path}" for path in fifos(folder) if f"/{name}/" in str(path)]
    return left + [f"process {pid} in cgroup {path}" for path, pid in cgroup_members(name)]


def fifos(folder):
    """Below the folder; the trees of snapshots and blobs come and go while one looks, and have none of ours."""
    for parent, folders, files in os.walk(folder):
        folders[:] = [word for word in folders if word not in ("snapshots", "blobs", "rootfs")]
        yield from (path for path in (pathlib.Path(parent) / word for word in files) if path.is_fifo())


def cgroup_members(name):
    """Processes in the cgroups of a namespace. Empty cgroups do not count: runc leaves them behind when
    containerd dies in the middle of its work."""
    for path in pathlib.Path("/sys/fs/cgroup").glob(f"*/{name}/*/cgroup.procs"):
        for pid in path.read_text().split():
            yield path.parent, pid


def of_namespace(box, name):
    """Everything that is left of a namespace once garbage collection and teardown had their time."""
    def look():
        return (records_left(box.containerd, name) + files_left(box.folder, name)
                + runtime_left(box.folder, name))
    left = []

    def nothing():
        left[:] = look()
        return not left
    try:
        host.wait_until(nothing, SETTLE_SECONDS, "clean")
    except host.HostError:
        pass
    return left


def descriptors(pid):
    """What a process has open: {descriptor: target}."""
    found = {}
    for entry in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(entry)] = os.readlink(f"/proc/{pid}/fd/{entry}")
        except OSError:
            continue
    return found


def children(pid):
    """Direct children, zombies included."""
    words = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(word) for word in words]


def rss_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


class Holdings:
    """What a daemon holds now, to be compared with later."""

    def __init__(self, pid):
        self.pid = pid
        self.before = self.look()

    def look(self):
        return {"descriptors": len(descriptors(self.pid)), "children": len(children(self.pid))}

    def assert_same(self, seconds=SETTLE_SECONDS):
        """Back to what it was, give or take nothing, within some time."""
        now = {}

        def same():
            now.update(self.look())
            return now == self.before
        try:
            host.wait_until(same, seconds, "same")
        except host.HostError:
            raise AssertionError(f"held before: {self.before}, now: {now}; "
                                 f"{descriptors(self.pid)}") from None
