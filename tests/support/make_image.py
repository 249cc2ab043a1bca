#!/usr/bin/python3
"""Make a small image of Debian's busybox-static, as an archive that `load` reads.

    make_image.py --tag busybox:latest --out busybox.tar [--format docker|oci] [--compress gzip|zstd]
                  [--cmd WORD ...] [--entrypoint WORD ...] [--env K=V] [--user U] [--workdir DIR]
                  [--label K=V] [--expose PORT/PROTO] [--volume PATH] [--stop-signal SIG]
                  [--layers N] [--arch ARCH] [--file PATH=TEXT]

The first layer is a root file system with busybox and all its applets; each further layer holds one
file, /layer/<number>, and the last of them removes the one before (a whiteout), so that unpacking is
seen to do its work. The same arguments always give the same bytes. With --compress and the docker
format the whole archive is compressed, with the OCI format each layer is, as the field does it.

Nothing is needed but Python, busybox-static and, for zstd, the zstd program.
"""

import argparse
import gzip
import hashlib
import io
import json
import pathlib
import platform
import subprocess
import sys
import tarfile

BUSYBOX = "/bin/busybox"
CREATED = "2024-01-02T03:04:05Z"
MTIME = 1704164645  # the same instant
OCI = "application/vnd.oci.image"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
FOLDERS = ("bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "usr", "usr/bin", "usr/sbin",
           "sbin", "var")
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home:/bin/sh\n"
                  "nobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nstaff:x:50:user\nuser:x:1000:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Tar:
    """A tar that is the same for the same members."""

    def __init__(self):
        self.out = io.BytesIO()
        self.archive = tarfile.open(fileobj=self.out, mode="w", format=tarfile.GNU_FORMAT)

    def add(self, name, kind, mode=0o644, data=b"", link=""):
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.mtime, info.linkname = kind, mode, MTIME, link
        info.size = len(data)
        self.archive.addfile(info, io.BytesIO(data) if data else None)

    def folder(self, name, mode=0o755):
        self.add(name, tarfile.DIRTYPE, mode)

    def file(self, name, data, mode=0o644):
        self.add(name, tarfile.REGTYPE, mode, data)

    def link(self, name, target):
        self.add(name, tarfile.SYMTYPE, 0o777, link=target)

    def bytes(self):
        self.archive.close()
        return self.out.getvalue()


def base_layer(extra):
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True)
    layer = Tar()
    for name in FOLDERS:
        layer.folder(name, 0o1777 if name == "tmp" else 0o755)
    layer.file("bin/busybox", pathlib.Path(BUSYBOX).read_bytes(), 0o755)
    for applet in applets.stdout.split():
        if applet != "busybox":
            layer.link("bin/" + applet, "busybox")
    for name, text in {**FILES, **extra}.items():
        layer.file(name, text.encode())
    return layer.bytes()


def further_layer(number, last):
    layer = Tar()
    layer.folder("layer")
    layer.file(f"layer/{number}", f"layer {number}\n".encode())
    if number == last and number > 2:
        layer.file(f"layer/.wh.{number - 1}", b"")
    return layer.bytes()


def make_layers(count, extra):
    return [base_layer(extra)] + [further_layer(n, count) for n in range(2, count + 1)]


def pairs(words):
    return dict(word.split("=", 1) if "=" in word else (word, "") for word in words)


