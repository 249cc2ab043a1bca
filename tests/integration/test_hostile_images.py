"""What a stranger's image may try beside being broken: to grow, to multiply, to pose as another, to spoil
the list for everybody."""

import gzip
import json
import os
import subprocess
import tarfile

import grpc
import pytest

import archives
from archives import Image, Oci, TYPES, docker

REFUSED = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED,
           grpc.StatusCode.DATA_LOSS)


@pytest.fixture(scope="module")
def sparse(tmp_path_factory):
    """A tar of some kilobytes with a file of 200 GiB that is one hole."""
    folder = tmp_path_factory.mktemp("sparse")
    with open(folder / "hole", "wb") as f:
        f.truncate(200 << 30)

    def pack(form):
        return subprocess.run(["tar", "-c", "--sparse", f"--format={form}", "hole"], cwd=folder,
                              capture_output=True, check=True).stdout
    return pack


def refused(ns, data, **options):
    failure = ns.api.failure(lambda: ns.load(data, **options))
    assert failure.code in REFUSED, failure
    assert ns.images() == []
    return failure


@pytest.mark.parametrize("form", ["gnu", "pax"])
class TestHoles:
    """A hole costs nothing in an archive and is full of zeros everywhere else."""

    def test_in_the_archive(self, ns, sparse, form):
        assert "grows" in refused(ns, sparse(form)).message

    def test_in_a_layer(self, ns, images, sparse, form):
        data = docker(Image(images.layer, sparse(form)), "evil:1")
        assert "grows" in refused(ns, data).message


def pax(**records):
    out = b""
    for key, value in records.items():
        body = f" {key.replace('_', '.')}={value}\n"
        length = len(body) + 1
        while length != len(body) + len(str(length)):
            length = len(body) + len(str(length))
        out += f"{length}{body}".encode()
    return out


def with_map_of_holes(n):
    """A file whose map has n empty pieces: libarchive keeps a list of them."""
    content = f"{n}\n".encode() + b"0\n0\n" * n
    records = pax(GNU_sparse_major=1, GNU_sparse_minor=0, GNU_sparse_name="hole", GNU_sparse_realsize=1000)
    out = b""
    for kind, name, data in ((b"x", "PaxHeader", records), (b"0", "hole", content)):
        entry = tarfile.TarInfo(name)
        entry.type = kind
        entry.size = len(data)
        out += entry.tobuf(format=tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)
    return out + bytes(1024)


class TestMapOfHoles:
    """It is read with the header, before anything is known of the entry."""

    @pytest.mark.parametrize("pack", [bytes, gzip.compress, archives.zstd])
    def test_as_archive(self, ns, pack):
        assert "header of an entry is longer" in refused(ns, pack(with_map_of_holes(2_000_000))).message

    def test_in_a_layer(self, ns, images):
        data = docker(Image(images.layer, with_map_of_holes(2_000_000)), "evil:1")
        assert "header of an entry is longer" in refused(ns, data).message

    def test_honest_maps_are_fine(self, ns, images, tmp_path):
        with open(tmp_path / "holes", "wb") as f:
            for i in range(200):
                f.seek(i << 18)
                f.write(b"data")
        layer = subprocess.run(["tar", "-c", "--sparse", "--format=pax", "holes"], cwd=tmp_path,
                               capture_output=True, check=True).stdout
        assert len(layer) < 2 << 20
        ns.load(docker(Image(images.layer, layer), "good:1"))
        assert ns.run("sh", "-c", "wc -c </holes", image="good:1").stdout.strip() == b"52166660"


def test_compressed_twice(ns, images):
    """A thousand times a thousand: one compression is what image tools make."""
    assert "more than once" in refused(ns, gzip.compress(gzip.compress(images.docker()))).message
    assert "more than once" in refused(ns, archives.zstd(gzip.compress(images.docker()))).message


def multiplied(images, width, depth):
    """Indexes that each name the one below `width` times: width ** depth manifests, in a few kilobytes."""
    layout = Oci()
    entry = layout.add(images.image, None)
    for _ in range(depth):
        document = {"schemaVersion": 2, "mediaType": f"{TYPES}.index.v1+json",
                    "manifests": [entry] * width}
        entry = layout.blob(json.dumps(document).encode(), f"{TYPES}.index.v1+json")
    entry["annotations"] = {"io.containerd.image.name": "docker.io/library/evil:1"}
    layout.manifests = [entry]
    return layout.pack()


