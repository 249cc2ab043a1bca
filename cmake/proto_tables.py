#!/usr/bin/env python3
"""Write method tables in C for the services of some .proto files.

For each service a constant `struct nd_service_desc <symbol>` and, for each method, a macro
`<SYMBOL>_<METHOD>` that points at its nd_method_desc. The header brings the messages along. With --embed the serialised
FileDescriptorSet, imports included, becomes the array `<name>_descriptors` for reflection.

Symbols are the C package and the service in snake case: Pb + ContainerService gives
pb_container_service, CtTasks + Tasks gives ct_tasks.
"""

import argparse
import pathlib
import re

from google.protobuf import descriptor_pb2

C_PACKAGE = re.compile(r'c_package\s*=\s*"(\w+)"')
KINDS = {
    (False, False): "ND_UNARY",
    (True, False): "ND_CLIENT_STREAM",
    (False, True): "ND_SERVER_STREAM",
    (True, True): "ND_BIDI",
}
NO_SIDE_EFFECTS = descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS
IDEMPOTENT = descriptor_pb2.MethodOptions.IDEMPOTENT


def snake(name: str) -> str:
    """CamelCase to snake_case the way protoc-c does it: one underscore before a capital that follows
    a lower-case letter or digit."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


class Files:
    """The files of the set, and the C name of each message in them."""

    def __init__(self, files, wanted, root, default_package):
        self.by_name = {f.name: f for f in files}
        self.messages = {}
        self.packages = {}
        for f in files:
            package = f.package.split(".")
            c_package = "__".join(snake(p) for p in package)
            if f.name in wanted:
                found = C_PACKAGE.search((root / f.name).read_text())
                chosen = found.group(1) if found else default_package
                if chosen:
                    c_package = snake(chosen)
                    self.packages[f.name] = chosen
            for m in f.message_type:
                self.messages[f".{f.package}.{m.name}"] = (f.name, f"{c_package}__{snake(m.name)}")

    def descriptor(self, type_name):
        return "&" + self.messages[type_name][1] + "__descriptor"

    def header(self, type_name):
        return self.messages[type_name][0].removesuffix(".proto") + ".pb-c.h"


def service_symbol(c_package, service):
    package = snake(c_package) if c_package else ""
    name = snake(service)
    if package.endswith("_" + name) or package == name:
        return package
    return f"{package}_{name}" if package else name


def table(files, file, service):
    symbol = service_symbol(files.packages.get(file.name), service.name)
    full = f"{file.package}.{service.name}"
    rows, macros = [], []
    for i, m in enumerate(service.method):
        level = m.options.idempotency_level
        rows.append(
            f'    {{"/{full}/{m.name}", "{m.name}", {KINDS[m.client_streaming, m.server_streaming]}, '
            f"{str(level == NO_SIDE_EFFECTS).lower()}, "
            f"{str(level in (NO_SIDE_EFFECTS, IDEMPOTENT)).lower()},\n"
            f"     {files.descriptor(m.input_type)}, {files.descriptor(m.output_type)}}},\n"
        )
        macros.append(f"#define {symbol.upper()}_{snake(m.name).upper()} (&{symbol}_methods[{i}])\n")
    n = len(service.method)
    header = f"extern const struct nd_method_desc {symbol}_methods[{n}];\n"
    header += f"extern const struct nd_service_desc {symbol};\n" + "".join(macros) + "\n"
    source = f"const struct nd_method_desc {symbol}_methods[{n}] = {{\n{''.join(rows)}}};\n"
    source += f'const struct nd_service_desc {symbol} = {{"{full}", {n}, {symbol}_methods}};\n\n'
    return header, source


def embedded(name, data):
    lines = []
    for i in range(0, len(data), 24):
        lines.append("    " + ",".join(str(b) for b in data[i : i + 24]) + ",\n")
    return (
        f"extern const unsigned char {name}_descriptors[{len(data)}];\n"
        f"#define {name.upper()}_DESCRIPTORS_SIZE {len(data)}\n",
        f"const unsigned char {name}_descriptors[{len(data)}] = {{\n{''.join(lines)}}};\n",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", type=pathlib.Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--package")
    parser.add_argument("--embed", action="store_true")
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()

    data = args.set.read_bytes()
    files = Files(
        descriptor_pb2.FileDescriptorSet.FromString(data).file, args.files, args.root, args.package
    )
    headers, sources, includes = [], [], set()
    for name in args.files:
        file = files.by_name[name]
        for service in file.service:
            header, source = table(files, file, service)
            headers.append(header)
            sources.append(source)
            for m in service.method:
                includes |= {files.header(m.input_type), files.header(m.output_type)}
    if args.embed:
        header, source = embedded(args.name, data)
        headers.append(header)
        sources.append(source)

    guard = f"{args.name.upper()}_METHODS_H"
    (args.out / f"{args.name}_methods.h").write_text(
        f"/* Generated by proto_tables.py. */\n#ifndef {guard}\n#define {guard}\n\n"
        '#include "grpc/method.h"\n\n'
        + "".join(f'#include "{i}"\n' for i in sorted(includes))
        + "\n"
        + "".join(headers)
        + "#endif\n"
    )
    (args.out / f"{args.name}_methods.c").write_text(
        "/* Generated by proto_tables.py. */\n"
        f'#include "{args.name}_methods.h"\n\n' + "".join(sources)
    )


if __name__ == "__main__":
    main()
