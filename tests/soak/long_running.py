#!/usr/bin/python3
"""Processes that run for longer than anything of ours waits by itself: their ends are told all the same.

    long_running.py --build build --seconds 150

All at once: a container in the foreground, commands with and without somebody attached, one whose client
comes back by its session, and nerdctl-remote. Each must end with its own exit code and leave nothing. The
longest limit of the daemon's for a single step is two minutes.
"""

import argparse
import pathlib
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

import host  # noqa: E402
import soak  # noqa: E402
import streams  # noqa: E402


def sleeping(seconds, code):
    return "sh", "-c", f"sleep {seconds}; echo over; exit {code}"


def remote(ns, *args):
    return subprocess.Popen([ns.box.daemon.remote, "-H", ns.box.daemon.target, "--namespace", ns.name, *args],
                            stdout=subprocess.PIPE)


def command(ns, seconds, code, **fields):
    return streams.execute(ns, "long", *sleeping(seconds, code), timeout=None, **fields)


def come_back(ns, going):
    going.until(lambda s: s.session is not None and s.id)
    going.cut()
    return streams.execute(ns, "long", exec_id=going.id, timeout=None,
                           stream={"acknowledge": True, "session_id": going.session.id})


def commands_left(ns):
    return [pid for pid, words in host.processes_of(ns.box.folder).items()
            if "/exec/" in words and f"/{ns.name}/" in words and host.is_running(pid)]


def run(ns, seconds):
    """None, or what is wrong."""
    ns.run("sleep", "1000000", detach=True, name="long")
    going = {
        3: streams.run(ns, *sleeping(seconds, 3), timeout=None),
        4: command(ns, seconds, 4),
        5: come_back(ns, command(ns, seconds, 5, stream={"acknowledge": True})),
    }
    command(ns, seconds, 6, detach=True).end()
    clients = {7: remote(ns, "run", "--rm", "--network", "none", "busybox", *sleeping(seconds, 7)),
               8: remote(ns, "exec", "long", *sleeping(seconds, 8))}
    ends = {}
    for code, one in going.items():
        one.end(seconds + 60)
        ends[code] = one.code, one.stdout
    for code, child in clients.items():
        out, _ = child.communicate(timeout=seconds + 60)
        ends[code] = child.returncode, out
    wrong = [f"{end} instead of {code}" for code, end in ends.items() if end != (code, b"over\n")]
    host.wait_until(lambda: not commands_left(ns), 60, "the helpers of the commands are gone")
    return "; ".join(wrong) or None


def main():
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--seconds", type=int, default=150)
    args = parser.parse_args()
    with soak.namespace(args.build) as ns:
        problem = run(ns, args.seconds)
        if problem:
            sys.exit(problem)
    print(f"6 processes of {args.seconds} s: each end was told, and nothing is left")


if __name__ == "__main__":
    main()
