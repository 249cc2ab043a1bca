"""Log files: followed through rotations and restarts, read from the end of a huge one, lines of any length."""

import hashlib
import json
import os
import threading

import grpc
import pytest

import frozen
import host
import leaks
import streams

SECONDS = 60


def log_of(ns, container):
    return next(ns.box.folder.glob(f"data/*/containers/{ns.name}/{container}/{container}-json.log"))


def rotations(ns, container):
    """How often its log was rotated: the numbers of rotated files only grow."""
    path = log_of(ns, container)
    return max((int(p.suffix[1:]) for p in path.parent.glob(f"{path.name}.*")), default=0)


def options_of(ns, **options):
    named = {key.replace("_", "-"): str(value) for key, value in options.items()}
    return ns.m.container.LogConfig(options=named)


class Follower:
    """A `logs -f` that is read by a thread."""

    def __init__(self, ns, container, **options):
        self.ns = ns
        self.out = {1: bytearray(), 2: bytearray()}
        self.error = None
        self.call = ns.call(ns.api.container.Logs, ns.logs_request(container, follow=True, **options),
                            timeout=300)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        try:
            for reply in self.call:
                self.out[reply.stream] += reply.data
        except grpc.RpcError as error:
            self.error = error

    @property
    def stdout(self):
        return bytes(self.out[1])

    def until(self, text):
        host.wait_until(lambda: text in self.out[1] or not self.thread.is_alive(), SECONDS, text)
        assert text in self.out[1], f"it ended: {self.error} {self.stdout[-200:]!r}"

    def end(self):
        self.thread.join(SECONDS)
        assert not self.thread.is_alive(), "it does not end"
        assert self.error is None, self.error
        return self.stdout


# Lines of one run, in bursts of about one file of 20 kB each.
BURST, BURSTS, FILE = 250, 10, 20_000
RUN = (f"n=$(cat /n 2>/dev/null || echo 0); n=$((n+1)); echo $n > /n; awk -v n=$n 'BEGIN {{ "
       f"for (i = 1; i <= {BURST * BURSTS}; i++) {{ printf \"run %02d line %06d of a log\\n\", n, i; "
       f"if (i % {BURST} == 0) {{ fflush(); system(\"usleep 40000\") }} }} }}'; ")


# The same once somebody follows: else the first files may have gone before.
FOLLOWED = "echo ready; while [ ! -e /go ]; do sleep 0.05; done; " + RUN


def let_go(ns, container):
    assert streams.execute(ns, container, "touch", "/go").end().code == 0


def followed_text(n):
    return b"ready\n" + run_text(n)


def run_text(n):
    return b"".join(b"run %02d line %06d of a log\n" % (n, i) for i in range(1, BURST * BURSTS + 1))


def test_followed_through_100_rotations_and_10_restarts(ready):
    """Neither a gap nor a line twice; the container's end is not the follower's, its removal is."""
    made = ready.run("sh", "-c", FOLLOWED, detach=True, name="again",
                     log=options_of(ready, max_size=FILE, max_file=50))
    follower = Follower(ready, "again", restarts=True)
    follower.until(b"ready\n")
    let_go(ready, "again")
    for _ in range(10):
        ready.wait("again")
        ready.start("again")
    ready.wait("again")
    follower.until(b"run 11 line %06d of a log\n" % (BURST * BURSTS))
    assert rotations(ready, made.id) >= 100
    assert follower.thread.is_alive()
    ready.remove("again")
    assert follower.end() == b"".join(followed_text(n) for n in range(1, 12))


def test_a_follower_ends_with_the_container(ready):
    ready.run("sh", "-c", FOLLOWED, detach=True, name="once",
              log=options_of(ready, max_size=FILE, max_file=50))
    follower = Follower(ready, "once")
    follower.until(b"ready\n")
    let_go(ready, "once")
    assert follower.end() == followed_text(1)
    assert ready.state("once") == ready.m.container.CONTAINER_STATE_EXITED


def test_a_follower_goes_on_where_the_restart_policy_does(ready):
    """The policy is by labels, as nerdctl has it; whoever starts the container again."""
    made = ready.run("sh", "-c", "echo up; while [ ! -e /tmp/go ]; do sleep 0.05; done; rm /tmp/go; echo down",
                     detach=True, name="comes")

    def label(status):
        ready.box.containerd.ctr("containers", "label", made.id, f"containerd.io/restart.status={status}",
                                 "containerd.io/restart.policy=always", namespace=ready.name)
    label("running")
    follower = Follower(ready, "comes")
    streams.execute(ready, "comes", "touch", "/tmp/go").end()
    ready.wait("comes")
    ready.start("comes")
    follower.until(b"up\ndown\nup\n")
    label("stopped")
    streams.execute(ready, "comes", "touch", "/tmp/go").end()
    assert follower.end() == ready.logs("comes")[0]


def test_restarts_need_a_follower(ready):
    ready.create("true", name="idle")
    failure = ready.failure(ready.api.container.Logs, ready.logs_request("idle", restarts=True))
    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT and "restarts" in failure.fields


def test_a_follower_that_is_slow_for_a_moment_misses_nothing(ready):
    """Files that were rotated away meanwhile are still open."""
    made = ready.run("sh", "-c", FOLLOWED, detach=True, name="quick",
                     log=options_of(ready, max_size=FILE, max_file=6))
    call = ready.call(ready.api.container.Logs, ready.logs_request("quick", follow=True))
    got = bytearray(next(call).data)
    let_go(ready, "quick")
    ready.wait("quick")
    assert rotations(ready, made.id) >= 8
    for reply in call:
        got += reply.data
    assert bytes(got) == followed_text(1)


