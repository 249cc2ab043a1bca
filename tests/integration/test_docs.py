"""Documents that disagree with the tree are bugs: what can be compared is compared."""

import json
import re
import subprocess

import pytest

import conftest

DOCS = conftest.ROOT / "docs"


def read(name):
    return (conftest.ROOT / name).read_text(encoding="utf-8")


def folders(path):
    return sorted(p.name for p in (conftest.ROOT / path).iterdir() if p.is_dir())


class TestArchitecture:
    picture = re.search(r"```\n(.*?)```", read("docs/architecture.md"), re.S).group(1)
    rooms = re.search(r"## The rooms.*?\n(.*?)\n## ", read("docs/architecture.md"), re.S).group(1)

    @pytest.mark.parametrize("room", folders("src"))
    def test_every_room_is_in_picture_and_list(self, room):
        program = {"remote": "nerdctl-remote", "helper": "nerdctl-grpc-helper"}
        assert program.get(room, f"{room}/") in self.picture
        assert re.search(rf"\*\*{room}\b", self.rooms)

    @pytest.mark.parametrize("room", folders("src/engine") + folders("src/clients"))
    def test_every_subject_is_in_the_picture(self, room):
        assert re.search(rf"\b{room}\b", self.picture)

    def test_the_picture_shows_nothing_else(self):
        shown = re.findall(r"^ │ ([a-z]+)/ ", self.picture, re.M)
        assert sorted(shown) == [room for room in folders("src") if room not in ("remote", "helper")]

    def test_the_picture_has_the_order_of_the_build(self):
        # A call meets the interceptors first; neither of them and the services knows of the other.
        shown = [room for room in re.findall(r"^ │ ([a-z]+)/ ", self.picture, re.M)[::-1]
                 if room != "interceptors"]
        built = re.findall(r"^add_subdirectory\(src/([a-z]+)", read("CMakeLists.txt"), re.M)
        assert shown == [room for room in built if room in shown]


class TestDependencies:
    text = read("docs/dependencies.md")

    def packages(self):
        lines = read("scripts/packages.txt").splitlines()
        return {line.split()[0] for line in lines if line and line[0] not in "#["}

    def test_every_package_has_a_reason(self):
        named = set(re.findall(r"[a-z0-9][a-z0-9+.-]+", self.text))
        assert self.packages() <= named

    def test_every_library_of_the_build_has_a_row(self):
        modules = re.findall(r"([a-z0-9-]+)=[A-Z0-9_]+", read("CMakeLists.txt"))
        assert len(modules) > 8
        for module in modules:
            if module != "cmocka":
                assert module.removeprefix("lib").removesuffix("3") in self.text.lower()

    def test_the_helper_links_nothing(self):
        done = subprocess.run(["ldd", conftest.BUILD / "nerdctl-grpc-helper"], check=False,
                              capture_output=True, text=True)
        assert "statically linked" in done.stdout or "not a dynamic executable" in done.stderr


class TestCompatibility:
    """The table of commands against the command line itself."""

    def rows(self):
        section = re.search(r"## In this version\n(.*?)\n## ", read("docs/compatibility.md"), re.S).group(1)
        for line in re.findall(r"^\| (`.*?) \| (.*?) \|$", section, re.M):
            for name in re.findall(r"`([a-z ]+?)(?: \.\.\.)?`", line[0]):
                yield name, line[1]

    def test_what_is_there_is_there_and_the_rest_is_not(self):
        dump = subprocess.run([conftest.BUILD / "nerdctl-remote", "__dump-commands"], check=True,
                              capture_output=True).stdout
        known = set()
        for command in json.loads(dump)["commands"]:
            known |= {command["path"], *command["aliases"].split(",")}
        listed = dict(self.rows())
        assert len(listed) > 20
        for name, state in listed.items():
            assert (name in known) == state.startswith("there"), f"{name}: {state}"


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")) + [conftest.ROOT / "CONTRIBUTING.md"],
                         ids=lambda p: p.name)
class TestEveryPage:
    def test_links_lead_somewhere(self, path):
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            assert (path.parent / link).exists(), link

    def test_targets_of_make_exist(self, path):
        makefile = read("Makefile")
        for target in re.findall(r"(?:^ {4}|`)make ([a-z][a-z-]*)", path.read_text(encoding="utf-8"), re.M):
            assert re.search(rf"^{target}:", makefile, re.M), target

    def test_files_that_are_named_exist(self, path):
        for name in re.findall(r"`((?:src|tests|scripts|docs|proto|cmake|man|bench)/[A-Za-z0-9_./-]+)`",
                               path.read_text(encoding="utf-8")):
            # A program has the name of its source.
            assert any((conftest.ROOT / f"{name}{end}").exists() for end in ("", ".c")), name
