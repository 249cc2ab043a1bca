"""A host of one's own: a private containerd and the daemon in front of it, below one short folder.

Used by the end-to-end tests, the soak test, the benchmarks and `make run`. Everything that a Host starts
or makes lies below its folder or carries that folder in its command line, so that wipe() can prove, and
restore, that nothing is left.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("ND_BUILD", ROOT / "build")).resolve()
# Another containerd program than the one in PATH; its ctr and its shim lie beside it.
CONTAINERD = os.environ.get("ND_CONTAINERD")
READY_SECONDS = 30
STOP_SECONDS = 20


class HostError(Exception):
    """Something of the environment, in words for the person at the terminal."""


def overlay_works(folder):
    """Whether an overlay can be mounted with its upper layer in this folder."""
    probe = pathlib.Path(tempfile.mkdtemp(prefix="nd-probe-", dir=folder))
    parts = [probe / name for name in ("lower", "upper", "work", "merged")]
    for part in parts:
        part.mkdir()
    options = f"lowerdir={parts[0]},upperdir={parts[1]},workdir={parts[2]}"
    done = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(parts[3])],
                          capture_output=True, check=False)
    if done.returncode == 0:
        subprocess.run(["umount", str(parts[3])], check=True)
    shutil.rmtree(probe)
    return done.returncode == 0


def pick_base():
    """A folder for containerd's root and the snapshotter that works in it."""
    for folder in ("/tmp", "/var/tmp", "/run"):
        if os.access(folder, os.W_OK) and overlay_works(folder):
            return folder, "overlayfs"
    return "/tmp", "native"


def wait_until(condition, seconds, what):
    """Poll a condition that has no event to wait for; the result of the condition is returned."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise HostError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def stop_process(process, seconds=STOP_SECONDS):
    """SIGTERM, then SIGKILL; returns the exit code."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def tail(path, lines=20):
    with contextlib.suppress(OSError):
        return "\n".join(pathlib.Path(path).read_text(errors="replace").splitlines()[-lines:])
    return ""


class Containerd:
    """A private containerd, or somebody's running one when `address` is given."""

    def __init__(self, folder, address=None):
        self.folder = pathlib.Path(folder)
        self.foreign = address is not None
        self.address = address or str(self.folder / "c.sock")
        self.log = self.folder / "containerd.log"
        self.process = None

    def start(self):
        if not self.foreign:
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen(
                    [ROOT / "scripts/containerd-private", str(self.folder)], stdin=subprocess.DEVNULL,
                    stdout=log, stderr=log, start_new_session=True)
        elif not os.path.exists(self.address.removeprefix("unix://")):
            raise HostError(f"no containerd at {self.address}: there is no such socket")
        wait_until(self.answers, READY_SECONDS, f"an answer of containerd at {self.address}")

    def answers(self):
        if self.process is not None and self.process.poll() is not None:
            raise HostError(f"containerd ended with {self.process.returncode}:\n{tail(self.log)}")
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.ctr("version", check=False, timeout=5).returncode == 0
        return False

    def is_ours_and_alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """As a crash: SIGKILL."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process is not None:
            stop_process(self.process)
            self.process = None

    def ctr(self, *args, check=True, namespace=None, timeout=60):
        program = pathlib.Path(CONTAINERD).with_name("ctr") if CONTAINERD else "ctr"
        command = [program, "--address", self.address]
        if namespace:
            command += ["--namespace", namespace]
        return subprocess.run([*command, *args], capture_output=True, text=True, check=check,
                              timeout=timeout, stdin=subprocess.DEVNULL)

    def names(self, *args, namespace=None):
        """The first words of the lines of a quiet ctr listing."""
        out = self.ctr(*args, namespace=namespace).stdout
        return [line.split()[0] for line in out.splitlines() if line.strip()]

    def namespaces(self):
        return self.names("namespaces", "ls", "-q")

    def lost_shims(self):
        """Ids of containers whose shims it gave up at a start: 2.x forgets one that was just starting
        when containerd was killed, and leaves the process."""
        return set(re.findall(rb'"failed to load shim [^ "]*/([0-9a-f]{64})"', self.log.read_bytes()))

    def clear_namespace(self, name):
        """Remove every task, container, image, snapshot and lease of a namespace."""
        for task in self.names("tasks", "ls", "-q", namespace=name):
            self.ctr("tasks", "rm", "-f", task, check=False, namespace=name)
        for container in self.names("containers", "ls", "-q", namespace=name):
            self.ctr("containers", "rm", container, check=False, namespace=name)
        for image in self.names("images", "ls", "-q", namespace=name):
            self.ctr("images", "rm", "--sync", image, check=False, namespace=name)
        for lease in self.names("leases", "ls", "-q", namespace=name):
            self.ctr("leases", "rm", "--sync", lease, check=False, namespace=name)


class Daemon:
    """nerdctl-grpcd with a log file; `extra` are more options."""

    def __init__(self, folder, containerd, build, snapshotter="overlayfs", extra=()):
        self.folder = pathlib.Path(folder)
        self.build = pathlib.Path(build)
        self.socket = self.folder / "g.sock"
        self.data_root = self.folder / "data"
        self.state_dir = self.folder / "grpc-state"
        self.log = self.folder / "grpcd.log"
        self.process = None
        self.options = ["--listen", self.target, "--containerd-address", containerd.address,
                        "--data-root", str(self.data_root), "--state-dir", str(self.state_dir),
                        "--snapshotter", snapshotter, *extra]

    @property
    def target(self):
        return f"unix://{self.socket}"

    @property
    def remote(self):
        return self.build / "nerdctl-remote"

    def start(self, wait=True):
        program = self.build / "nerdctl-grpcd"
        if not program.exists():
            raise HostError(f"{program} is missing: run make")
        self.log.touch()
        before = self.log.stat().st_size
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([program, *self.options], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True,
                                            close_fds=True)
        if wait:
            wait_until(lambda: self.is_ready(before), READY_SECONDS, "nerdctl-grpcd does not get ready")
        return before

    def is_ready(self, offset):
        if self.process.poll() is not None:
            raise HostError(f"nerdctl-grpcd ended with {self.process.returncode}:\n{tail(self.log)}")
        said = {record.get("msg") for record in self.records(offset)}
        return "ready" in said

    def records(self, offset=0):
        """What it has logged since an offset of the file, as dictionaries."""
        found = []
        with open(self.log, "rb") as log:
            log.seek(offset)
            for line in log:
                with contextlib.suppress(ValueError):
                    found.append(json.loads(line))
        return found

    def stop(self):
        """SIGTERM; the exit code."""
        if self.process is None:
            return None
        code = stop_process(self.process)
        self.process = None
        return code

    def kill(self):
        """As a crash: SIGKILL."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def cli(self, *args, namespace=None, check=False, **options):
        """Run nerdctl-remote against this daemon."""
        command = [self.remote, "-H", self.target]
        if namespace:
            command += ["--namespace", namespace]
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("timeout", 60)
        return subprocess.run([*command, *args], capture_output=True, text=True, check=check,
                              **options)


