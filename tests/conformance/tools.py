"""Other people's programs, built below build-conformance/ from fixed versions.

What is there already is used as it is, so the second run needs no network. A tool that cannot be had
is an error: nothing is skipped.
"""

import os
import pathlib
import re
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HOME = ROOT / "build-conformance"
BIN = HOME / "bin"
RUN_SECONDS = 900  # of one program; a first build of everything on a slow machine takes minutes
PACKAGES = {
    "go-interop-client": "google.golang.org/grpc/interop/client",
    "go-interop-server": "./interop_server",
    "ghz": "github.com/bojand/ghz/cmd/ghz",
    "h2spec": "github.com/summerwind/h2spec/cmd/h2spec",
}


class Missing(Exception):
    pass


def run(*args, good=(0,), **options):
    """A program that must end with a good exit code; its output is shown only when it does not."""
    done = subprocess.run([str(a) for a in args], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          timeout=RUN_SECONDS, **options)
    if done.returncode not in good:
        command = " ".join(str(a) for a in args)
        raise Missing(f"{command[:300]}: exit code {done.returncode}\n{done.stdout}")
    return done.stdout


def need(program):
    """The path of an installed program; servers stand where only root's PATH leads."""
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is None:
        raise Missing(f"{program} is not installed")
    return pathlib.Path(found)


def nginx():
    """An installed nginx, or Debian's program beside ours: its package would start a web server."""
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is not None:
        return pathlib.Path(found)
    home = HOME / "nginx"
    if not (home / "usr/sbin/nginx").exists():
        home.mkdir(parents=True, exist_ok=True)
        run("apt-get", "download", "-q", "nginx", cwd=home)
        run("dpkg", "-x", *home.glob("nginx_*.deb"), home)
    return home / "usr/sbin/nginx"


def go_environment():
    # No other toolchain is fetched behind our back, and no caller's flags change what is built.
    return {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}


def module_file():
    """go.mod, or its sibling for the Go of Debian 12 when ours is older than go.mod asks for."""
    text = run(need("go"), "version")
    ours = tuple(int(n) for n in re.search(r"go(\d+)\.(\d+)", text).groups())
    wanted = re.search(r"^go (\d+)\.(\d+)", (HERE / "go.mod").read_text(), re.M)
    return "go.mod" if ours >= tuple(int(n) for n in wanted.groups()) else "debian12.mod"


def newest(paths):
    return max(p.stat().st_mtime for p in paths)


def build_go():
    """All Go programs. Linking several at once takes more memory than time is gained."""
    sources = [*HERE.glob("*.mod"), *HERE.glob("*.sum"), *HERE.glob("**/*.go")]
    stale = [n for n in PACKAGES
             if not (BIN / n).exists() or (BIN / n).stat().st_mtime < newest(sources)]
    if not stale:
        return
    module = module_file()
    BIN.mkdir(parents=True, exist_ok=True)
    for name in stale:
        run("go", "build", f"-modfile={module}", "-o", BIN / name, PACKAGES[name], cwd=HERE,
            env=go_environment())
        os.utime(BIN / name)  # a build without changes leaves the old time


def install_js():
    """The packages of package-lock.json, and our program beside them, where it finds them."""
    home, ours = HOME / "js", HERE / "js"
    stamp = home / "installed.json"
    lock = (ours / "package-lock.json").read_bytes()
    home.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc", "interop.js", "web.mjs"):
        shutil.copy2(ours / name, home / name)
    if not stamp.exists() or stamp.read_bytes() != lock:
        run(need("npm"), "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=home)
        stamp.write_bytes(lock)


def make_stubs():
    """Python's messages and stubs of the test service."""
    out = HOME / "stubs"
    out.mkdir(parents=True, exist_ok=True)
    run("protoc", f"-I{ROOT / 'tests/interop'}", f"--python_out={out}", f"--grpc_python_out={out}",
        "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin", "interop.proto")
    return out


def make_pki():
    """A certificate authority of our own, and a certificate for localhost."""
    pki = HOME / "pki"
    run(ROOT / "scripts/dev-pki", pki)
    return pki


def prepare():
    build_go()
    make_stubs()
    make_pki()
