"""nerdctl-remote as people use it: exit codes, tables, messages, signals."""

import json
import os
import re
import select
import signal
import subprocess

import pytest

import host

FOREVER = ("sleep", "100000")
AGE = r"(Less than a second|1 second|\d+ seconds|About a minute|\d+ minutes)"


@pytest.fixture
def cli(ready):
    """Run nerdctl-remote in the test's namespace."""
    def run(*args, **options):
        return ready.box.daemon.cli(*args, namespace=ready.name, **options)
    return run


def good(done):
    assert done.returncode == 0, f"{done.args}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def rows(text):
    """A table as lists of cells; columns are set apart by at least two spaces."""
    return [re.split(r"\s{2,}", line.rstrip()) for line in text.splitlines()]


def error_text(done):
    """The message of the fatal line on standard error."""
    found = re.search(r'level=fatal msg=(".*"|\S+)$', done.stderr, re.M)
    assert found, done.stderr
    return json.loads(found.group(1)) if found.group(1).startswith('"') else found.group(1)


class TestRun:
    def test_output(self, cli):
        done = cli("run", "--rm", "--network", "none", "busybox", "sh", "-c", "echo out; echo err >&2")
        assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 0)

    @pytest.mark.parametrize("code", [0, 1, 3, 125, 126, 127, 137, 255])
    def test_exit_code_is_the_container_s(self, cli, code):
        done = cli("run", "--rm", "--network", "none", "busybox", "sh", "-c", f"exit {code}")
        assert done.returncode == code

    def test_killed(self, cli, ready):
        child = subprocess.Popen([ready.box.daemon.remote, "-H", ready.box.daemon.target,
                                  "--namespace", ready.name, "run", "--name", "victim", "--network",
                                  "none", "busybox", *FOREVER], stdin=subprocess.DEVNULL)
        host.wait_until(lambda: [c for c in ready.list() if c.name == "victim"], 20, "victim")
        good(cli("kill", "victim"))
        assert child.wait(20) == 137

    @pytest.mark.parametrize("args, code", [
        (["nosuchimage:1"], 125),
        (["--no-such-flag", "busybox"], 125),
        (["--memory", "lots", "busybox"], 125),
        (["busybox", "/no/such/program"], 127),
        (["busybox", "/etc/passwd"], 126),
    ])
    def test_failures_before_the_program_runs(self, cli, args, code):
        done = cli("run", "--rm", "--network", "none", *args)
        assert done.returncode == code, done.stderr
        assert done.stderr

    def test_name_in_use(self, cli):
        good(cli("create", "--name", "taken", "--network", "none", "busybox"))
        done = cli("run", "--name", "taken", "--network", "none", "busybox", "true")
        assert done.returncode == 125
        assert 'name "taken" is already used by ID' in error_text(done)

    def test_detached_prints_the_id(self, cli):
        out = good(cli("run", "-d", "--network", "none", "busybox", *FOREVER))
        assert re.fullmatch("[0-9a-f]{64}\n", out)

    def test_ctrl_c_stops_the_container(self, cli, ready):
        child = subprocess.Popen(
            [ready.box.daemon.remote, "-H", ready.box.daemon.target, "--namespace", ready.name, "run",
             "--rm", "--network", "none", "busybox", "sh", "-c",
             "trap 'echo bye; exit 4' INT; echo up; while :; do sleep 0.05; done"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "up\n"
        child.send_signal(signal.SIGINT)
        assert child.stdout.read() == "bye\n"
        assert child.wait(20) == 4

    def test_reader_that_goes_away(self, cli, ready):
        done = subprocess.run(
            f"{ready.box.daemon.remote} -H {ready.box.daemon.target} --namespace {ready.name} run --rm "
            "--network none busybox seq 1 1000000 | head -1", shell=True, capture_output=True,
            text=True, timeout=60, check=False)
        assert done.stdout == "1\n"

    def test_flags_reach_the_container(self, cli, tmp_path):
        (tmp_path / "f").write_text("host file\n")
        tmp_path.chmod(0o755)  # for user 7
        out = good(cli("run", "--rm", "--network", "none", "-e", "A=1", "-w", "/tmp", "-u", "7:8",
                       "--hostname", "hh", "-v", f"{tmp_path}:/m:ro", "--tmpfs", "/t:size=1m",
                       "--label", "a=b", "--read-only", "--memory", "64m", "--ulimit",
                       "nofile=100:200", "--cap-add", "NET_ADMIN", "busybox", "sh", "-c",
                       "echo $A; pwd; id -u; id -g; hostname; cat /m/f; ulimit -n"))
        assert out.splitlines() == ["1", "/tmp", "7", "8", "hh", "host file", "100"]

    def test_env_file_and_caller_s_variable(self, cli, tmp_path):
        (tmp_path / "env").write_text("# comment\nFROM_FILE=yes\n")
        out = good(cli("run", "--rm", "--network", "none", "--env-file", str(tmp_path / "env"), "-e",
                       "TAKEN", "busybox", "sh", "-c", "echo $FROM_FILE $TAKEN",
                       env=dict(os.environ, TAKEN="too")))
        assert out == "yes too\n"

    def test_name_is_free_when_run_rm_returns(self, cli):
        for i in range(5):
            out = good(cli("run", "--rm", "--name", "again", "--network", "none", "busybox", "echo",
                           str(i)))
            assert out == f"{i}\n"

    def test_nothing_is_listed_when_run_rm_returns(self, cli):
        for _ in range(5):
            good(cli("run", "--rm", "--network", "none", "busybox", "true"))
            assert good(cli("ps", "-aq")) == ""

    def test_cidfile(self, cli, tmp_path):
        out = good(cli("run", "-d", "--cidfile", str(tmp_path / "id"), "--network", "none", "busybox",
                       "true"))
        assert (tmp_path / "id").read_text() == out.strip()


class TestContainers:
    def test_ps_table(self, cli):
        running = good(cli("run", "-d", "--name", "web", "--network", "none", "busybox", *FOREVER)).strip()
        good(cli("run", "--name", "done", "--network", "none", "busybox", "true"))
        table = rows(good(cli("ps", "-a")))
        assert table[0] == ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]
        text = good(cli("ps", "-a"))
        assert re.search(rf'^{running[:12]}  +docker.io/library/busybox:latest  +"sleep 100000"  +{AGE} ago'
                         r"  +Up  +web$", text, re.M), text
        assert re.search(rf'"true"  +{AGE} ago  +Exited \(0\) {AGE} ago  +done$', text, re.M), text
        # Without -a only what runs.
        assert len(good(cli("ps")).splitlines()) == 2

    def test_ps_columns_stand_under_their_heads(self, cli):
        good(cli("create", "--name", "a-rather-long-name", "--network", "none", "busybox"))
        head, line = good(cli("ps", "-a")).splitlines()
        for column, text in (("IMAGE", "docker.io"), ("STATUS", "Created"), ("NAMES", "a-rather")):
            assert line[head.index(column):].startswith(text)

    def test_ps_forms(self, cli):
        container = good(cli("create", "--name", "web", "--label", "k=v", "--network", "none",
                             "busybox")).strip()
        assert good(cli("ps", "-aq")) == container[:12] + "\n"
        assert good(cli("ps", "-aq", "--no-trunc")) == container + "\n"
        assert good(cli("ps", "-a", "--format", "{{.Names}}|{{.Status}}|{{.Label \"k\"}}")) == \
            "web|Created|v\n"
        line = json.loads(good(cli("ps", "-a", "--format", "json")))
        assert (line["ID"], line["Names"]) == (container[:12], "web")
        assert good(cli("ps", "-a", "--filter", "name=nothing", "-q")) == ""
        assert rows(good(cli("ps", "-a", "--format", "wide")))[0][-3:] == ["RUNTIME", "PLATFORM", "SIZE"]

    def test_start_stop_rm_print_what_they_were_given(self, cli):
        good(cli("create", "--name", "web", "--network", "none", "busybox", *FOREVER))
        assert good(cli("start", "web")) == "web\n"
        assert good(cli("stop", "-t", "0", "web")) == "web\n"
        assert good(cli("rm", "web")) == "web\n"

    def test_start_attached(self, cli):
        good(cli("create", "--name", "web", "--network", "none", "busybox", "sh", "-c",
                 "echo hello; exit 9"))
        done = cli("start", "-a", "web")
        assert (done.stdout, done.returncode) == ("hello\n", 9)

    def test_rm_of_a_running_one(self, cli):
        good(cli("run", "-d", "--name", "web", "--network", "none", "busybox", *FOREVER))
        done = cli("rm", "web")
        assert done.returncode == 1
        assert "is in running status. unpause/stop container first or force removal" in error_text(done)
        good(cli("rm", "-f", "web"))

    def test_wait_prints_codes(self, cli):
        for name, code in (("one", 3), ("two", 0)):
            good(cli("run", "-d", "--name", name, "--network", "none", "busybox", "sh", "-c",
                     f"exit {code}"))
        assert good(cli("wait", "one", "two")) == "3\n0\n"

    def test_logs(self, cli):
        good(cli("run", "--name", "web", "--network", "none", "busybox", "sh", "-c",
                 "seq 5; echo err >&2"))
        done = cli("logs", "web")
        assert (good(done), done.stderr) == ("1\n2\n3\n4\n5\n", "err\n")
        assert good(cli("logs", "-n", "2", "web")).endswith("5\n")
        assert re.match(r"\d{4}-\d\d-\d\dT\S+Z 1\n", good(cli("logs", "-t", "web")))

    def test_logs_follow_ends_on_ctrl_c(self, cli, ready):
        good(cli("run", "-d", "--name", "web", "--network", "none", "busybox", "sh", "-c",
                 "echo up; sleep 1000"))
        child = subprocess.Popen([ready.box.daemon.remote, "-H", ready.box.daemon.target,
                                  "--namespace", ready.name, "logs", "-f", "web"],
                                 stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "up\n"
        child.send_signal(signal.SIGINT)
        child.wait(10)
        assert len(ready.list()) == 1

    def test_inspect(self, cli):
        container = good(cli("create", "--name", "web", "--network", "none", "busybox")).strip()
        document = json.loads(good(cli("inspect", "web")))
        assert document[0]["Id"] == container
        assert good(cli("inspect", "--format", "{{.Name}} {{.State.Status}}", "web")).startswith("web ")
        assert json.loads(good(cli("inspect", "--mode", "native", "web")))[0]["ID"] == container

    def test_kill_with_signal(self, cli):
        good(cli("run", "-d", "--name", "web", "--network", "none", "busybox", "sh", "-c",
                 "trap 'exit 44' USR1; echo up; while :; do sleep 0.05; done"))
        host.wait_until(lambda: "up" in cli("logs", "web").stdout, 10, "up")
        good(cli("kill", "-s", "USR1", "web"))
        assert good(cli("wait", "web")) == "44\n"

    @pytest.mark.parametrize("command", ["stop", "kill", "rm", "start", "logs", "inspect", "wait"])
    def test_missing_container(self, cli, command):
        done = cli(command, "nosuch")
        assert done.returncode == 1
        assert "nosuch" in error_text(done) and "no such" in error_text(done).lower()


class TestRename:
    def test_says_nothing(self, cli, ready):
        container = ready.create("true", name="before")
        assert good(cli("rename", "before", "after")) == ""
        assert [(c.id, c.name) for c in ready.list(all=True)] == [(container, "after")]
        assert good(cli("container", "rename", container[:12], "again")) == ""
        assert ready.list(all=True)[0].name == "again"

    @pytest.mark.parametrize("args", [[], ["one"], ["one", "two", "three"]])
    def test_number_of_arguments(self, cli, args):
        done = cli("rename", *args)
        assert done.returncode == 1
        assert "requires exactly 2 argument(s)." in error_text(done)

    def test_name_in_use(self, cli, ready):
        ready.create("true", name="before")
        other = ready.create("true", name="taken")
        done = cli("rename", "before", "taken")
        assert done.returncode == 1
        assert f'name "taken" is already used by ID "{other}"' in error_text(done)

    def test_wrong_name(self, cli, ready):
        ready.create("true", name="before")
        assert "new_name" in error_text(cli("rename", "before", "a/b"))
        assert "no such container: nosuch" in error_text(cli("rename", "nosuch", "after"))


class TestImages:
    def test_table(self, cli):
        table = rows(good(cli("images")))
        assert table[0] == ["IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA"]
        assert table[1][0] == "busybox:latest"
        assert re.fullmatch(r"[0-9a-f]{12}", table[1][1])
        assert re.fullmatch(r"[\d.]+(e\+\d+)?[kMG]B", table[1][2])

    def test_forms(self, cli, ready):
        digest = ready.images()[0].digest
        assert good(cli("images", "-q")) == digest[7:19] + "\n"
        assert good(cli("images", "-q", "--no-trunc")) == digest + "\n"
        assert good(cli("images", "--format", "{{.Repository}}:{{.Tag}}")) == "busybox:latest\n"
        head = rows(good(cli("images", "--no-trunc")))[0]
        assert head == ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "PLATFORM", "SIZE", "BLOB SIZE"]

    def test_load_from_file_and_stdin(self, cli, images, tmp_path):
        archive = tmp_path / "i.tar"
        archive.write_bytes(images.docker("fromfile:1"))
        assert "fromfile:1" in good(cli("load", "-i", str(archive)))
        archive.write_bytes(images.docker("fromstdin:1"))
        with open(archive, "rb") as stdin:
            assert "fromstdin:1" in good(cli("load", stdin=stdin))

    def test_load_of_garbage(self, cli, tmp_path):
        (tmp_path / "i.tar").write_bytes(b"nothing" * 1000)
        done = cli("load", "-i", str(tmp_path / "i.tar"))
        assert done.returncode == 1 and error_text(done)
        assert cli("load", "-i", "/no/such/file").returncode == 1

    def test_tag_and_rmi(self, cli):
        good(cli("tag", "busybox", "second:v1"))
        assert good(cli("images", "--format", "{{.Name}}")).split()
        out = good(cli("rmi", "second:v1"))
        assert "Untagged: docker.io/library/second:v1" in out
        assert cli("rmi", "nosuch").returncode == 1

    def test_inspect(self, cli):
        document = json.loads(good(cli("image", "inspect", "busybox")))
        assert document[0]["RepoTags"] == ["busybox:latest"]


class TestSystem:
    def test_version(self, cli):
        out = good(cli("version"))
        assert re.search(r"^Client:", out) and re.search(r"^Server:", out, re.M)
        assert "containerd:" in out and "runc:" in out

    def test_info(self, cli, ready):
        out = good(cli("info"))
        assert f" Namespace:\t{ready.name}" in out
        for word in ("Server Version:", "Storage Driver: " + ready.box.snapshotter,
                     "Logging Driver: json-file", "Kernel Version:", "CPUs:", "Total Memory:"):
            assert word in out, word

    def test_namespace_ls(self, cli, ready):
        table = rows(good(cli("namespace", "ls")))
        assert table[0] == ["NAME", "CONTAINERS", "IMAGES", "VOLUMES", "LABELS"]
        assert [ready.name, "0", "1", "0"] in table

    def test_events(self, cli, ready):
        child = subprocess.Popen([ready.box.daemon.remote, "-H", ready.box.daemon.target,
                                  "--namespace", ready.name, "events"], stdout=subprocess.PIPE, text=True)
        # Nothing tells when it listens: make events until it has seen one.
        for _ in range(20):
            good(cli("run", "--rm", "--network", "none", "busybox", "true"))
            if select.select([child.stdout], [], [], 0.5)[0]:
                break
        child.kill()
        line = child.stdout.readline()
        child.wait()
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? \+0000 UTC " + ready.name + r" /\S+ \{",
                        line), line


class TestErrors:
    @pytest.mark.parametrize("args, text", [
        (["nosuchcommand"], "unknown subcommand"),
        (["ps", "--nosuch"], "unknown flag: --nosuch"),
        (["ps", "-Z"], "unknown shorthand flag: 'Z'"),
        (["ps", "--filter"], "flag needs an argument: --filter"),
        (["stop", "-t", "soon", "x"], "invalid argument"),
        (["stop"], "requires at least 1 arg"),
        (["ps", "extra"], "extra"),
        (["version", "--format", "{{.Nosuch}}"], "Nosuch"),
        (["ps", "--format", "{{"], "template"),
        (["ps", "-q", "--format", "{{.ID}}"], "format and quiet"),
        (["--namespace", "bad name", "ps"], "namespace"),
    ])
    def test_wrong_usage(self, cli, args, text):
        done = cli(*args)
        assert done.returncode != 0
        assert text in done.stderr, done.stderr
        assert done.stdout == "" or "Usage" in done.stdout

    def test_nobody_listens(self, ready):
        done = subprocess.run([ready.box.daemon.remote, "-H", "unix:///no/such.sock", "ps"],
                              capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 1
        assert "/no/such.sock" in done.stderr

    def test_help(self, cli):
        for args in (["--help"], ["run", "--help"], ["image", "--help"]):
            out = good(cli(*args))
            assert "Usage:" in out and ("Flags:" in out or "Commands" in out)

    def test_host_from_the_environment(self, ready):
        env = dict(os.environ, NERDCTL_HOST=ready.box.daemon.target)
        done = subprocess.run([ready.box.daemon.remote, "--namespace", ready.name, "ps"], env=env,
                              capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0, done.stderr


def test_suggestion_is_printed(cli):
    done = cli("run", "--network", "none", "nosuchimage:1")
    assert done.stderr.count("\n") >= 1
    assert "load" in done.stderr or "pull" in done.stderr