def test_indexes_that_multiply(ns, images):
    """A hundred million manifests that are one: it is read once."""
    ns.load(multiplied(images, 100, 4))
    assert len(ns.images()[0].platforms) == 1
    assert ns.run("true", image="evil:1").code == 0


def test_indexes_of_very_many(ns, images):
    layout = Oci()
    entry = layout.add(images.image, None)
    layout.manifests = [entry | {"platform": {"os": "linux", "architecture": f"arch{i}"}}
                        for i in range(2000)]
    layout.index("docker.io/library/evil:1")
    failure = refused(ns, layout.pack(), all_platforms=True)
    assert "more than 1024 manifests" in failure.message


@pytest.mark.parametrize("tag", ["docker.io/library/busybox@sha256:" + "ab" * 32,
                                 "busybox:1@sha256:" + "ab" * 32])
def test_name_with_the_digest_of_another(ns, images, tag):
    """Whoever asks for content by its digest must not get something else."""
    refused(ns, docker(images.image, tag))
    refused(ns, archives.oci(images.image, tag))


def import_by_ctr(ns, folder, data):
    path = folder / "image.tar"
    path.write_bytes(data)
    ns.box.containerd.ctr("images", "import", "--no-unpack", str(path), namespace=ns.name)


@pytest.mark.parametrize("config", [
    {"Env": [f"V{i}=x" for i in range(5000)]},
    {"Labels": {f"k{i}": "x" for i in range(5000)}},
])
def test_image_of_others_that_is_out_of_bounds_does_not_spoil_the_list(ready, images, tmp_path, config):
    import_by_ctr(ready, tmp_path, docker(Image(images.layer, config=config), "odd:1"))
    listed = {image.name: image for image in ready.images()}
    assert set(listed) == {"docker.io/library/busybox:latest", "docker.io/library/odd:1"}
    assert list(listed["docker.io/library/odd:1"].platforms) == []
    assert len(ready.images(filters=["label=nosuch"])) == 0
    failure = ready.api.failure(lambda: ready.run("true", image="odd:1"))
    assert "docker.io/library/odd:1" in failure.message


def test_names_do_nothing_to_the_terminal(ns, box, tmp_path):
    """The message about an entry shows its name; a terminal must not obey it."""
    path = tmp_path / "evil.tar"
    path.write_bytes(archives.tar(("../\033]0;pwned\a\033[2J", b"x")))
    ours, theirs = os.openpty()
    done = subprocess.run([box.daemon.remote, "-H", box.daemon.target, "--namespace", ns.name, "load",
                           "-i", path], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
                          timeout=30, check=False)
    os.close(theirs)
    said = os.read(ours, 65536)
    os.close(ours)
    assert done.returncode == 1
    assert rb"\x1b]0;pwned\x07\x1b[2J" in said
    assert b"\033]" not in said and b"\a" not in said


def test_sizes_that_overflow(ns, images):
    """A manifest of another platform, which nothing has checked, is only counted."""
    layout = Oci()
    layout.add(images.image, None, platform={"os": "linux", "architecture": "amd64"})
    huge = {"mediaType": f"{TYPES}.layer.v1.tar", "digest": "sha256:" + "1" * 64, "size": 2 ** 63 - 1}
    config = huge | {"mediaType": f"{TYPES}.config.v1+json"}
    manifest = {"schemaVersion": 2, "mediaType": f"{TYPES}.manifest.v1+json", "config": config,
                "layers": [huge] * 2}
    entry = layout.blob(json.dumps(manifest).encode(), f"{TYPES}.manifest.v1+json")
    entry["platform"] = {"os": "linux", "architecture": "s390x"}
    layout.manifests.append(entry)
    layout.index("docker.io/library/sizes:1")
    ns.load(layout.pack())
    for platform in ns.images()[0].platforms:
        assert platform.blob_size >= 0 and platform.size >= 0
