#!/usr/bin/python3
"""Detached containers that write half a megabyte and end at once: every byte must be in the log.

    logs_exact.py --build build -n 1000 --seed 1 [--state FILE]

Each run writes what its number and the seed determine, so a failure can be repeated alone. Progress is
kept in the state file (default .run/logs_exact-<seed>): the same call goes on where it was stopped.
Ends with 1 at the first wrong byte and says which run it was.
"""

import argparse
import hashlib
import pathlib
import signal
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

import host  # noqa: E402
import stubs  # noqa: E402
import archives  # noqa: E402

SIZE = 500_000


def words(seed, number):
    """(size of a line, marker) of a run: lines are cut at different places in each."""
    digest = hashlib.sha256(f"{seed}-{number}".encode()).digest()
    return 20 + digest[0] * 8, digest.hex()[:16]


def expected(seed, number):
    width, marker = words(seed, number)
    body = (marker * (SIZE // len(marker) + 1))[:SIZE].encode()
    lines = [body[i:i + width] for i in range(0, SIZE, width)]
    return b"\n".join(lines) + b"\n"


def script(seed, number):
    """The same in the container: no process that outlives the first one."""
    width, marker = words(seed, number)
    return f"yes {marker} | tr -d '\\n' | head -c {SIZE} | fold -w {width}; echo"


def one_run(ns, seed, number):
    """None, or what is wrong."""
    want = expected(seed, number)
    done = ns.run("sh", "-c", script(seed, number), detach=True)
    ended = ns.wait(done.id)[0].exit.code
    got, errors = ns.logs(done.id, follow=True)
    problem = None
    if ended != 0 or errors:
        problem = f"exit code {ended}, standard error {errors[:200]!r}"
    elif got != want:
        at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
        problem = f"{len(got)} bytes of {len(want)}, different from byte {at}"
    if problem is None:
        ns.remove(done.id)
    return problem


def read_state(path):
    return int(path.read_text()) if path.exists() else 0


def main():
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("-n", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--state", type=pathlib.Path)
    args = parser.parse_args()
    state = args.state or ROOT / f".run/logs_exact-{args.seed}"
    state.parent.mkdir(exist_ok=True)
    first = read_state(state)

    box = host.Host(args.build.resolve(), prefix="nd-soak")
    problem = None
    begin = time.monotonic()
    try:
        box.start()
        with tempfile.TemporaryDirectory() as scratch:
            api = stubs.Api(stubs.generate(ROOT, scratch), box.daemon.target)
            ns = api.namespace("soak")
            ns.load(archives.Archives(scratch).busybox)
            for number in range(first, args.n):
                problem = one_run(ns, args.seed, number)
                if problem:
                    print(f"run {number} of seed {args.seed}: {problem}")
                    break
                state.write_text(str(number + 1))
                if (number + 1) % 50 == 0:
                    print(f"{number + 1} of {args.n}, {time.monotonic() - begin:.0f} s", flush=True)
            if problem is None:
                ns.clear()
            api.close()
    finally:
        left = box.close()
    if problem or left:
        sys.exit("; ".join(left) or "logs are not exact")
    state.unlink(missing_ok=True)
    print(f"{args.n} runs of seed {args.seed}: every byte is there")


if __name__ == "__main__":
    main()
