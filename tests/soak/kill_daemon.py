#!/usr/bin/python3
"""The daemon is killed again and again, each time up to a second after it got ready, under busy containers.

    kill_daemon.py --build build -n 60 --containers 50 --seed 1

Each container writes numbered lines all the time. nerdctl-remote is attached to it, runs a command in it
that does the same, and follows its log; the first two go on with their sessions by themselves, the log is
followed again each time, from some lines before the end. At the end the processes are asked to stop. Then:
every line is in the log and came through the attached client and the command's, once and in order; their
exit codes came; the log's followers have missed nothing; and the daemon was ready within a second each
time. Prints the slowest time.
"""

import argparse
import contextlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

import grpc  # noqa: E402
import host  # noqa: E402
import soak  # noqa: E402
import streams  # noqa: E402

READY_SECONDS = 1.0
OVERLAP_LINES = 2000
PATIENCE_SECONDS = 120
WIDTH = 64  # of a line
BURST = 50  # lines between two pauses
# Writes lines until a file appears, and says how many with its last one.
SCRIPT = f"""
i=0
while [ ! -e /tmp/stop-$1 ]; do
  n=$((i+{BURST}))
  while [ $i -lt $n ]; do i=$((i+1)); printf '%s %08d {"x" * (WIDTH - 16)}\\n' "$1" $i; done
  sleep 0.5
done
echo $i > /tmp/count-$1
exit $2
"""


class Wrong(Exception):
    """What was not as it must be."""


def line(tag, number):
    return f"{tag} {number:08d} {'x' * (WIDTH - 16)}\n".encode()


def numbers_of(tag, data):
    """The numbers of the whole lines of one piece of output, which must follow one another."""
    if not data:
        return range(0)
    lines = data.splitlines(keepends=True)
    if not lines[-1].endswith(b"\n"):
        lines.pop()  # cut off
    if not lines:
        return range(0)
    try:
        first = int(lines[0].split()[1])
    except (IndexError, ValueError):
        raise Wrong(f"{tag}: begins with {lines[0]!r}") from None
    for offset, one in enumerate(lines):
        if one != line(tag, first + offset):
            raise Wrong(f"{tag}: {one!r} where line {first + offset} must be")
    return range(first, first + len(lines))


