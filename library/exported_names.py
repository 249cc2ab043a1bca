"""Write a linker version script that exports what some headers declare.

Every name nd_... that stands before a parenthesis or is declared `extern` outside comments counts;
names that are only macros or inline functions are listed too and match nothing.
"""

import argparse
import pathlib
import re

COMMENT = re.compile(r"/\*.*?\*/", re.S)
FUNCTION = re.compile(r"\b(nd_\w+)\s*\(")
VARIABLE = re.compile(r"^extern\s[^;()]*?\b(nd_\w+)(?:\[\w*\])?\s*;", re.M)


def names(text: str) -> set[str]:
    code = COMMENT.sub(" ", text)
    return {*FUNCTION.findall(code), *VARIABLE.findall(code)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--node", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("headers", type=pathlib.Path, nargs="+")
    args = parser.parse_args()
    found = sorted(set().union(*(names(h.read_text()) for h in args.headers)))
    lines = "".join(f"        {name};\n" for name in found)
    args.out.write_text(f"{args.node} {{\n    global:\n{lines}    local:\n        *;\n}};\n")


if __name__ == "__main__":
    main()