def make_config(args, layers):
    config = {"Env": args.env or ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
    if args.cmd is not None:
        config["Cmd"] = args.cmd
    for key, value in (("Entrypoint", args.entrypoint), ("User", args.user),
                       ("WorkingDir", args.workdir), ("StopSignal", args.stop_signal),
                       ("Labels", pairs(args.label)),
                       ("ExposedPorts", {port: {} for port in args.expose}),
                       ("Volumes", {path: {} for path in args.volume})):
        if value:
            config[key] = value
    return json.dumps({
        "architecture": args.arch, "os": "linux", "created": CREATED, "config": config,
        "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]},
        "history": [{"created": CREATED, "created_by": f"make_image.py # layer {n}"}
                    for n in range(1, len(layers) + 1)],
    }, sort_keys=True).encode()


def zstd(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


COMPRESS = {None: lambda data: data, "gzip": lambda data: gzip.compress(data, 6, mtime=0),
            "zstd": zstd}
SUFFIX = {None: "", "gzip": "+gzip", "zstd": "+zstd"}


def pack_docker(args, config, layers):
    """As `docker save` writes it: the description comes last."""
    names = [sha256(layer)[7:] + "/layer.tar" for layer in layers]
    config_name = sha256(config)[7:] + ".json"
    out = Tar()
    for name, layer in zip(names, layers):
        out.folder(name.split("/", 1)[0])
        out.file(name, layer)
    out.file(config_name, config)
    out.file("manifest.json", json.dumps(
        [{"Config": config_name, "RepoTags": args.tag or None, "Layers": names}]).encode())
    return COMPRESS[args.compress](out.bytes())


def full_name(tag):
    """docker.io/library/NAME:TAG, for the annotation."""
    first = tag.split("/", 1)[0]
    if "/" not in tag:
        tag = "docker.io/library/" + tag
    elif not ("." in first or ":" in first or first == "localhost"):
        tag = "docker.io/" + tag
    return tag if ":" in tag.rsplit("/", 1)[1] else tag + ":latest"


def pack_oci(args, config, layers):
    """An OCI image layout."""
    blobs = {}

    def blob(data, kind):
        blobs[sha256(data)] = data
        return {"mediaType": OCI + kind, "digest": sha256(data), "size": len(data)}

    manifest = {
        "schemaVersion": 2, "mediaType": OCI + ".manifest.v1+json",
        "config": blob(config, ".config.v1+json"),
        "layers": [blob(COMPRESS[args.compress](layer), ".layer.v1.tar" + SUFFIX[args.compress])
                   for layer in layers],
    }
    entry = blob(json.dumps(manifest).encode(), ".manifest.v1+json")
    entry["platform"] = {"architecture": args.arch, "os": "linux"}
    entries = []
    for tag in map(full_name, args.tag):
        entries.append({**entry, "annotations": {
            "io.containerd.image.name": tag,
            "org.opencontainers.image.ref.name": tag.rsplit(":", 1)[1]}})
    out = Tar()
    out.folder("blobs")
    out.folder("blobs/sha256")
    for digest, data in blobs.items():
        out.file("blobs/" + digest.replace(":", "/"), data)
    out.file("index.json", json.dumps({"schemaVersion": 2, "manifests": entries or [entry]}).encode())
    out.file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    return out.bytes()


def parse(argv):
    p = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    p.add_argument("--format", choices=("docker", "oci"), default="docker")
    p.add_argument("--tag", "--name", action="append", default=[], help="again for several names")
    p.add_argument("--out", required=True)
    p.add_argument("--compress", choices=("gzip", "zstd"))
    p.add_argument("--cmd", nargs="*", default=["sh"])
    p.add_argument("--entrypoint", nargs="*")
    p.add_argument("--env", action="append", default=[])
    p.add_argument("--user", default="")
    p.add_argument("--workdir", default="")
    p.add_argument("--label", action="append", default=[])
    p.add_argument("--expose", action="append", default=[])
    p.add_argument("--volume", action="append", default=[])
    p.add_argument("--stop-signal", default="")
    p.add_argument("--layers", type=int, default=1)
    p.add_argument("--arch", default=ARCHITECTURES.get(platform.machine(), platform.machine()))
    p.add_argument("--file", action="append", default=[], help="PATH=TEXT in the first layer")
    args = p.parse_args(argv)
    if args.layers < 1:
        p.error("--layers: at least 1")
    return args


def main(argv):
    args = parse(argv)
    layers = make_layers(args.layers, {k.lstrip("/"): v for k, v in pairs(args.file).items()})
    config = make_config(args, layers)
    pack = pack_oci if args.format == "oci" else pack_docker
    pathlib.Path(args.out).write_bytes(pack(args, config, layers))


if __name__ == "__main__":
    main(sys.argv[1:])