class Busy:
    """One container with everybody who looks at it."""

    def __init__(self, ns, scratch, number):
        self.ns = ns
        self.number = number
        self.name = f"busy{number}"
        self.code = number % 50 + 1
        self.folder = scratch / self.name
        self.folder.mkdir()
        self.segments = []
        self.files = []
        ns.run("sh", "-c", SCRIPT, "sh", self.tag("main"), str(self.code), detach=True, name=self.name)
        self.attached = self.remote("attach", "attach", "--no-stdin", self.name)
        self.command = self.remote("exec", "exec", self.name, "sh", "-c", SCRIPT, "sh", self.tag("exec"),
                                   str(self.code + 100))
        self.follower = None
        self.follow()

    def tag(self, what):
        return f"{what[0]}{self.number:04d}"

    def remote(self, file, *words):
        box = self.ns.box
        with open(self.folder / f"{file}.out", "wb") as out, open(self.folder / f"{file}.err", "wb") as err:
            return subprocess.Popen([box.daemon.remote, "-H", box.daemon.target, "--namespace", self.ns.name,
                                     "--resume-timeout", f"{PATIENCE_SECONDS}s", *words],
                                    stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    def has_begun(self):
        """Both are attached: from here on nothing may be missed."""
        return all((self.folder / f"{file}.out").stat().st_size > 0 for file in ("attach", "exec"))

    def follow(self):
        """The log, from some lines before the end. Whoever followed it has been cut off, or asks again when
        nothing had been said yet."""
        if self.follower is not None:
            self.follower.kill()
            self.follower.wait()
        name = f"logs{len(self.segments)}"
        self.segments.append(name)
        self.follower = self.remote(name, "logs", "-f", "--tail", str(OVERLAP_LINES), self.name)

    def touch(self, what):
        streams.execute(self.ns, self.name, "touch", f"/tmp/stop-{self.tag(what)}").end()

    def count(self, what):
        done = streams.execute(self.ns, self.name, "cat", f"/tmp/count-{self.tag(what)}").end()
        return int(done.stdout)

    # At the end

    def stop_command(self):
        self.touch("exec")
        code = self.command.wait(PATIENCE_SECONDS)
        if code != self.code + 100:
            raise Wrong(f"{self.name}: the command ended with {code}, {self.said('exec.err')}")
        return self.check("exec", 1, self.count("exec"))

    def stop(self):
        self.touch("main")
        code = self.attached.wait(PATIENCE_SECONDS)
        if code != self.code:
            raise Wrong(f"{self.name}: the attached client ended with {code}, {self.said('attach.err')}")
        self.follower.wait(PATIENCE_SECONDS)
        out, err = self.ns.logs(self.name)
        logged = numbers_of(self.tag("main"), out)
        if err or not logged or logged[0] != 1:
            raise Wrong(f"{self.name}: the log begins with {out[:100]!r}, and on standard error {err[:100]!r}")
        return self.check("attach", None, logged[-1]) + self.check_segments(logged[-1]) + len(out)

    def said(self, file):
        return (self.folder / file).read_text(errors="replace")[-300:]

    def check(self, file, first, last):
        """Every line up to the last, from the first on, or from where it was attached."""
        data = (self.folder / f"{file}.out").read_bytes()
        if first is None:  # perhaps in the middle of a line
            data = data[data.index(b"\n") + 1:] if data[:1] not in b"m" else data
        got = numbers_of(self.tag("exec" if file == "exec" else "main"), data)
        if not got or got[-1] != last or (first is not None and got[0] != first):
            raise Wrong(f"{self.name}: {file} has lines {got} of {last}; {self.said(file + '.err')}")
        return len(data)

    def check_segments(self, last):
        """Each follower begins before the end of the one before."""
        at, total = 0, 0
        for name in self.segments:
            data = (self.folder / f"{name}.out").read_bytes()
            got = numbers_of(self.tag("main"), data)
            total += len(data)
            if got and at and got[0] > at + 1:
                raise Wrong(f"{self.name}: {name} begins with line {got[0]}, {at} was seen before")
            at = max(at, got[-1] if got else 0)
        if at != last:
            raise Wrong(f"{self.name}: the followers saw {at} lines of {last}")
        return total

    def kill(self):
        for process in (self.attached, self.command, self.follower):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()


def cpu_seconds(pid):
    """What a process has used of the processors, which others may want as well."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def restart(box, tell):
    """(seconds from the start of the program until it was ready, what of that it was working)."""
    begin = time.monotonic()
    offset = box.daemon.start()
    took = time.monotonic() - begin
    if took > READY_SECONDS / 2:
        tell(f"ready after {took * 1000:.0f} ms; it said:")
        for record in box.daemon.records(offset):
            tell(f"  {record.get('time')} {record.get('msg')} {record.get('error') or ''}")
    return took, cpu_seconds(box.daemon.process.pid)


def kill_often(ns, all_busy, kills, dice, tell):
    """The slowest times to be ready again: passed, and worked."""
    slowest = (0, 0)
    for number in range(1, kills + 1):
        time.sleep(dice.random())
        ns.box.daemon.kill()
        took = restart(ns.box, tell)
        slowest = tuple(max(pair) for pair in zip(slowest, took))
        for busy in all_busy:
            busy.follow()
        if number % 10 == 0:
            tell(f"{number} kills of {kills}, ready after {took[0] * 1000:.0f} ms, slowest {slowest[0] * 1000:.0f} ms")
    return slowest


def answers(ns):
    """Our own connection has noticed the last kill."""
    with contextlib.suppress(grpc.RpcError):
        return bool(ns.list())
    return False


def run(ns, scratch, kills, containers, seed, tell=lambda text: None):
    """(slowest times to get ready, None or what is wrong)."""
    all_busy = []
    try:
        for number in range(containers):
            all_busy.append(Busy(ns, scratch, number))
        host.wait_until(lambda: all(busy.has_begun() for busy in all_busy), PATIENCE_SECONDS, "all are attached")
        slowest = kill_often(ns, all_busy, kills, random.Random(seed), tell)
        host.wait_until(lambda: answers(ns), PATIENCE_SECONDS, "an answer")
        total = sum(busy.stop_command() for busy in all_busy)
        total += sum(busy.stop() for busy in all_busy)
        tell(f"{kills} kills, {containers} containers, {total} bytes checked, slowest ready after "
             f"{slowest[0] * 1000:.0f} ms, of which it worked for at most {slowest[1] * 1000:.0f} ms")
        return slowest, None
    except (Wrong, host.HostError, subprocess.TimeoutExpired, AssertionError) as error:
        return (0, 0), f"seed {seed}: {error}"
    finally:
        for busy in all_busy:
            busy.kill()


def main():
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("-n", type=int, default=60, help="kills")
    parser.add_argument("--containers", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    with soak.namespace(args.build) as ns, tempfile.TemporaryDirectory() as scratch:
        slowest, problem = run(ns, pathlib.Path(scratch), args.n, args.containers, args.seed,
                               lambda text: print(text, flush=True))
        if problem is None and slowest[0] >= READY_SECONDS:
            problem = f"it took {slowest[0]:.2f} s until the daemon was ready again"
        if problem:
            sys.exit(problem)
    print(f"{args.n} kills of seed {args.seed} under {args.containers} busy containers: every byte, every session, "
          "ready in time")


if __name__ == "__main__":
    main()
