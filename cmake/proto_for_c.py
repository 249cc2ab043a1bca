"""Write copies of .proto files that protoc-c understands.

protoc-c 1.4 lacks two things. It refuses proto3 `optional`; a oneof with that single member is the
same on the wire and in C tells presence by its case, so `optional T name = n;` becomes
`oneof name_presence { T name = n; }`. And it derives C names from the package alone; the option
c_package gives them a short prefix, unless the file sets one itself.
"""

import pathlib
import re

OPTIONAL = re.compile(r"^(\s*)optional\s+([\w.]+)\s+(\w+)(\s*=\s*\d+[^;]*;)", re.M)
PACKAGE = re.compile(r"^package\s+[\w.]+;", re.M)


def mend(text: str, c_package: str | None) -> str:
    text = OPTIONAL.sub(r"\1oneof \3_presence { \2 \3\4 }", text)
    if c_package is None or "c_package" in text:
        return text
    header = (
        'import "protobuf-c/protobuf-c.proto";\n'
        f'option (pb_c_file).c_package = "{c_package}";\n'
    )
    return PACKAGE.sub(lambda m: m.group(0) + "\n" + header, text, count=1)


def copy(root: pathlib.Path, files: list[str], out: pathlib.Path, c_package: str | None) -> None:
    """Write the mended `files`, whose names are relative to `root`, to the same names below `out`."""
    for name in files:
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(mend((root / name).read_text(), c_package))
