"""ImageService: what is loaded is there, whole and verified; what is wrong leaves nothing."""

import concurrent.futures
import gzip
import io
import json
import tarfile
import threading

import grpc
import pytest

import archives
import host
from archives import Image, Oci, docker, folder, hardlink, sha256, symlink, tar

BUSYBOX = "docker.io/library/busybox:latest"


def test_image_by_the_image_maker_runs(ready):
    assert ready.run("echo", "hello").stdout == b"hello\n"


class TestGoodArchives:
    """Each is loaded and a container runs from it."""

    def check(self, ns, data, name=BUSYBOX, **options):
        loaded = ns.load(data, **options)
        assert [image.name for image in loaded] == [name]
        assert ns.run("echo", "ok", image=name).stdout == b"ok\n"
        return loaded[0]

    def test_docker(self, ns, images):
        self.check(ns, images.docker())

    def test_docker_gzip(self, ns, images):
        self.check(ns, gzip.compress(images.docker()))

    def test_docker_zstd(self, ns, images):
        self.check(ns, archives.zstd(images.docker()))

    @pytest.mark.parametrize("compress", [None, "gzip", "zstd"])
    def test_oci(self, ns, images, compress):
        self.check(ns, images.oci(compress=compress))

    def test_oci_gzip_as_a_whole(self, ns, images):
        self.check(ns, gzip.compress(images.oci(compress="gzip")))

    def test_several_names_of_one_image(self, ns, images):
        loaded = ns.load(images.docker("one:1", "two:2"))
        assert {i.name for i in loaded} == {"docker.io/library/one:1", "docker.io/library/two:2"}
        assert {i.name for i in ns.images()} == {i.name for i in loaded}

    def test_other_platforms_are_skipped(self, ns, images):
        layout = Oci()
        layout.add(Image(images.layer, architecture="s390x"), None,
                   platform={"os": "linux", "architecture": "s390x"})
        layout.add(images.image, None, platform={"os": "linux", "architecture": "amd64"})
        layout.index(BUSYBOX)
        self.check(ns, layout.pack())

        def available():
            return {p.platform.architecture for p in ns.images()[0].platforms if p.available}
        # What nothing holds on to goes with the next garbage collection.
        host.wait_until(lambda: available() == {"amd64"}, 10, "the other platform's content is gone")

    def test_without_unpacking(self, ns, images):
        ns.load(images.docker(), no_unpack=True)
        snapshots = ns.box.containerd.ctr("snapshots", "ls", namespace=ns.name).stdout
        assert len(snapshots.splitlines()) == 1
        assert ns.run("echo", "late").stdout == b"late\n"

    def test_loading_twice_is_fine(self, ns, images):
        first = self.check(ns, images.docker())
        second = ns.load(images.docker())[0]
        assert first.digest == second.digest
        assert len(ns.images()) == 1

    def test_whiteouts_and_replacements(self, ns, images):
        upper = tar(("etc", folder()), ("etc/.wh.group", b""), ("etc/passwd", b"changed\n"),
                    ("tmp", folder(0o1777)), ("a", folder()), ("a/b", b"1"))
        top = tar(("a", folder()), ("a/.wh..wh..opq", b""), ("a/c", b"2"))
        ns.load(docker(Image(images.layer, upper, top), "layers:1"))
        out = ns.run("/bin/sh", "-c", "cat /etc/passwd; ls /a; echo; ls /etc", image="layers:1").stdout
        passwd, in_a, *in_etc = out.decode().replace("\n\n", "\n").splitlines()
        assert (passwd, in_a) == ("changed", "c")
        assert "passwd" in in_etc and "group" not in in_etc

    def test_owner_mode_and_links(self, ns, images):
        layer = tar(("d", folder(0o1770)), ("d/f", {"size": 0, "mode": 0o4755, "uid": 7, "gid": 8}),
                    ("d/h", hardlink("d/f") | {"mode": 0o4755, "uid": 7, "gid": 8}),
                    ("d/s", symlink("/etc/passwd")))
        ns.load(docker(Image(images.layer, layer), "modes:1"))
        out = ns.run("/bin/sh", "-c", "stat -c '%a %u %g %h' /d/f; stat -c %a /d; readlink /d/s",
                     image="modes:1").stdout.decode()
        assert out == "4755 7 8 2\n1770\n/etc/passwd\n"

    def test_long_and_unicode_names(self, ns, images):
        name = "/".join(["deep" * 20] * 10)
        layer = tar((name, b"found"), ("ünïcode", b"yes"))
        ns.load(docker(Image(images.layer, layer), "names:1"))
        done = ns.run("/bin/sh", "-c", f"cat /{name} /ünïcode", image="names:1")
        assert done.stdout == b"foundyes"


