"""What the benchmarks share: programs that do rounds, medians, goals, figures of processes, sample lines."""

import contextlib
import os
import pathlib
import statistics
import subprocess
import time

import host


class Rounds:
    """A program that does one round for each byte it is sent and answers with a line of numbers."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        bufsize=1)

    def __call__(self):
        self.process.stdin.write("g")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise host.HostError(f"{self.process.args[0]} ended with {self.process.wait()}")
        return [int(word) for word in line.split()]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Report:
    """Figures with their goals, printed as they come."""

    def __init__(self):
        self.results = []

    def ratio(self, name, ours, floor, goal, unit="ms", scale=1e6):
        """The ratio of two medians."""
        mine, theirs = statistics.median(ours) / scale, statistics.median(floor) / scale
        self.report(name, mine / theirs, goal, f"{mine:.1f} against {theirs:.1f} {unit}")

    def report(self, name, value, goal, detail, at_least=False):
        good = goal is None or (value >= goal if at_least else value <= goal)
        verdict = "" if goal is None else ("good" if good else "MISSED")
        limit = "" if goal is None else f"{'>=' if at_least else '<='} {goal:g}"
        self.results.append({"name": name, "value": value, "goal": goal, "good": good, "detail": detail})
        print(f"{name:38} {value:8.3f} {limit:>8} {verdict:6} {detail}", flush=True)


def timed(command):
    """Nanoseconds of a command that must succeed."""
    begin = time.monotonic_ns()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return time.monotonic_ns() - begin


def alternately(count, *steps):
    """The results of each step, called in turn `count` times after one round that does not count. Nobody is
    always the one who comes after the expensive one."""
    got = [[] for _ in steps]
    for i in range(count + 1):
        order = list(range(len(steps)))
        for k in order[i % len(steps):] + order[:i % len(steps)]:
            got[k].append(steps[k]())
    return [results[1:] for results in got]


def percentile(values, percent):
    values = sorted(values)
    return values[min(len(values) * percent // 100, len(values) - 1)]


def put_first(pid, with_children=False):
    """Let all threads that a process has run before everything ordinary; what it starts later does only on
    request."""
    policy = os.SCHED_RR if with_children else os.SCHED_RR | os.SCHED_RESET_ON_FORK
    with contextlib.suppress(OSError):  # it may end meanwhile
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            os.sched_setscheduler(int(task.name), policy, os.sched_param(5))


def memory_of(pid, *fields):
    """KiB of the named fields of smaps_rollup."""
    total = 0
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.split(":")[0] in fields:
            total += int(line.split()[1])
    return total


def cpu_ns_of(pid):
    """Processor time of all threads that it has."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            total += int((task / "schedstat").read_text().split()[0])
    return total


def wakeups_of(pid):
    """How often its threads have gone to sleep."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            for line in (task / "status").read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches:"):
                    total += int(line.split()[1])
    return total


def sample_lines():
    """A thousand lines as programs write them: 18 to 130 bytes long, each seventh with quotes in it."""
    for i in range(1000):
        text = f"{i:06d} the quick brown fox jumps over the lazy dog {'ab' * (i % 40)}"
        yield text.replace("fox", '"fox"') if i % 7 == 0 else text
