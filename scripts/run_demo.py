"""The second half of scripts/run: start, demonstrate, serve, stop. Runs as root, after the build."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/support"))

import host  # noqa: E402

BUILD = ROOT / "build"
RUN = ROOT / ".run"
LOCK = pathlib.Path("/run/nerdctl-grpc-dev.lock")
ENV = RUN / "env"
ARCHIVE = RUN / "demo.tar"
IMAGE = "demo:latest"
NAMESPACE = "nerdctl-grpc-demo"


def say(text=""):
    print(text, flush=True)


def take_lock():
    """One demonstration per host, because of the port. Returns the file that holds the lock."""
    lock = open(LOCK, "a+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        raise host.HostError("a first 'make run' is active: " + lock.read().strip()
                             + "\nstop it with Ctrl-C there, or use it from here") from None
    lock.truncate(0)
    lock.write(f"process {os.getpid()} in {ROOT}")
    lock.flush()
    return lock


def check_port(port):
    """Better said now than in the daemon's log."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise host.HostError(f"port {port} on 127.0.0.1 is in use; choose another one: "
                                 f"PORT={port + 1} make run") from None


def make_pki():
    pki = RUN / "pki"
    subprocess.run([ROOT / "scripts/dev-pki", pki], check=True)
    hand_to_caller(RUN, pki, *pki.iterdir())
    return pki


def write_env(box):
    """A file for other terminals, to be read with `. .run/env`: there nerdctl-remote needs no flags then."""
    ENV.write_text(f'export PATH="{BUILD}:$PATH"\n'
                   f"export NERDCTL_HOST={box.daemon.target}\n"
                   f"export CONTAINERD_NAMESPACE={NAMESPACE}\n", encoding="utf-8")
    hand_to_caller(ENV)


def write_env(box):
    """A file for other terminals, to be read with `. .run/env`: there nerdctl-remote needs no flags then."""
    ENV.write_text(f'export PATH="{BUILD}:$PATH"\n'
                   f"export NERDCTL_HOST={box.daemon.target}\n"
                   f"export CONTAINERD_NAMESPACE={NAMESPACE}\n", encoding="utf-8")
    hand_to_caller(ENV)


def hand_to_caller(*paths):
    """Whoever called sudo shall be able to use what stands in the tree."""
    if "SUDO_UID" in os.environ:
        for path in paths:
            os.chown(path, int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]))


def demonstrate(box, remote):
    """Load an image, run a container, list. Every command is shown as it is run."""
    subprocess.run(["/usr/bin/python3", ROOT / "tests/support/make_image.py", "--tag", IMAGE, "--cmd", "sh",
                    "--out", ARCHIVE], check=True)
    hand_to_caller(ARCHIVE)

    def show(*args):
        say("$ nerdctl-remote " + " ".join(f"'{a}'" if " " in a else a for a in args))
        subprocess.run([*remote, *args], check=True, stdin=subprocess.DEVNULL)
        say()

    show("version")
    show("load", "-i", str(ARCHIVE))
    show("run", "--name", "hello", "--network", "none", IMAGE, "sh", "-c",
         "echo Hello from $(hostname), kernel $(uname -r), I am process $$")
    show("run", "-d", "--name", "clock", "--network", "none", IMAGE, "sh", "-c",
         "trap exit TERM; while true; do date; sleep 1; done")
    show("ps", "-a")


def advise(box, remote, port, pki):
    """Five commands that work as they stand in another terminal."""
    unix = " ".join(str(word) for word in remote)
    tls = (f"{BUILD}/nerdctl-remote -H tcp://127.0.0.1:{port} --tlscacert {pki}/ca.pem "
           f"--tlscert {pki}/client.pem --tlskey {pki}/client.key --namespace {NAMESPACE}")
    say("Serving on")
    say(f"  {box.daemon.target}   (root)")
    say(f"  tcp://127.0.0.1:{port}   (TLS; certificates in {pki})")
    say("Worth trying in another terminal (shorter: '. .run/env' there, then 'nerdctl-remote ps'):")
    for command in (f"{unix} logs -f clock",
                    f"{unix} run --rm --network none {IMAGE} cat /etc/passwd",
                    f"{tls} ps -a",
                    f"{unix} inspect clock",
                    f"{unix} stop clock"):
        say(f"  {command}")
    say()
    say(f"Logs: {box.daemon.log}")
    say("Ctrl-C stops the daemon and removes what it made.")


def wait_for_end(box):
    """Until a signal comes or the daemon ends by itself; the exit code."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    while not ended.wait(0.5):
        if box.daemon.process.poll() is not None:
            say(f"The daemon ended by itself, code {box.daemon.process.returncode}:")
            say(host.tail(box.daemon.log))
            return 1
    return 0


def remove_containers(box, remote):
    """Through the daemon, as a user would; what that leaves, close() takes."""
    with contextlib.suppress(subprocess.SubprocessError):
        listed = subprocess.run([*remote, "ps", "-a", "-q", "--no-trunc"], capture_output=True,
                                text=True, timeout=30, check=True).stdout.split()
        if listed:
            subprocess.run([*remote, "rm", "-f", *listed], timeout=120, check=True,
                           stdout=subprocess.DEVNULL)


def stop(box, remote):
    if remote:
        remove_containers(box, remote)
    if box.containerd.foreign:
        with contextlib.suppress(subprocess.SubprocessError):
            box.containerd.clear_namespace(NAMESPACE)
            box.containerd.ctr("namespaces", "rm", NAMESPACE, check=False)
        host.remove_namespace_cgroups(NAMESPACE)
    box.close()


def serve(once):
    port = int(os.environ.get("PORT", "9090"))
    lock = take_lock()
    check_port(port)
    pki = make_pki()
    tls = ["--listen", f"tcp://127.0.0.1:{port}", "--tls-cert", f"{pki}/server.pem", "--tls-key",
           f"{pki}/server.key", "--tls-ca", f"{pki}/ca.pem", "--namespace", NAMESPACE]
    box = host.Host(BUILD, prefix="nd-run", daemon_options=tls,
                    containerd_address=os.environ.get("CONTAINERD_ADDRESS") or None)
    lock.write(f", socket {box.daemon.target}, port {port}")
    lock.flush()
    remote = None
    try:
        box.start()
        remote = [box.daemon.remote, "-H", box.daemon.target, "--namespace", NAMESPACE]
        demonstrate(box, remote)
        if once:
            return 0
        write_env(box)
        advise(box, remote, port, pki)
        return wait_for_end(box)
    finally:
        # A second Ctrl-C must not cut the cleaning short.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        say("Stopping ...")
        stop(box, remote)
        ENV.unlink(missing_ok=True)
        lock.truncate(0)


def main():
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.default_int_handler)
    if shutil.which("containerd") is None:
        sys.exit("run: containerd is not installed")
    try:
        sys.exit(serve(os.environ.get("ONCE", "") not in ("", "0")))
    except KeyboardInterrupt:
        sys.exit(130)
    except host.HostError as error:
        sys.exit(f"run: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"run: {' '.join(str(w) for w in error.cmd)}: exit code {error.returncode}")


if __name__ == "__main__":
    main()
