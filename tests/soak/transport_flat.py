#!/usr/bin/python3
"""A server of ours under every kind of call at once, for a long time: it must not grow.

    transport_flat.py --build build --seconds 3600 --seed 1 [--tls]

tests/soak/mixed_load.c calls: all four shapes, streams left in the middle, deadlines that pass, channels
that come and go; it checks every answer. Memory of the server is compared between the middle and the
end of the run; when the client has gone, no descriptor, fiber, call or connection of it may be left.
"""

import argparse
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

import host  # noqa: E402

GROWTH_KIB = 4096  # the allocator's own ups and downs; a leak of one object a call is far more


class Server:
    def __init__(self, build, scratch, tls):
        address, options, self.client = "tcp://127.0.0.1:0", [], []
        if tls:
            pki = scratch / "pki"
            subprocess.run([ROOT / "scripts/dev-pki", pki], check=True, stdout=subprocess.DEVNULL)
            address = "tls+" + address
            options = ["--cert", pki / "server.pem", "--key", pki / "server.key", "--ca", pki / "ca.pem"]
            self.client = ["--ca", pki / "ca.pem"]
        self.process = subprocess.Popen([build / "tests/interop/echo_server", *options, address],
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[-1])

    def rss_kib(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1])

    def n_fds(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def counts(self):
        """Fibers, calls and connections that there are, by the server's own account."""
        self.process.send_signal(signal.SIGUSR1)
        return {name: int(n) for name, n in re.findall(r"(\w+) (\d+)", self.process.stdout.readline())}

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


def watch(server, client, seconds, tell):
    """Memory in the middle, and the last that was seen."""
    early = None
    begin = time.monotonic()
    last = server.rss_kib()
    while client.poll() is None:
        passed = time.monotonic() - begin
        last = server.rss_kib()
        if early is None and passed >= seconds / 2:
            early = last
        counts = "  ".join(f"{n:3} {name}" for name, n in server.counts().items())
        tell(f"{passed:6.0f} s  {last} KiB  {server.n_fds():3} descriptors  {counts}")
        try:
            client.wait(timeout=max(seconds / 60, 0.1))
        except subprocess.TimeoutExpired:
            continue
    return early or last, last


def run(build, seconds, seed, tls=False, tell=lambda text: None):
    """None, or what is wrong."""
    with tempfile.TemporaryDirectory(prefix="nd-soak-") as scratch:
        server = Server(build, pathlib.Path(scratch), tls)
        try:
            fds, counts = server.n_fds(), server.counts()
            output = pathlib.Path(scratch) / "client"  # no pipe: nobody would empty it for an hour
            with output.open("w") as file:
                client = subprocess.Popen([build / "tests/interop/mixed_load", *server.client,
                                           f"tcp://127.0.0.1:{server.port}", str(seconds), str(seed)],
                                          stdout=file, stderr=file)
            early, late = watch(server, client, seconds, tell)
            said = "\n".join(line for line in output.read_text().splitlines() if '"loop stalled"' not in line)
            tell(said)
            if client.returncode != 0:
                return said
            host.wait_until(lambda: server.n_fds() <= fds and server.counts() == counts, 60,
                            "the descriptors, fibers, calls and connections of the client are gone")
            tell(f"early {early} KiB, late {late} KiB; afterwards {server.n_fds()} descriptors, {server.counts()}")
            if late > early + GROWTH_KIB:
                return f"the server grew from {early} to {late} KiB"
            if server.stop() != 0:
                return "the server did not end well"
            return None
        finally:
            server.process.kill()
            server.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tls", action="store_true")
    args = parser.parse_args()
    subprocess.run(["ninja", "-C", args.build, "echo_server", "mixed_load"], check=True,
                   stdout=subprocess.DEVNULL)
    wrong = run(args.build.resolve(), args.seconds, args.seed, args.tls, lambda text: print(text, flush=True))
    if wrong:
        sys.exit(f"transport_flat: seed {args.seed}: {wrong}")
    print(f"transport_flat: seed {args.seed}, {args.seconds} s: memory, descriptors and fibers are flat", flush=True)


if __name__ == "__main__":
    main()
