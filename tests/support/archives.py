"""Image archives for loading: good ones in every dress, and ones that a stranger might send.

An Image is layers (tar bytes) and a config; docker() and oci() pack it the way `docker save` and the OCI
layout do, with a place for each lie that a test wants to tell.
"""

import functools
import gzip
import io
import json
import pathlib
import subprocess
import tarfile

import make_image
from make_image import sha256, zstd

TYPES = "application/vnd.oci.image"


def tar(*members):
    """A tar of (name, content or TarInfo fields) pairs: bytes are a file, a dict is anything."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.mtime = 1700000000
            data = None
            if isinstance(content, bytes):
                data = io.BytesIO(content)
                info.size = len(content)
                info.mode = 0o644
            else:
                for key, value in content.items():
                    setattr(info, key, value)
                if info.type == tarfile.DIRTYPE and "mode" not in content:
                    info.mode = 0o755
            archive.addfile(info, data)
    return out.getvalue()


def folder(mode=0o755):
    return {"type": tarfile.DIRTYPE, "mode": mode}


def symlink(target):
    return {"type": tarfile.SYMTYPE, "linkname": target}


def hardlink(target):
    return {"type": tarfile.LNKTYPE, "linkname": target}


class Image:
    def __init__(self, *layers, config=None, os="linux", architecture="amd64"):
        self.layers = layers
        document = {"architecture": architecture, "os": os, "created": "2024-01-02T03:04:05Z",
                    "config": config or {}, "rootfs": {"type": "layers",
                                                       "diff_ids": [sha256(x) for x in layers]},
                    "history": [{"created": "2024-01-02T03:04:05Z", "created_by": "test"}
                                for _ in layers]}
        self.config = json.dumps(document).encode()


def docker(image, *tags, config=None, layers=None, extra=(), manifest=None):
    """As `docker save` writes it. `config` and `layers` replace bytes, not names."""
    config_name = sha256(image.config)[7:] + ".json"
    layer_names = [sha256(layer)[7:] + "/layer.tar" for layer in image.layers]
    document = [{"Config": config_name, "RepoTags": list(tags), "Layers": layer_names}]
    members = [(config_name, config or image.config)]
    members += list(zip(layer_names, layers or image.layers))
    members += extra
    members.append(("manifest.json", manifest or json.dumps(document).encode()))
    return tar(*members)


def blob_path(digest):
    return "blobs/" + digest.replace(":", "/")


class Oci:
    """An OCI layout under construction; every part can be replaced before pack()."""

    def __init__(self):
        self.blobs = {}
        self.manifests = []

    def blob(self, data, media_type, name=None):
        digest = name or sha256(data)
        self.blobs[digest] = data
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def add(self, image, tag, compress=None, platform=None):
        pack, suffix = {None: (lambda x: x, ""), "gzip": (gzip.compress, "+gzip"),
                        "zstd": (zstd, "+zstd")}[compress]
        layers = [self.blob(pack(layer), f"{TYPES}.layer.v1.tar{suffix}") for layer in image.layers]
        config = self.blob(image.config, f"{TYPES}.config.v1+json")
        manifest = {"schemaVersion": 2, "mediaType": f"{TYPES}.manifest.v1+json", "config": config,
                    "layers": layers}
        entry = self.blob(json.dumps(manifest).encode(), f"{TYPES}.manifest.v1+json")
        if platform:
            entry["platform"] = platform
        if tag:
            entry["annotations"] = {"org.opencontainers.image.ref.name": tag.rsplit(":", 1)[-1],
                                    "io.containerd.image.name": tag}
        self.manifests.append(entry)
        return entry

    def index(self, tag):
        """Put the manifests so far into one index of their own, which gets the tag."""
        inner = {"schemaVersion": 2, "mediaType": f"{TYPES}.index.v1+json",
                 "manifests": self.manifests}
        entry = self.blob(json.dumps(inner).encode(), f"{TYPES}.index.v1+json")
        entry["annotations"] = {"io.containerd.image.name": tag}
        self.manifests = [entry]

    def pack(self, extra=()):
        index = {"schemaVersion": 2, "manifests": self.manifests}
        members = [("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')]
        members += [(blob_path(digest), data) for digest, data in self.blobs.items()]
        members.append(("index.json", json.dumps(index).encode()))
        return tar(*members, *extra)


def oci(image, tag, compress=None):
    layout = Oci()
    layout.add(image, tag, compress)
    return layout.pack()


class Archives:
    """The busybox image of the tests, in every dress. Made when first asked for."""

    TAG = "docker.io/library/busybox:latest"

    def __init__(self, folder_of_run):
        self.folder = pathlib.Path(folder_of_run)

    @functools.cached_property
    def busybox(self):
        """By the image maker that users have."""
        out = self.folder / "busybox.tar"
        subprocess.run(["/usr/bin/python3", make_image.__file__, "--tag", "busybox:latest", "--cmd",
                        "sh", "--out", out], check=True)
        return out.read_bytes()

    @functools.cached_property
    def layer(self):
        """A root file system of busybox, with the users root and user (1000, also in group 50)."""
        return make_image.base_layer({})

    @functools.cached_property
    def image(self):
        return Image(self.layer, config={"Cmd": ["sh"], "Env": ["PATH=/bin", "FROM_IMAGE=yes"]})

    def docker(self, *tags):
        return docker(self.image, *(tags or ("busybox:latest",)))

    def oci(self, tag=TAG, compress=None):
        return oci(self.image, tag, compress)
