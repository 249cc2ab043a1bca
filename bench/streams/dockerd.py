"""Docker as a peer: a private dockerd with folders and a socket of its own, below one folder."""

import contextlib
import os
import pathlib
import subprocess

import host

DOCKERD, DOCKER = "/usr/sbin/dockerd", "/usr/bin/docker"
CGROUP = "nd-bench-docker"
# Made by dockerd wherever it is told to live.
FOLDERS = (pathlib.Path("/run/docker"), pathlib.Path("/run/docker/plugins"))


class Docker:
    """No network is made and no rule is set: nothing outside the folder is left behind."""

    def __init__(self, folder):
        self.made = [path for path in FOLDERS if not path.exists()]
        self.folder = pathlib.Path(folder) / "docker"
        self.folder.mkdir()
        self.socket = f"unix://{self.folder}/d.sock"
        self.log = self.folder / "dockerd.log"
        self.process = None

    @staticmethod
    def is_there():
        return os.access(DOCKERD, os.X_OK) and os.access(DOCKER, os.X_OK)

    def start(self):
        command = [DOCKERD, "--data-root", self.folder / "data", "--exec-root", self.folder / "exec",
                   "--pidfile", self.folder / "pid", "--host", self.socket, "--bridge", "none",
                   "--iptables=false", "--ip-forward=false", "--ip-masq=false",
                   "--cgroup-parent", f"/{CGROUP}", "--storage-driver", "overlay2", "--log-level", "warn",
                   "--config-file", self.folder / "none.json"]
        (self.folder / "none.json").write_text("{}")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        host.wait_until(self.answers, host.READY_SECONDS, "an answer of dockerd")

    def answers(self):
        if self.process.poll() is not None:
            raise host.HostError(f"dockerd ended with {self.process.returncode}:\n{host.tail(self.log)}")
        return subprocess.run(self.command("version"), capture_output=True, check=False).returncode == 0

    def command(self, *args):
        return [DOCKER, "--host", self.socket, *map(str, args)]

    def load(self, archive):
        subprocess.run(self.command("load"), input=archive, check=True, stdout=subprocess.DEVNULL)

    def pid(self):
        return self.process.pid

    def close(self):
        if self.process is None:
            return
        with contextlib.suppress(subprocess.SubprocessError):
            ids = subprocess.run(self.command("ps", "-aq"), capture_output=True, text=True, check=True,
                                 timeout=30).stdout.split()
            if ids:
                subprocess.run(self.command("rm", "-f", *ids), capture_output=True, check=True, timeout=60)
        host.stop_process(self.process)
        self.process = None
        host.remove_namespace_cgroups(CGROUP)
        for path in reversed(self.made):
            with contextlib.suppress(OSError):
                path.rmdir()
