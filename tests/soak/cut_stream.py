#!/usr/bin/python3
"""A gigabyte through `exec -i cat` over TCP and TLS, while the connection is cut every second.

    cut_stream.py --build build --mib 1024 --seconds 1 --seed 1

The client goes on with its session each time; the sums of what went in and what came out must be equal.
"""

import argparse
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

import cutter  # noqa: E402
import host  # noqa: E402
import pipes  # noqa: E402
import soak  # noqa: E402

MIB = 1 << 20


def tls_options(pki, port):
    """The daemon's, beside its own."""
    return ["--listen", f"tcp://127.0.0.1:{port}", "--tls-cert", f"{pki}/server.pem", "--tls-key",
            f"{pki}/server.key", "--tls-ca", f"{pki}/ca.pem"]


def client_words(pki):
    return ["--tlscacert", f"{pki}/ca.pem", "--tlscert", f"{pki}/client.pem", "--tlskey", f"{pki}/client.key"]


def cut_regularly(between, seconds, over):
    while not over.wait(seconds):
        between.cut()


def run(ns, pki, port, size, seconds, seed, tell=lambda text: None):
    """None, or what is wrong."""
    ns.run("sleep", "1000000", detach=True, name="cut")
    between = cutter.Cutter(0, port)
    over = threading.Event()
    begin = time.monotonic()
    child = subprocess.Popen([ns.box.daemon.remote, "-H", f"tcp://127.0.0.1:{between.port}", *client_words(pki),
                              "--namespace", ns.name, "exec", "-i", "cut", "cat"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    through = pipes.Through(child, pipes.Source(seed, size))
    host.wait_until(lambda: through.received or child.poll() is not None, 30, "the first byte")
    cutting = threading.Thread(target=cut_regularly, args=(between, seconds, over), daemon=True)
    cutting.start()
    problem = through.problem()
    over.set()
    cutting.join()
    between.stop()
    tell(f"{size // MIB} MiB in {time.monotonic() - begin:.0f} s, {between.cuts} cuts, sha256 "
         f"{through.sha256.hexdigest()[:16]}")
    return problem or (None if between.cuts > 0 else "it was never cut")


def main():
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        pki = pathlib.Path(scratch) / "pki"
        subprocess.run([ROOT / "scripts/dev-pki", pki], check=True, stdout=subprocess.DEVNULL)
        port = host.free_port()
        with soak.namespace(args.build, daemon_options=tls_options(pki, port)) as ns:
            problem = run(ns, pki, port, args.mib * MIB, args.seconds, args.seed,
                          lambda text: print(text, flush=True))
            if problem:
                sys.exit(problem)
    print(f"{args.mib} MiB of seed {args.seed}, cut every {args.seconds:g} s: the sums are equal")


if __name__ == "__main__":
    main()
