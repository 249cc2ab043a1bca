#!/usr/bin/python3
"""Gigabytes through `exec -i cat`: byte for byte, and nobody's memory grows.

    exec_pipe.py --build build --mib 10240 --seed 1

Samples the memory of the daemon, of the command's helper and of the client. In the middle the client is
stopped for a while, so that everything stands that holds something for it. Prints what was seen.
"""

import argparse
import pathlib
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

import host  # noqa: E402
import leaks  # noqa: E402
import pipes  # noqa: E402
import soak  # noqa: E402

MIB = 1 << 20
GROWTH_KIB = {"daemon": 16 * 1024, "helper": 2 * 1024, "client": 8 * 1024}
STOPPED_SECONDS = 2
SAMPLE_SECONDS = 0.1


def private_kib(pid):
    """A helper's own memory; 0 when it has gone, and somebody else has its number."""
    try:
        if b"relay" not in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
            return 0
        lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def rss_kib(pid):
    try:
        return leaks.rss_kib(pid)
    except OSError:
        return 0


class Memory:
    """The smallest and largest size of some processes while something goes on."""

    def __init__(self, sizes):
        self.sizes = sizes  # name: function
        self.first = {name: size() for name, size in sizes.items()}
        self.peak = dict(self.first)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        while not self.over.wait(SAMPLE_SECONDS):
            for name, size in self.sizes.items():
                self.peak[name] = max(self.peak[name], size())

    def end(self):
        self.over.set()
        self.thread.join()
        return [f"{name} grew from {self.first[name]} to {self.peak[name]} KiB" for name in self.sizes
                if self.peak[name] - self.first[name] > GROWTH_KIB[name]]

    def __str__(self):
        return ", ".join(f"{name} {self.first[name]} to at most {self.peak[name]} KiB" for name in self.sizes)


def helper_of_command(ns):
    """The helper of the only command in the namespace."""
    found = [pid for pid, words in host.processes_of(ns.box.folder).items()
             if " relay " in words and f"/{ns.name}/" in words and "/exec/" in words and host.is_running(pid)]
    return found[0] if found else None


def stop_in_the_middle(through, size, seconds):
    """SIGSTOP for a while: nobody reads, nobody may collect."""
    while through.received < size // 2 and through.process.poll() is None:
        time.sleep(0.01)
    through.process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    through.process.send_signal(signal.SIGCONT)


def run(ns, mib, seed, tell=lambda text: None, stopped_seconds=STOPPED_SECONDS):
    """None, or what is wrong."""
    box = ns.box
    ns.run("sleep", "1000000", detach=True, name="pipe")
    source = pipes.Source(seed, mib * MIB)
    child = subprocess.Popen([box.daemon.remote, "-H", box.daemon.target, "--namespace", ns.name, "exec", "-i",
                              "pipe", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    helper = host.wait_until(lambda: helper_of_command(ns), 20, "the command runs")
    begin = time.monotonic()
    memory = Memory({"daemon": lambda: rss_kib(box.daemon.process.pid), "helper": lambda: private_kib(helper),
                     "client": lambda: rss_kib(child.pid)})
    through = pipes.Through(child, source)
    stop_in_the_middle(through, mib * MIB, stopped_seconds)
    problem = through.problem()
    grown = memory.end()
    seconds = time.monotonic() - begin
    tell(f"{mib} MiB in {seconds:.0f} s, {mib / seconds:.0f} MiB/s; {memory}")
    return problem or "; ".join(grown) or None


def main():
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--mib", type=int, default=10240)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    with soak.namespace(args.build) as ns:
        problem = run(ns, args.mib, args.seed, lambda text: print(text, flush=True))
        if problem:
            sys.exit(problem)
    print(f"{args.mib} MiB of seed {args.seed} through a command: every byte, in bounded memory")


if __name__ == "__main__":
    main()