def test_rotated_files_are_read_back_as_one_stream_and_stay_within_their_limits(ready):
    made = ready.run("sh", "-c", RUN, name="kept", log=options_of(ready, max_size=FILE, max_file=5))
    out = ready.logs("kept")[0]
    assert run_text(1).endswith(out) and out.startswith(b"run ")
    path = log_of(ready, made.id)
    files = [path, *path.parent.glob(f"{path.name}.*")]
    assert len(files) == 5 and all(file.stat().st_size <= FILE for file in files)
    assert len(out) > len(run_text(1)) * 5 // 20
    all_kept = ready.run("sh", "-c", RUN, name="all", log=options_of(ready, max_size=FILE, max_file=1000))
    assert all_kept.code == 0 and ready.logs("all")[0] == run_text(1)


@pytest.mark.parametrize("tail", [0, 1, 100, 3 * BURST + 7])
def test_the_last_lines_of_rotated_files(ready, tail):
    ready.run("sh", "-c", RUN, name="kept", log=options_of(ready, max_size=FILE, max_file=50))
    assert ready.logs("kept", tail=tail)[0] == b"".join(run_text(1).splitlines(True)[-tail:] if tail else [])


def record(text):
    return json.dumps({"log": text, "stream": "stdout", "time": "2024-01-02T03:04:05.123456789Z"},
                      separators=(",", ":")).encode() + b"\n"


# Of the huge log, this much holds records: the rest is a hole, which takes no time to make.
DENSE_GIB = int(os.environ.get("ND_LOG_GIB", "0"))


def make_huge(path):
    """10 GiB in front of 5,000 lines."""
    block = b"".join(record(f"filler {i:06d}\n") for i in range(11_000))[:-1]
    block += b" " * ((1 << 20) - len(block) - 1) + b"\n"
    with open(path, "r+b") as log:
        log.seek(0, 2)
        for _ in range(DENSE_GIB << 10):
            log.write(block)
        log.truncate(10 << 30)
        log.seek(0, 2)
        log.write(b"\n" + b"".join(record(f"line {i}\n") for i in range(1, 5001)))


def test_the_end_of_a_huge_log_is_there_at_once(ready):
    """100 lines of 10 GiB, followed: what is read is the end, and memory does not grow with the file."""
    made = ready.run("sh", "-c", "echo first; while [ ! -e /tmp/go ]; do sleep 0.05; done; echo last",
                     detach=True, name="huge", log=options_of(ready, max_size="100g"))
    host.wait_until(lambda: ready.logs("huge")[0] == b"first\n", SECONDS, "in the log")
    make_huge(log_of(ready, made.id))
    pid = ready.box.daemon.process.pid
    ready.logs("huge", tail=1)
    read, rss = frozen.bytes_read(pid), leaks.rss_kib(pid)
    follower = Follower(ready, "huge", tail=100)
    follower.until(b"line 5000\n")
    assert follower.stdout == b"".join(b"line %d\n" % i for i in range(4901, 5001))
    assert frozen.bytes_read(pid) - read < 1 << 20
    assert leaks.rss_kib(pid) - rss < 1024
    streams.execute(ready, "huge", "touch", "/tmp/go").end()
    assert follower.end().endswith(b"line 5000\nlast\n")


# Around the sizes of a piece, of a read, of the encoder's buffer; at last one without its newline.
LENGTHS = [1, 2, 100, 4095, 16383, 16384, 16385, 65535, 65536, 65537, 100_000, 294_912, 1 << 20]
LAST = 64 << 20


def test_lines_of_any_length_in_bounded_memory(ready):
    """From one byte to 64 MiB, the last one without an end, byte for byte; the helper stays small."""
    made = ready.run("sh", "-c", "".join(
        f"head -c {n} /dev/zero | tr '\\0' x; echo; " for n in LENGTHS)
        + f"head -c {LAST} /dev/zero | tr '\\0' y; while [ ! -e /tmp/go ]; do sleep 0.1; done",
        detach=True, name="long", log=options_of(ready, max_size="1g"))
    helper = frozen.helper_of(ready.box, made.id)
    pid = ready.box.daemon.process.pid
    want = hashlib.sha256(b"".join(b"x" * n + b"\n" for n in LENGTHS) + b"y" * LAST)
    size = sum(LENGTHS) + len(LENGTHS) + LAST
    written = log_of(ready, made.id)
    host.wait_until(lambda: written.stat().st_size > size, SECONDS, "written")
    before, peak, digest, total = leaks.rss_kib(pid), 0, hashlib.sha256(), 0
    for reply in ready.call(ready.api.container.Logs, ready.logs_request("long", follow=True)):
        digest.update(reply.data)
        total += len(reply.data)
        peak = max(peak, leaks.rss_kib(pid))
        if total == size:
            break
    assert digest.digest() == want.digest()
    print(f"helper's peak: {frozen.peak_kib(helper)} KiB; daemon's growth: {peak - before} KiB")
    assert frozen.peak_kib(helper) < 4 * 1024
    assert peak - before < 8 * 1024
    streams.execute(ready, "long", "touch", "/tmp/go").end()
    ready.wait("long")
