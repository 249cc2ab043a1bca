"""Manual pages and bash completion: well-formed, whole, and what `make install` installs."""

import json
import re
import shlex
import subprocess

import pytest

import conftest

MAN = conftest.BUILD / "man"
PAGES = ["nerdctl-remote.1", "nerdctl-grpcd.8"]


@pytest.fixture(scope="module")
def tables():
    dump = subprocess.run([conftest.BUILD / "nerdctl-remote", "__dump-commands"], check=True,
                          capture_output=True).stdout
    return json.loads(dump)


def text_of(page):
    done = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=200", MAN / page], check=True,
                          capture_output=True, text=True)
    return re.sub(".\b", "", done.stdout)


@pytest.mark.parametrize("page", PAGES)
def test_page_is_well_formed(page):
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", MAN / page], check=False,
                          capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0)


def test_page_has_every_command_and_flag(tables):
    text = text_of("nerdctl-remote.1")
    for command in tables["commands"]:
        if command["hidden"]:
            continue
        assert f"   {command['path']}\n" in text
        assert command["usage"] in text
        for flag in command["flags"]:
            assert flag["hidden"] or f"--{flag['name']}" in text
    for flag in tables["flags"]:
        assert flag["hidden"] or f"--{flag['name']}" in text


def test_page_has_every_option_of_the_daemon():
    text = text_of("nerdctl-grpcd.8")
    usage = subprocess.run([conftest.BUILD / "nerdctl-grpcd", "--help"], check=True,
                           capture_output=True, text=True).stdout
    options = re.findall(r"^  (--[a-z-]+)", usage, re.M)
    assert len(options) > 15
    for option in options:
        assert re.search(rf"^ +{option}\b", text, re.M), option


def complete(line, program="nerdctl-remote"):
    """What bash offers at the end of this line."""
    words = shlex.split(line) + ([""] if line.endswith(" ") else [])
    words[0] = str(program)
    script = (f"source {MAN}/nerdctl-remote.bash; COMP_WORDS=({shlex.join(words)}); "
              f"COMP_CWORD={len(words) - 1}; _nerdctl_remote; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    done = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout.split()


class TestCompletion:
    @pytest.mark.parametrize("line, some, none", [
        ("nerdctl-remote ", ["run", "ps", "container", "ns", "version"], ["__dump-commands", "ls"]),
        ("nerdctl-remote r", ["run", "rm", "rmi"], ["ps"]),
        ("nerdctl-remote container ", ["ls", "run", "rm"], ["images"]),
        ("nerdctl-remote ns ", ["ls", "list"], []),
        ("nerdctl-remote run --na", ["--name"], ["--rm", "--name="]),
        ("nerdctl-remote run --name x --net", ["--network", "--net"], ["--name"]),
        ("nerdctl-remote -n other ps --fo", ["--format"], []),
        ("nerdctl-remote ps --", ["--all", "--host", "--help"], ["--name"]),
        ("nerdctl-remote image inspect --pl", ["--platform"], []),
        ("nerdctl-remote run --sig", ["--sig-proxy"], []),
    ])
    def test_words(self, line, some, none):
        offered = complete(line)
        assert set(some) <= set(offered) and not set(none) & set(offered)
        assert len(offered) == len(set(offered))

    def test_names_of_the_daemon(self, ready):
        ready.create("true", name="first-one")
        program = ready.box.daemon.remote
        chosen = f"nerdctl-remote --host {ready.box.daemon.target} --namespace {ready.name}"
        assert complete(f"{chosen} rm fi", program) == ["first-one"]
        assert complete(f"{chosen} container inspect ", program) == ["first-one"]
        assert complete(f"{chosen} rmi busy", program) == ["busybox:latest"]
        assert complete(f"{chosen} run --rm busy", program) == ["busybox:latest"]

    def test_no_daemon_no_names(self):
        assert complete("nerdctl-remote --host unix:///no/such.sock rm ",
                        conftest.BUILD / "nerdctl-remote") == []


def test_install_installs_them(tmp_path):
    subprocess.run(["cmake", "--install", conftest.BUILD, "--prefix", tmp_path / "usr"], check=True,
                   capture_output=True)
    for path in ("bin/nerdctl-remote", "sbin/nerdctl-grpcd", "sbin/nerdctl-grpc-helper",
                 "share/man/man1/nerdctl-remote.1", "share/man/man8/nerdctl-grpcd.8",
                 "share/bash-completion/completions/nerdctl-remote"):
        assert (tmp_path / "usr" / path).is_file(), path
