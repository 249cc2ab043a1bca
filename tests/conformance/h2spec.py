"""h2spec, the conformance test of HTTP/2, over cleartext, TLS and the profile of Unix sockets."""

import xml.etree.ElementTree

import peers
import tools

TIMEOUT_SECONDS = "2"
TESTS = 145

# What may fail, and must: a stream identifier below one that was used. The library takes it for a
# stream that is closed already and ignores it, which RFC 9113 allows.
KNOWN = {("http2/5.1.1", "Sends stream identifier that is numerically smaller than previous")}

LISTENERS = {
    "h2c": ("tcp://127.0.0.1:0", ()),
    "tls": ("tls+tcp://127.0.0.1:0", ("--tls", "--insecure")),
    "lenient": ("lenient+tcp://127.0.0.1:0", ()),
}


def verdicts(path):
    """{(section, title): error, "" when it passed} of a report."""
    found = {}
    for suite in xml.etree.ElementTree.parse(path).iter("testsuite"):
        for case in suite.iter("testcase"):
            key = case.get("package"), case.get("classname")
            bad = [case.find(tag) for tag in ("failure", "error", "skipped")]
            text = "\n".join(" ".join([b.tag, b.text or ""]) for b in bad if b is not None)
            found[key] = found.get(key) or text
    return found


def judge(report, transport, found):
    for key, error in found.items():
        if bool(error) != (key in KNOWN):
            report.case(" ".join(key), transport, "h2spec -> ours",
                        error or "passes now: take it off the list of known failures")
    n = len(found)
    report.case(f"{n} cases, {len(KNOWN)} known failure", transport, "h2spec -> ours",
                "" if n >= TESTS else f"only {n} cases of {TESTS}")


def run(report, build, pki):
    with peers.folder() as where:
        command = [build / "tests/interop/h2_server", "--cert", pki / "server.pem", "--key",
                   pki / "server.key", *(address for address, _ in LISTENERS.values())]
        server = peers.Server("h2_server", command, where, LISTENERS)
        with peers.running(server, graceful=True):
            for name, (_, options) in LISTENERS.items():
                file = where / f"{name}.xml"
                # Its exit code says only that something failed.
                tools.run(tools.BIN / "h2spec", "-h", "127.0.0.1", "-p", server.ports[name], "-o",
                          TIMEOUT_SECONDS, "-j", file, *options, good=(0, 1))
                judge(report, name, verdicts(file))
