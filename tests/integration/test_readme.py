"""README's tour, line by line, as a stranger pastes it."""

import os
import pathlib
import re
import subprocess

import pytest

import conftest

README = (conftest.ROOT / "README.md").read_text(encoding="utf-8")


def tour():
    """(command, output that README shows) of the first block of the section."""
    section = re.search(r"^## First tour\n(.*?)^## ", README, re.M | re.S).group(1)
    block = re.search(r"((?:^    .*\n)+)", section, re.M).group(1)
    steps = []
    for line in (line[4:] for line in block.splitlines()):
        if line.startswith("$ "):
            steps.append((line[2:], []))
        else:
            steps[-1][1].append(line)
    return steps


def test_tour_holds(ready, images, tmp_path):
    folder = tmp_path / ".run"
    folder.mkdir()
    (folder / "env").write_text(f'export PATH="{ready.box.daemon.build}:$PATH"\n'
                                f"export NERDCTL_HOST={ready.box.daemon.target}\n"
                                f"export CONTAINERD_NAMESPACE={ready.name}\n")
    subprocess.run(["/usr/bin/python3", conftest.ROOT / "tests/support/make_image.py", "--tag",
                    "demo:latest", "--cmd", "sh", "--out", folder / "demo.tar"], check=True)
    steps = tour()
    assert len(steps) > 5
    shell = subprocess.Popen(["bash"], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True,
                             env={k: v for k, v in os.environ.items() if "NERDCTL" not in k})
    script = "".join(f"{command}\necho \"<$?>\"\n" for command, _ in steps)
    said = shell.communicate(script, timeout=60)[0]
    results = re.split(r"<(\d+)>\n", said)
    for (command, shown), output, code in zip(steps, results[::2], results[1::2]):
        assert code == "0", f"{command}: {code}\n{output}"
        if shown:
            assert output.splitlines() == shown, command


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)h][^)]*)\)", README))
def test_links_lead_somewhere(link):
    assert (conftest.ROOT / pathlib.PurePosixPath(link)).exists()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z][a-z-]*)", README))))
def test_targets_exist(target):
    makefile = (conftest.ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:.*## ", makefile, re.M), target