def processes_of(folder):
    """Processes whose command line names something below the folder: {pid: command line}."""
    found = {}
    needle = f"{folder}/"
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            words = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode(
                errors="replace")
            if needle in words:
                found[int(entry)] = words.strip()
    return found


def mounts_below(folder):
    """Mount points below the folder, deepest first."""
    points = []
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if point.startswith(f"{folder}/"):
            points.append(point)
    return sorted(points, key=len, reverse=True)


def kill_pid(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def is_running(pid):
    """Neither gone nor a zombie."""
    with contextlib.suppress(OSError, IndexError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def is_of_container(pid, container_id):
    """Whether it runs for that container: a number in a file may be somebody else's by now."""
    with contextlib.suppress(OSError):
        return container_id in pathlib.Path(f"/proc/{pid}/cgroup").read_text() and is_running(pid)
    return False


def remove_cgroups(container_ids):
    """Cgroup folders that a killed shim has left."""
    for container_id in container_ids:
        for path in pathlib.Path("/sys/fs/cgroup").glob(f"*/*/{container_id}"):
            with contextlib.suppress(OSError):
                path.rmdir()


def remove_namespace_cgroups(name):
    """The folder of a namespace, which runc never removes, and what it forgot in there."""
    root = pathlib.Path("/sys/fs/cgroup")
    for path in [*root.glob(f"*/{name}/*/"), *root.glob(f"*/{name}")]:
        with contextlib.suppress(OSError):
            path.rmdir()


def wipe(folder):
    """Kill, unmount and remove whatever is left of a host. Returns what there was, as sentences."""
    folder = pathlib.Path(folder)
    left = []
    bundles = list(folder.glob("state/io.containerd.runtime.v2.task/*/*"))
    for bundle in bundles:
        with contextlib.suppress(OSError, ValueError):
            pid = int((bundle / "init.pid").read_text())
            if is_of_container(pid, bundle.name):
                left.append(f"process {pid} of container {bundle.name}")
                kill_pid(pid)
    for pid, words in processes_of(folder).items():
        if is_running(pid):
            left.append(f"process {pid}: {words}")
            kill_pid(pid)
    with contextlib.suppress(HostError):
        wait_until(lambda: not any(is_running(p) for p in processes_of(folder)), 5, "processes")
    for point in mounts_below(folder):
        left.append(f"mount {point}")
        subprocess.run(["umount", "-l", point], check=False, capture_output=True)
    remove_cgroups(bundle.name for bundle in bundles)
    for name in {bundle.parent.name for bundle in bundles}:
        remove_namespace_cgroups(name)
    shutil.rmtree(folder, ignore_errors=True)
    return left


class Host:
    """Folder, containerd and daemon together."""

    def __init__(self, build, prefix="nd", daemon_options=(), containerd_address=None):
        if os.geteuid() != 0:
            raise HostError("containerd needs root: run this as root")
        base, snapshotter = pick_base()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=base))
        self.snapshotter = snapshotter
        self.containerd = Containerd(self.folder, containerd_address)
        self.daemon = Daemon(self.folder, self.containerd, build, snapshotter, daemon_options)

    def start(self):
        self.containerd.start()
        self.daemon.start()

    def close(self):
        """Stop everything; returns what had to be wiped."""
        self.daemon.stop()
        if self.containerd.is_ours_and_alive():
            with contextlib.suppress(subprocess.SubprocessError):
                for name in self.containerd.namespaces():
                    self.containerd.clear_namespace(name)
                    remove_namespace_cgroups(name)
        self.containerd.stop()
        return wipe(self.folder)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
