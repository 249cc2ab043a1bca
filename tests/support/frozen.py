"""Programs around a container that are stopped for a while, and what must go on meanwhile."""

import contextlib
import os
import pathlib
import signal
import subprocess

import host
import streams

# A hang is told from an answer by this; answers come within milliseconds.
ANSWER_SECONDS = 30


def shim_of(box, container):
    """Its process id."""
    return next(pid for pid, words in host.processes_of(box.folder).items()
                if "containerd-shim" in words and f"-id {container}" in words)


def helper_of(box, container):
    """That of the helper which has the container's output."""
    for pid, words in host.processes_of(box.folder).items():
        if "nerdctl-grpc-helper relay" in words and words.endswith(container):
            return pid
        if "_NERDCTL_INTERNAL_LOGGING" in words:
            with contextlib.suppress(OSError):
                if f"CONTAINER_ID={container}".encode() in pathlib.Path(
                        f"/proc/{pid}/environ").read_bytes():
                    return pid
    raise AssertionError(f"no helper of {container}")


@contextlib.contextmanager
def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def peak_kib(pid):
    """The most memory that it has ever had."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise AssertionError(f"no VmHWM of {pid}")


def bytes_read(pid):
    """By read() and its like, from wherever."""
    return int(pathlib.Path(f"/proc/{pid}/io").read_text().split("rchar: ")[1].split()[0])


@contextlib.contextmanager
def small_disk(path, size):
    """A file system of its own with so many bytes."""
    path.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


@contextlib.contextmanager
def own_disk(box, namespace, container, size):
    """The state folder of a container that does not run, its log too, on a small file system of its own."""
    folder = next(box.folder.glob(f"data/*/containers/{namespace}/{container}"))
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with small_disk(folder, size) as disk:
        for path, content in before.items():
            path.write_bytes(content)
        yield disk


def grow(disk, size):
    subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)


def fill(path):
    """Until nothing more fits; the file to remove for room."""
    ballast = path / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass
    return ballast


def refuse_new_files(disk):
    """On a file system of small_disk(): nothing new can be made there, an empty directory neither."""
    there = os.statvfs(disk)
    subprocess.run(["mount", "-o", f"remount,nr_inodes={there.f_files - there.f_ffree}", disk], check=True)


def all_answer(ns, witness):
    """Every kind of call about others; `witness` is a container that sleeps and has a log."""
    m = ns.m.container
    options = {"timeout": ANSWER_SECONDS}
    listed = {c.name: c for c in ns.call(ns.api.container.List, m.ContainerServiceListRequest(),
                                         **options).containers}
    assert listed[witness].state == m.CONTAINER_STATE_RUNNING, listed[witness].status
    inspected = ns.call(ns.api.container.Inspect, m.ContainerServiceInspectRequest(container=witness),
                        **options)
    assert inspected.container.state == m.CONTAINER_STATE_RUNNING
    ns.call(ns.api.system.Ping, ns.m.system.SystemServicePingRequest(), **options)
    list(ns.call(ns.api.container.Logs, ns.logs_request(witness), **options))
    assert streams.execute(ns, witness, "echo", "there").end(ANSWER_SECONDS).stdout == b"there\n"
    attached = streams.attach(ns, witness).until(lambda s: s.session is not None, ANSWER_SECONDS)
    attached.detach()
    attached.end(ANSWER_SECONDS)
    done = streams.run(ns, "echo", "new", auto_remove=True).end(ANSWER_SECONDS)
    assert (done.stdout, done.code) == (b"new\n", 0)
    return listed
