"""Load generators that count errors: ghz for each shape of call, h2load for HTTP/2 as such.

Speed is not looked at here; that is for the benchmarks.
"""

import json
import re

import peers
import tools

CALLS = 5000
SERVICE = "grpc.testing.TestService"
STREAM = {"response_parameters": [{"size": size} for size in (1, 1000, 20000, 100, 0)]}
INPUT = {"payload": {"body": "A" * 4000}}

# Name, method, data, further options.
RUNS = (
    ("unary", "UnaryCall", {"response_size": 1000, "payload": {"body": "A" * 1000}},
     ("-n", CALLS)),
    ("unary, many connections", "EmptyCall", {}, ("-n", CALLS, "--connections", "50")),
    ("unary, compressed", "UnaryCall",
     {"response_size": 50000, "payload": {"body": "A" * 50000}, "response_compressed":
      {"value": True}}, ("-n", CALLS // 5, "--enable-compression")),
    ("server stream", "StreamingOutputCall", STREAM, ("-n", CALLS // 5)),
    ("client stream", "StreamingInputCall", [INPUT] * 5, ("-n", CALLS // 5)),
    ("bidi", "FullDuplexCall", [STREAM] * 4, ("-n", CALLS // 5)),
)
# Streams that nobody waits for: bursts of resets, and connections that end under open streams, each with
# the status that follows. ghz itself reports a few calls that gave up early as OK, whatever the server is.
OK_SHARE = 0.01
ENDLESS = {"response_parameters": [{"size": 1000, "interval_us": 50000}] * 100}
CUT = (
    ("streams with a short deadline", ("-n", 2000, "-c", 100, "--timeout", "30ms"),
     "DeadlineExceeded"),
    ("connections closed under streams",
     ("-z", "1s", "-c", 100, "--connections", 10, "--duration-stop", "close"), "Canceled"),
)


def ghz_target(server, transport, pki):
    if transport == "unix":
        return ["--insecure", f"unix://{server.socket}"]
    target = f"127.0.0.1:{server.ports[transport]}"
    if transport == "h2c":
        return ["--insecure", target]
    return ["--cacert", pki / "ca.pem", "--cname", "localhost", target]


def ghz(target, method, data, *options):
    """How many calls ended with which status."""
    text = tools.run(tools.BIN / "ghz", "--format", "json", "--call", f"{SERVICE}/{method}", "-d",
                     json.dumps(data), *options, *target)
    return json.loads(text[text.index("{"):])["statusCodeDistribution"]


def ghz_shapes(report, server, transport, pki):
    target = ghz_target(server, transport, pki)
    for name, method, data, options in RUNS:
        found = ghz(target, method, data, "-c", 50, *options)
        report.case(f"ghz: {name}", transport, "ghz -> ours",
                    "" if found == {"OK": options[1]} else f"{found} instead of {options[1]} OK")


def ghz_cuts(report, server, transport, pki):
    target = ghz_target(server, transport, pki)
    for name, options, status in CUT:
        found = ghz(target, "StreamingOutputCall", ENDLESS, *options)
        good = set(found) <= {status, "OK"} and (
            found.get("OK", 0) <= OK_SHARE * found.get(status, 0))
        report.case(f"ghz: {name}", transport, "ghz -> ours",
                    "" if good else f"{found} instead of {status}")
    found = ghz(target, "EmptyCall", {}, "-c", 10, "-n", 100)
    report.case("ghz: calls after that", transport, "ghz -> ours",
                "" if found == {"OK": 100} else f"{found}")


def h2load_target(server, transport):
    path = f"/{SERVICE}/EmptyCall"
    if transport == "unix":
        return [f"--base-uri=unix:{server.socket}", f"http://localhost{path}"]
    scheme = "https" if transport == "tls" else "http"
    return [f"{scheme}://127.0.0.1:{server.ports[transport]}{path}"]


def h2load(server, transport, where):
    """Empty when every request had status 200 and nothing else happened."""
    message = where / "message"
    message.write_bytes(bytes(5))
    text = tools.run("h2load", "-n", CALLS, "-c", "20", "-m", "50", "-d", message, "-H",
                     "content-type: application/grpc", "-H", "te: trailers",
                     *h2load_target(server, transport))
    good = (re.search(rf" {CALLS} succeeded, 0 failed, 0 errored, 0 timeout", text)
            and re.search(rf"status codes: {CALLS} 2xx", text))
    return "" if good else text


def run(report, build, pki):
    with peers.folder() as where:
        with peers.running(peers.ours(build, where, pki), graceful=True) as server:
            for transport in peers.TRANSPORTS:
                ghz_shapes(report, server, transport, pki)
                ghz_cuts(report, server, transport, pki)
                report.case("h2load", transport, "h2load -> ours", h2load(server, transport, where))