def with_layer(images, *members):
    """An archive whose second layer holds these members."""
    return docker(Image(images.layer, tar(*members)), "evil:1")


def flip(data):
    """The same length, one byte other."""
    return data[:600] + bytes([data[600] ^ 1]) + data[601:]


def oci_with(images, change):
    layout = Oci()
    layout.add(images.image, "evil:1")
    change(layout)
    return layout.pack()


def wrong_blob(images):
    def change(layout):
        for digest, data in layout.blobs.items():
            if len(data) > 100000:
                layout.blobs[digest] = flip(data)
    return oci_with(images, change)


def missing_blob(images):
    def change(layout):
        layer = next(d for d, data in layout.blobs.items() if len(data) > 100000)
        del layout.blobs[layer]
    return oci_with(images, change)


def wrong_size(images):
    layout = Oci()
    entry = layout.add(images.image, "evil:1")
    entry["size"] += 1
    return layout.pack()


def deep_json(images):
    return docker(images.image, "evil:1", manifest=b"[" * 100000 + b"]" * 100000)


def index_of_itself(_images):
    layout = Oci()
    layout.manifests.append({"mediaType": "application/vnd.oci.image.index.v1+json",
                             "digest": "sha256:" + "0" * 64, "size": 10})
    return layout.pack()


