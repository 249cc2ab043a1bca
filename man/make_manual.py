"""Manual pages and shell completion from the programs' own tables, so that they cannot disagree.

    make_manual.py --out FILE --date YYYY-MM-DD --version X TEMPLATE PROGRAM

`nerdctl-remote __dump-commands` gives every command and flag as JSON, `nerdctl-grpcd --help` every option. The
template holds the rest of the text; @NAME@ in it is replaced.
"""

import argparse
import json
import pathlib
import re
import subprocess


def escaped(text):
    """Text for roff: nothing in it is an instruction."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def run(program, *args):
    return subprocess.run([program, *args], check=True, capture_output=True, text=True).stdout


# --- nerdctl-remote ---

def flag_lines(flags):
    lines = []
    for flag in sorted(flags, key=lambda f: f["name"]):
        if flag["hidden"]:
            continue
        names = [fr"\-{flag['short']}"] if flag["short"] else []
        names.append(escaped("--" + flag["name"]))
        bold = r"\fR, \fB".join(names)
        value = "" if flag["type"] == "bool" else fr" \fI{escaped(flag['type'])}\fR"
        text = escaped(flag["help"])
        if flag["default"] not in ("", "0", "0s", "false"):
            text += f" (default {escaped(flag['default'])})"
        if not flag["supported"]:
            text += " (not supported yet)"
        lines += [".TP", fr"\fB{bold}\fR{value}", text + "."]
    return lines


def command_lines(commands):
    lines = []
    for command in sorted(commands, key=lambda c: c["path"]):
        if command["hidden"]:
            continue
        lines += [f".SS {escaped(command['path'])}", escaped(command["help"]) + ".", ".PP",
                  fr"\fBnerdctl\-remote\fR {escaped(command['usage'])}"]
        if command["aliases"]:
            lines += [".PP", "Also: " + escaped(command["aliases"].replace(",", ", ")) + "."]
        lines += flag_lines(command["flags"])
    return lines


def remote_manual(program):
    tables = json.loads(run(program, "__dump-commands"))
    return {"FLAGS": "\n".join(flag_lines(tables["flags"])),
            "COMMANDS": "\n".join(command_lines(tables["commands"]))}


def flag_words(flags):
    words = []
    for flag in flags:
        if flag["hidden"] or not flag["supported"]:
            continue
        end = "" if flag["type"] == "bool" else "="
        words += [f"-{flag['short']}{end}"] if flag["short"] else []
        words.append(f"--{flag['name']}{end}")
    return " ".join(words)


def argument_kind(usage):
    for kind in ("container", "image", "context"):
        if re.search(rf"\b(SOURCE_)?{kind.upper()}\b", usage):
            return kind
    return "container" if "NAME|ID" in usage else ""


def remote_completion(program):
    tables = json.loads(run(program, "__dump-commands"))
    flags = {"global": flag_words(tables["flags"]) + " --help"}
    args = {group["name"]: [] for group in tables["groups"]}
    for group in tables["groups"]:
        for alias in filter(None, group["aliases"].split(",")):
            args[alias] = args[group["name"]]
    top = set(args)
    for command in tables["commands"]:
        if command["hidden"]:
            continue
        for path in filter(None, [command["path"], *command["aliases"].split(",")]):
            group, _, word = path.rpartition(" ")
            if group:
                args[group].append(word)
            else:
                top.add(path)
            flags[path] = flag_words(command["flags"])
            args[path] = argument_kind(command["usage"])
    rows = {name: " ".join(sorted(set(value))) if isinstance(value, list) else value
            for name, value in args.items()}

    def table(values):
        return "\n".join(f'    ["{name}"]="{value}"' for name, value in sorted(values.items()) if value)
    return {"FLAGS": table(flags), "ARGS": table(rows), "COMMANDS": " ".join(sorted(top)),
            "GROUPS": " ".join(sorted(g for g, value in args.items() if isinstance(value, list)))}


# --- nerdctl-grpcd ---

def daemon_manual(program):
    """The options of its help: "  --name VALUE   text", "   more text", "   environment: X"."""
    intro, _, rest = run(program, "--help").partition("\n  --")
    options, _, signals = ("  --" + rest).partition("\n\n")
    lines = []
    for line in options.splitlines():
        first = re.match(r"  (--\S+)(?: (\S+))?(?:\s{2,}(.*))?$", line)
        text = line.strip()
        if first:
            name, value, text = first.groups()
            lines += [".TP", fr"\fB{escaped(name)}\fR" + (fr" \fI{escaped(value)}\fR" if value else "")]
        if text:
            variable = re.match(r"environment: (\S+)$", text)
            lines += [".br", fr"Environment: \fB{variable[1]}\fR"] if variable else [escaped(text)]
    assert intro and len(lines) > 10 and signals
    return {"OPTIONS": "\n".join(lines), "SIGNALS": escaped(signals.strip())}


KINDS = {"nerdctl-remote.1.in": remote_manual, "nerdctl-remote.bash.in": remote_completion,
         "nerdctl-grpcd.8.in": daemon_manual}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", type=pathlib.Path, required=True)
    p.add_argument("--date", required=True)
    p.add_argument("--version", required=True)
    p.add_argument("template", type=pathlib.Path)
    p.add_argument("program")
    args = p.parse_args()
    values = KINDS[args.template.name](args.program) | {"DATE": args.date, "VERSION": args.version}
    text = re.sub(r"@([A-Z]+)@", lambda m: values[m.group(1)], args.template.read_text(encoding="utf-8"))
    args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
