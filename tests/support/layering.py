#!/usr/bin/python3
"""Prove that a room cannot include a room above it.

The rooms come from rooms.txt in the build folder, in the order in which they are declared, the compiler
options of each from compile_commands.json. Then, for each room:

  1. a scratch copy of one of its files compiles as it is;
  2. the copy with an include of any higher room's header in front does not.

Step 2 runs the preprocessor alone for all pairs, and the compiler for one pair of each room.
"""

import argparse
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile

class Room:
    def __init__(self, name, folder):
        self.name = name
        self.folder = folder
        self.headers = sorted(folder.glob(f"include/{name}/*.h"))
        self.command = None  # (directory, arguments without input and output, source file)


def read_rooms(build):
    """Every room, lowest first, as CMake has written them down."""
    lines = (build / "rooms.txt").read_text().splitlines()
    return [Room(name, pathlib.Path(folder)) for name, _, folder in
            (line.partition(" ") for line in lines)]


def strip_paths(arguments):
    """The options of a compile command: without -c, -o and its value, dependency files, the source."""
    kept = []
    skip = False
    for word in arguments:
        if skip:
            skip = False
        elif word in ("-o", "-MF", "-MT", "-MQ"):
            skip = True
        elif word not in ("-c", "-MD", "-MMD"):
            kept.append(word)
    return kept[:-1]


def find_commands(rooms, build):
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = pathlib.Path(entry["file"])
        if source.suffix != ".c":
            continue
        for room in rooms:
            if source.parent == room.folder and room.command is None:
                words = strip_paths(shlex.split(entry["command"]))
                room.command = (entry["directory"], words, source)


def compiles(room, text, scratch, syntax_only):
    """Whether a scratch file with this text passes; the second result is what the compiler said."""
    directory, words, source = room.command
    copy = scratch / source.name
    copy.write_text(text)
    # The original sees its own *_priv.h beside it; the copy finds them by -iquote.
    mode = ["-fsyntax-only"] if syntax_only else ["-E", "-o", "/dev/null"]
    done = subprocess.run([*words, "-iquote", str(source.parent), *mode, str(copy)], cwd=directory,
                          capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stderr


def check_room(room, higher, scratch):
    """What is wrong with one room, as sentences."""
    source = room.command[2]
    original = source.read_text()
    passed, why = compiles(room, original, scratch, syntax_only=True)
    if not passed:
        return [f"{room.name}: the unchanged copy of {source.name} does not compile:\n{why}"]
    wrong = []
    for i, other in enumerate(higher):
        header = f"{other.name}/{other.headers[0].name}"
        text = f'#include "{header}"\n{original}'
        passed, why = compiles(room, text, scratch, syntax_only=(i == 0))
        if passed:
            wrong.append(f'{room.name} can include "{header}", which stands above it')
        elif f"{header}: No such file" not in why and f"'{header}' file not found" not in why:
            wrong.append(f'{room.name}: "{header}" failed for another reason:\n{why}')
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    args = parser.parse_args()

    rooms = read_rooms(args.build)
    find_commands(rooms, args.build)
    wrong = [f"room {r.name} has no compile command in {args.build}" for r in rooms if not r.command]
    pairs = 0
    with tempfile.TemporaryDirectory(prefix="layering-") as scratch:
        for i, room in enumerate(rooms):
            higher = [r for r in rooms[i + 1:] if r.headers]
            if room.command:
                wrong += check_room(room, higher, pathlib.Path(scratch))
                pairs += len(higher)
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    print(f"{len(rooms)} rooms, {pairs} forbidden includes tried, {len(wrong)} wrong")
    if len(rooms) < 2:
        sys.exit("found no rooms")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