def bomb():
    """2 GiB of zeros in two megabytes."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=9) as packed:
        zeros = bytes(1 << 20)
        for _ in range(2048):
            packed.write(zeros)
    return out.getvalue()


def config_not_json(images):
    data = b"not json at all" * 50
    image = Image(images.layer)
    image.config = data
    return docker(image, "evil:1")


def wrong_diff_id(images):
    image = Image(images.layer)
    image.config = image.config.replace(sha256(images.layer)[7:].encode(), b"1" * 64)
    return docker(image, "evil:1")


def too_many_diff_ids(images):
    image = Image(images.layer)
    document = json.loads(image.config)
    document["rootfs"]["diff_ids"].append("sha256:" + "1" * 64)
    image.config = json.dumps(document).encode()
    return docker(image, "evil:1")


def manifest_naming_outside(images):
    return docker(images.image, "evil:1", manifest=json.dumps(
        [{"Config": "../../../etc/passwd", "RepoTags": ["evil:1"],
          "Layers": ["/etc/shadow"]}]).encode())


HOSTILE = {
    # What stands in the way of a layer: refused when it is unpacked.
    "path_with_dotdot": lambda i: with_layer(i, ("../escaped", b"x")),
    "path_with_inner_dotdot": lambda i: with_layer(i, ("a/../../../escaped", b"x")),
    "hardlink_out": lambda i: with_layer(i, ("link", hardlink("../../../../etc/passwd"))),
    "hardlink_to_nothing": lambda i: with_layer(i, ("link", hardlink("no/such/file"))),
    "whiteout_of_the_parent": lambda i: with_layer(i, ("a", folder()), ("a/.wh...", b"")),
    "whiteout_of_the_folder": lambda i: with_layer(i, ("a", folder()), ("a/.wh..", b"")),
    "whiteout_of_nothing": lambda i: with_layer(i, (".wh.", b"")),
    "very_deep_name": lambda i: with_layer(i, ("/".join(["d"] * 258), b"x")),
    "wrong_diff_id": wrong_diff_id,
    "too_many_diff_ids": too_many_diff_ids,
    "broken_layer": lambda i: docker(i.image, "evil:1", layers=[i.layer[:100000]]),
    # What is no image.
    "empty": lambda i: b"",
    "garbage": lambda i: b"\xde\xad\xbe\xef" * 10000,
    "text": lambda i: b"hello, world\n" * 1000,
    "gzip_garbage": lambda i: gzip.compress(b"\xde\xad" * 10000),
    "empty_tar": lambda i: tar(),
    "tar_without_manifest": lambda i: tar(("readme", b"hello")),
    "bomb": lambda i: bomb(),
    "truncated": lambda i: i.docker()[:700000],
    "truncated_gzip": lambda i: gzip.compress(i.docker())[:400000],
    "truncated_zstd": lambda i: archives.zstd(i.docker())[:400000],
    "corrupt_gzip": lambda i: flip(gzip.compress(i.docker())),
    # What lies about itself.
    "wrong_blob": wrong_blob,
    "missing_blob": missing_blob,
    "wrong_size": wrong_size,
    "missing_layer": lambda i: docker(i.image, "evil:1", manifest=json.dumps(
        [{"Config": sha256(i.image.config)[7:] + ".json", "RepoTags": ["evil:1"],
          "Layers": ["no/such/layer.tar"]}]).encode()),
    "manifest_naming_outside": manifest_naming_outside,
    "manifest_not_json": lambda i: docker(i.image, "evil:1", manifest=b"{broken"),
    "manifest_of_wrong_type": lambda i: docker(i.image, "evil:1", manifest=b'{"Config": 5}'),
    "manifest_with_wrong_members": lambda i: docker(
        i.image, "evil:1", manifest=b'[{"Config": 5, "RepoTags": {}, "Layers": "x"}]'),
    "deep_json": deep_json,
    "config_not_json": config_not_json,
    "config_of_other_digest": lambda i: oci_with(i, lambda layout: layout.blobs.update(
        {d: b"{}" for d, data in layout.blobs.items() if data == i.image.config})),
    "index_without_blob": index_of_itself,
    "bad_tag": lambda i: docker(i.image, "UPPER CASE:and spaces"),
    "tag_with_nul": lambda i: docker(i.image, "evil\0:1"),
    "no_such_platform": lambda i: docker(Image(i.layer, architecture="s390x"), "evil:1"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archive_is_refused_and_leaves_nothing(ns, images, name):
    failure = ns.api.failure(lambda: ns.load(HOSTILE[name](images)))
    assert failure.code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED,
                            grpc.StatusCode.NOT_FOUND, grpc.StatusCode.DATA_LOSS,
                            grpc.StatusCode.FAILED_PRECONDITION), failure
    assert len(failure.message) > 10, failure
    assert ns.images() == []
    # The fixture checks that no blob, snapshot, ingest or lease is left.


class TestLayersThatReachOut:
    """Names in a layer are taken inside the root, whatever links stand there."""

    def test_symlink_out_is_kept_as_a_link_and_not_followed(self, ns, images, tmp_path):
        victim = tmp_path / "victim"
        victim.mkdir()
        layer = tar(("escape", symlink(str(victim))), ("escape/file", b"pwned"))
        try:
            ns.load(docker(Image(images.layer, layer), "evil:1"))
        except grpc.RpcError:
            pass
        assert list(victim.iterdir()) == []

    def test_relative_symlink_out(self, ns, images, tmp_path):
        layer = tar(("escape", symlink("../" * 20 + str(tmp_path)[1:])), ("escape/file", b"pwned"))
        try:
            ns.load(docker(Image(images.layer, layer), "evil:1"))
        except grpc.RpcError:
            pass
        assert not (tmp_path / "file").exists()

    def test_absolute_path_is_taken_inside(self, ns, images, tmp_path):
        layer = tar((f"{tmp_path}/file", b"inside"))
        try:
            ns.load(docker(Image(images.layer, layer), "evil:1"))
        except grpc.RpcError:
            pass
        assert not (tmp_path / "file").exists()

    def test_symlink_of_a_lower_layer(self, ns, images, tmp_path):
        lower = tar(("escape", symlink(str(tmp_path))))
        upper = tar(("escape/file", b"pwned"))
        try:
            ns.load(docker(Image(images.layer, lower, upper), "evil:1"))
        except grpc.RpcError:
            pass
        assert not (tmp_path / "file").exists()


def test_labels_of_an_image_cannot_pose_as_ours(ns, images):
    evil = Image(images.layer, config={"Cmd": ["true"], "Labels": {
        "nerdctl/state-dir": "/etc", "containerd.io/gc.root": "x", "nerdctl-grpc/x": "y",
        "fine": "yes"}})
    ns.load(docker(evil, "evil:1"))
    labels = ns.inspect(ns.create(image="evil:1")).container.labels
    assert labels["fine"] == "yes"
    assert labels["nerdctl/state-dir"] != "/etc"
    assert "containerd.io/gc.root" not in labels and "nerdctl-grpc/x" not in labels


class TestLoadStream:
    def test_options_must_come_first(self, ns):
        request = ns.m.image.ImageServiceLoadRequest(chunk=b"x")
        failure = ns.failure(ns.api.image.Load, iter([request]))
        assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
        assert "options" in failure.fields

    def test_options_must_come_once(self, ns):
        request = ns.m.image.ImageServiceLoadRequest(options=ns.m.image.LoadOptions())
        failure = ns.failure(ns.api.image.Load, iter([request, request]))
        assert failure.code == grpc.StatusCode.INVALID_ARGUMENT

    def test_no_message_at_all(self, ns):
        failure = ns.failure(ns.api.image.Load, iter([]))
        assert failure.code == grpc.StatusCode.INVALID_ARGUMENT

    def test_bad_platform_names_the_field(self, ns, images):
        requests = ns.load_requests(images.docker(), platforms=["lin ux/!"])
        failure = ns.failure(ns.api.image.Load, requests)
        assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
        assert "options.platforms[0]" in failure.fields

    def test_progress_comes(self, ns, images):
        data = images.docker()
        replies = list(ns.call(ns.api.image.Load, ns.load_requests(data, total_bytes=len(data))))
        kinds = [reply.WhichOneof("response") for reply in replies]
        assert kinds[-1] == "image"
        assert "progress" in kinds


class TestImages:
    def test_fields(self, ready, images):
        found = ready.images()
        assert len(found) == 1
        image = found[0]
        assert image.name == BUSYBOX
        assert (image.familiar_name, image.repository, image.tag) == ("busybox:latest", "busybox",
                                                                      "latest")
        assert image.digest.startswith("sha256:")
        assert not image.in_use
        platform = next(p for p in image.platforms if p.available)
        assert platform.platform.os == "linux"
        assert platform.size > 500000 and platform.blob_size > 500000
        # The record is what ctr sees, and nothing of ours is written into it.
        listed = ready.box.containerd.ctr("images", "ls", namespace=ready.name).stdout
        assert BUSYBOX in listed and image.digest in listed
        assert not [key for key in image.labels if "nerdctl" in key]

    @pytest.mark.parametrize("name", ["busybox", "busybox:latest", BUSYBOX, "docker.io/busybox"])
    def test_every_spelling_finds_it(self, ready, name):
        assert ready.inspect_image(name).image.name == BUSYBOX

    def test_digest_prefix_finds_it(self, ready):
        digest = ready.images()[0].digest
        for spelling in (digest, digest[7:], digest[7:19]):
            assert ready.inspect_image(spelling).image.name == BUSYBOX

    def test_inspect_document(self, ready):
        document = json.loads(ready.inspect_image("busybox").document)
        assert document["RepoTags"] == ["busybox:latest"]
        assert document["Architecture"] == "amd64" and document["Os"] == "linux"
        assert len(document["RootFS"]["Layers"]) == 1
        assert document["Id"].startswith("sha256:")

    def test_inspect_native(self, ready):
        native = ready.m.common.INSPECT_MODE_NATIVE
        document = json.loads(ready.inspect_image("busybox", mode=native).document)
        assert document["Image"]["Name"] == BUSYBOX

    def test_tag_moves_a_name(self, ready, images):
        image = ready.tag("busybox", "registry.example:5000/team/box:v1")
        assert image.name == "registry.example:5000/team/box:v1"
        assert len(ready.images()) == 2
        ready.load(docker(Image(images.layer, tar(("x", b"y"))), "other:1"))
        moved = ready.tag("other:1", "registry.example:5000/team/box:v1")
        assert moved.digest != image.digest

    def test_remove_one_of_two_names(self, ready):
        ready.tag("busybox", "second:1")
        reply = ready.remove_image("second:1")
        assert len(reply.untagged) == 1 and list(reply.deleted) == []
        assert ready.run("true").code == 0

    def test_remove_the_last_name(self, ready):
        reply = ready.remove_image("busybox")
        assert len(reply.untagged) == 1 and len(reply.deleted) >= 1
        assert ready.images() == []

    def test_used_image_is_kept(self, ready):
        ready.run("sleep", "1000", detach=True)
        failure = ready.api.failure(lambda: ready.remove_image("busybox"))
        assert failure.code == grpc.StatusCode.FAILED_PRECONDITION
        assert "unable to delete" in failure.message
        assert ready.images()[0].in_use

    def test_missing_image(self, ns):
        for call in (lambda: ns.inspect_image("nosuch"), lambda: ns.remove_image("nosuch"),
                     lambda: ns.tag("nosuch", "x:1")):
            failure = ns.api.failure(call)
            assert failure.code == grpc.StatusCode.NOT_FOUND
            assert "no such image" in failure.message
            assert failure.reason == "IMAGE_NOT_FOUND"

    def test_filters(self, ready, images):
        ready.load(docker(Image(images.layer, config={"Labels": {"colour": "blue"}}), "blue:1"))
        blue = "docker.io/library/blue:1"

        def names(**options):
            return {image.name for image in ready.images(**options)}
        assert names(filters=["label=colour"]) == {blue}
        assert names(filters=["label=colour=blue"]) == {blue}
        assert names(filters=["label=colour=red"]) == set()
        assert names(filters=["reference=bl*"]) == {blue}
        assert names(reference="blue") == names(reference="blue:1") == {blue}
        assert names(reference="blue:2") == set()
        assert names(filters=["since=busybox"]) == {blue}
        assert names(filters=["before=blue:1"]) == {BUSYBOX}
        assert names(filters=["dangling=true"]) == set()
        assert names(filters=["reference=" + "*[" * 2043]) == set()  # as long as it may be

    def test_pages(self, ready):
        for i in range(5):
            ready.tag("busybox", f"n{i}:1")
        seen = []
        token = ""
        while True:
            request = ready.m.image.ImageServiceListRequest(page_size=2, page_token=token)
            reply = ready.call(ready.api.image.List, request)
            assert len(reply.images) <= 2
            seen += [image.name for image in reply.images]
            token = reply.next_page_token
            if not token:
                break
        assert len(seen) == len(set(seen)) == 6


def test_archive_with_members_in_any_order(ns, images):
    """manifest.json first or last, folders named or not."""
    source = tarfile.open(fileobj=io.BytesIO(images.docker()))
    members = [(m.name, source.extractfile(m).read()) for m in source.getmembers() if m.isfile()]
    for order in (members, members[::-1]):
        loaded = ns.load(tar(("somefolder/", folder()), *order))
        assert loaded[0].name == BUSYBOX


def test_loads_and_removals_of_one_image_at_once(ns, images):
    """Who loads gets the image, whatever the others take away meanwhile."""
    data = docker(Image(images.layer, tar(("once", b"x" * 100000))), "shared:1")
    loading = threading.Event()

    def load(_):
        for _ in range(4):
            ns.load(data)

    def remove():
        while not loading.is_set():
            try:
                ns.remove_image("shared:1", force=True)
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.NOT_FOUND, error
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        removers = [pool.submit(remove) for _ in range(2)]
        try:
            list(pool.map(load, range(3)))
        finally:
            loading.set()
        for remover in removers:
            remover.result()
