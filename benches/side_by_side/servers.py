"""What is measured: how each server is built, started and looked at before a load may ask it.

A server that cannot be built or started is a problem to be shown, not the end of the run.
"""
import contextlib
import http.client
import json
import os
import shutil
import socket
import ssl
import sys
import sysconfig
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from . import processes
from .engines import Engines, Missing

ROOT = Path(__file__).resolve().parent.parent.parent
PEERS = ROOT / "benches" / "peers"
# Kirsch and its peers with sessions: server and the store behind it.
SESSIONS = [
    "kirsch-memory", "kirsch-file", "kirsch-sqlite", "kirsch-postgres", "kirsch-redis", "kirsch-alone-redis", "kirsch-memcached",
    "actix-session-redis", "cherrypy-ram", "cherrypy-file",
]
# Kirsch as it runs in earnest (benches/micro/src/bin/operated.rs): with status and metrics; also with a log; also by TLS; also by HTTP/2
# without encryption, for clients that know beforehand.
OPERATED = ["kirsch-operated", "kirsch-logged", "kirsch-tls", "kirsch-h2c"]
MULTIPLEXED = ["kirsch-h2c", "hyper-h2c", "nginx-h2c"]
ENCRYPTED = ["kirsch-tls", "hyper-tls", "nginx-tls", "limit-tls"]
# The song counter in WSGI: one program for all, the Python of this script.
WSGI = ["kirsch-wsgi", "granian", "gunicorn", "cheroot", "cherrypy-counter"]
# Speaks WebSocket only.
TUNGSTENITE = "tungstenite"
# Tells all the same by one `send` each.
LIMIT_EVENTS = "limit-events"
LOAD_BY_WEBSOCKET = "peer-websocket-load"
# In the order of the tables. nginx without TLS serves files only.
NAMES = [
    "limit", "kirsch", "hyper", "actix-web", "axum", "ntex", "may_minihttp", "khttp", "astra", "tiny_http", "rouille", "cherrypy", "nginx",
    *OPERATED, *ENCRYPTED[1:], *MULTIPLEXED[1:], *SESSIONS, *WSGI, TUNGSTENITE, LIMIT_EVENTS,
]
NGINX = ["nginx", "nginx-tls", "nginx-h2c"]
HELLO = b"Hello, World!"
FILES = {"1k.bin": 1 << 10, "100k.bin": 100 << 10, "10m.bin": 10 << 20}
# The parts of a page, 1 to 8 KiB each.
PARTS = {f"part{number:02}.bin": (1 + number % 8) << 10 for number in range(100)}
# All holes: it takes no room on the disk.
HOLES = "1g.bin", 1 << 30


# Certificates are made for each run and sign themselves.
ANYBODY = ssl._create_unverified_context()


class Problem(Exception):
    """What keeps a server, or one measurement of it, from being measured; in words for the report."""


@dataclass
class Target:
    """A running server, as a load sees it."""

    pid: int
    port: int
    load_core: int | None
    seconds: int
    is_encrypted: bool = False

    @property
    def address(self):
        return "127.0.0.1", self.port

    @property
    def url(self):
        return f"http{'s' if self.is_encrypted else ''}://127.0.0.1:{self.port}"

    def connect(self):
        connection = socket.create_connection(self.address, timeout=5)
        return ANYBODY.wrap_socket(connection) if self.is_encrypted else connection


class Servers:
    """The built servers; a context, for the folder that holds the files to serve and what nginx writes, and for the engines behind them."""

    def __init__(self, names, talk=False):
        """`talk`: whether the load by WebSocket is needed."""
        self.names, self.talk, self.problems = names, talk, {}

    def __enter__(self):
        self.engines = Engines()
        self.scratch = tempfile.TemporaryDirectory(prefix="kirsch-compare-")
        self.folder = Path(self.scratch.name)
        self.files = self.folder / "files"
        self.files.mkdir()
        for name, size in (FILES | PARTS).items():
            (self.files / name).write_bytes(b"0123456789abcdef" * (size // 16))
        (self.files / HOLES[0]).touch()
        os.truncate(self.files / HOLES[0], HOLES[1])
        self.certificate, self.key = self.folder / "cert.pem", self.folder / "key.pem"
        return self

    def __exit__(self, *_):
        self.engines.__exit__()
        self.scratch.cleanup()

    def build(self):
        ours = [name for name in self.names if family(name) == "kirsch"]
        if ours:
            self._cargo(ours, ["--profile", "fast", "-p", "testbed"], ROOT)
        operated = [name for name in self.names if name in OPERATED]
        if operated:
            self._cargo(operated, ["--profile", "fast", "-p", "micro-benches", "--features", "http2", "--bin", "operated"], ROOT)
        if any(name in ENCRYPTED for name in self.names):
            self._certify([name for name in self.names if name in ENCRYPTED])
        # One by one, so that each has the features that it asks for, not also those of the others.
        for name in self.names:
            if name not in (*OPERATED, *WSGI) and family(name) not in ("kirsch", "cherrypy", *NGINX):
                self._cargo([name], ["--release", "-p", package(name)], PEERS)
        if self.talk:
            self._cargo(self.names, ["--release", "-p", LOAD_BY_WEBSOCKET], PEERS)
        snakes = [name for name in self.names if family(name) == "cherrypy"]
        if snakes:
            self._cherrypy(snakes)
        if any(name in WSGI for name in self.names):
            self._wsgi([name for name in self.names if name in WSGI])
        for name in NGINX:
            if name in self.names and not shutil.which("nginx"):
                self.problems[name] = "is missing; on Debian: apt-get install nginx-light"

    def _cargo(self, names, arguments, folder, **variables):
        command = ["cargo", "build", *arguments]
        say(f"building {names[0]}: {' '.join(command)}")
        finished = processes.run(command, timeout=3600, cwd=folder, env={**os.environ, **variables})
        if finished.returncode:
            print(finished.stderr, file=sys.stderr)
            self._complain(names, f"was not built: {processes.last_line(finished.stderr)}")

    def _certify(self, names):
        """A certificate with a key on P-256, as most sites have."""
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.key, "-out", self.certificate]
        finished = processes.run(command)
        if finished.returncode:
            self._complain(names, f"has no certificate: {processes.last_line(finished.stderr)}")
        else:
            self.key.chmod(0o600)

    def _complain(self, names, problem):
        self.problems.update(dict.fromkeys(names, problem))

    def _cherrypy(self, names):
        environment = target_folder(PEERS) / "cherrypy"
        python = environment / "bin" / "python"
        if processes.run([sys.executable, "-m", "venv", environment]).returncode:
            self._complain(names, "has no virtual environment; on Debian: apt-get install python3-venv")
        elif processes.run([python, "-c", "import cherrypy"]).returncode:
            say("installing CherryPy from PyPI")
            finished = processes.run([python, "-m", "pip", "install", "--quiet", "cherrypy"], timeout=600)
            if finished.returncode:
                self._complain(names, f"was not installed ({processes.last_line(finished.stderr)}); with a network: {python} -m pip install cherrypy")

    def _wsgi(self, names):
        environment = target_folder(PEERS) / "wsgi"
        python = environment / "bin" / "python"
        if "kirsch-wsgi" in names:
            self._cargo(["kirsch-wsgi"], ["--profile", "fast", "-p", "raw-wsgi"], ROOT / "wsgi", PYO3_PYTHON=sys.executable)
        peers = [name for name in names if name != "kirsch-wsgi"]
        if not peers:
            return
        if processes.run([sys.executable, "-m", "venv", environment]).returncode:
            self._complain(peers, "has no virtual environment; on Debian: apt-get install python3-venv")
        elif processes.run([python, "-c", "import cheroot, cherrypy, granian, gunicorn"]).returncode:
            say("installing WSGI servers from PyPI")
            finished = processes.run([python, "-m", "pip", "install", "--quiet", "cherrypy", "cheroot", "gunicorn", "granian"], timeout=600)
            if finished.returncode:
                self._complain(peers, f"was not installed ({processes.last_line(finished.stderr)})")

    def command(self, name, port, files):
        """`files`: whether the server has to serve them."""
        if name == "kirsch":
            return [target_folder(ROOT) / "fast/testbed", "--listen", f"127.0.0.1:{port}"] + (["--static", self.files] if files else [])
        if name == "cherrypy":
            return [target_folder(PEERS) / "cherrypy/bin/python", PEERS / "cherrypy/hello.py", port]
        if name in WSGI:
            return wsgi_command(name, port)
        if name in OPERATED:
            fresh = Path(tempfile.mkdtemp(prefix="log-", dir=self.folder))
            more = {"kirsch-logged": ["--log", fresh / "access.jsonl"], "kirsch-tls": ["--tls", self.certificate, self.key],
                    "kirsch-h2c": ["--h2c"]}.get(name, [])
            return [target_folder(ROOT) / "fast/operated", port, *more] + (["--static", self.files] if files else [])
        if name in ("hyper-tls", "limit-tls"):
            return [target_folder(PEERS) / "release" / package(name), port, self.certificate, self.key]
        if name in NGINX:
            config = self.folder / f"nginx-{port}.conf"
            certified = (self.certificate, self.key) if name in ENCRYPTED else None
            config.write_text(nginx_config(self.folder, self.files, port, certified, name != "nginx"))
            return ["nginx", "-p", self.folder, "-c", config, "-e", self.folder / "nginx.log"]
        if name in SESSIONS:
            return self._with_sessions(*name.rsplit("-", 1), port)
        return [target_folder(PEERS) / "release" / package(name), port] + ([self.files] if files else [])

    def _with_sessions(self, server, store, port):
        fresh = Path(tempfile.mkdtemp(prefix=f"{store}-", dir=self.folder))
        places = {"file": f"file:{fresh}", "sqlite": f"sqlite:{fresh}/sessions.sqlite", "memory": "memory"}
        if server == "cherrypy":
            return [target_folder(PEERS) / "cherrypy/bin/python", PEERS / "cherrypy/sessions.py", port, store, fresh]
        try:
            place = places.get(store) or self.engines.address(store)
        except Missing as missing:
            raise Problem(str(missing)) from missing
        if family(f"{server}-{store}") == "kirsch":
            place = f"alone:{place}" if server == "kirsch-alone" else place
            return [target_folder(ROOT) / "fast/testbed", "--listen", f"127.0.0.1:{port}", "--sessions", place]
        return [target_folder(PEERS) / "release" / package(server), port, place]

    @contextlib.contextmanager
    def running(self, name, *, pinned, seconds, path):
        """A fresh server that answers `path`, if there is one, on the first core if `pinned`; the load belongs on the second."""
        if name in self.problems:
            raise Problem(self.problems[name])
        cores = processes.cores()
        server_core, load_core = (cores[0], cores[1]) if pinned and len(cores) > 1 else (None, None)
        port = free_port()
        with tempfile.TemporaryFile() as said:
            command = processes.on_core(server_core) + self.command(name, port, bool(path) and path.startswith("/static/"))
            server = processes.start(command, stdout=said, stderr=said)
            try:
                wait_for(server, port, said)
                if path and name in MULTIPLEXED:
                    look_by_http2(port, path)
                elif path:
                    look_at(port, path.replace(HOLES[0], "1k.bin"), name in ENCRYPTED)
                yield Target(server.pid, port, load_core, seconds, name in ENCRYPTED)
                if server.poll() is not None:
                    raise Problem(f"ended under load with status {server.returncode}: {last_words(said)}")
            finally:
                server.kill()
                server.wait()


def wsgi_command(name, port):
    """One process, and two threads where threads do the calls: more only wait for Python's lock. CherryPy has its usual ten."""
    if name == "kirsch-wsgi":
        library = f"LD_LIBRARY_PATH={sysconfig.get_config_var('LIBDIR')}"
        return ["env", library, target_folder(ROOT / "wsgi") / "fast/raw-wsgi", "--port", port]
    programs, here = target_folder(PEERS) / "wsgi/bin", PEERS / "wsgi"
    words = ["env", "WITH_PARENT=1", f"PYTHONPATH={here}"]
    if name == "granian":
        words += [programs / "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", port, "--workers", "1"]
        return [*words, "--blocking-threads", "2", "--no-access-log", "counter:application"]
    if name == "gunicorn":
        words += [programs / "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "1", "--worker-class", "gthread", "--threads", "2"]
        return [*words, "--keep-alive", "60", "counter:application"]
    return ["env", f"PYTHONPATH={here}", programs / "python", here / ("on_cheroot.py" if name == "cheroot" else "on_cherrypy.py"), port]


def family(name):
    """The program behind a name: all with sessions in the same server are one program."""
    return name.rsplit("-", 1)[0].removesuffix("-alone") if name in SESSIONS else name


def package(name):
    return "peer-" + family(name).replace("_", "-")


_target_folders = {}


def target_folder(workspace):
    """Where cargo puts what it builds, also with CARGO_TARGET_DIR or a configured folder."""
    if workspace not in _target_folders:
        command = ["cargo", "metadata", "--format-version", "1", "--no-deps"]
        _target_folders[workspace] = Path(json.loads(processes.run(command, cwd=workspace).stdout)["target_directory"])
    return _target_folders[workspace]


def nginx_config(folder, files, port, certified, is_multiplexed):
    """nginx at its best for files: sendfile, open files kept, no access log. One process, as one worker on one core would be."""
    encryption = ""
    if certified:
        encryption = f"""ssl_certificate {certified[0]};
    ssl_certificate_key {certified[1]};
    ssl_protocols TLSv1.2 TLSv1.3;"""
    temporary = "\n".join(f"  {kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return f"""daemon off;
master_process off;
pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
{temporary}
  access_log off;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=1000 inactive=60s;
  open_file_cache_valid 60s;
  keepalive_requests 1000000000;
  default_type application/octet-stream;
  server {{
    listen 127.0.0.1:{port} {"ssl " if certified else ""}{"http2 " if is_multiplexed else ""}backlog=1024;
    {encryption}
    location = / {{ default_type "text/plain; charset=utf-8"; return 200 "{HELLO.decode()}"; }}
    location /static/ {{ alias {files}/; }}
  }}
}}
"""


def look_at(port, path, is_encrypted):
    """One honest answer before the measurement, and a third of a second to get warm. By one connection: astra stalls with two silent ones."""
    encrypted = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=ANYBODY)
    connection = encrypted if is_encrypted else http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    end = time.monotonic() + 0.3
    try:
        while time.monotonic() < end:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise Problem(f"does not serve {path} (status {answer.status})")
            wrong = body != HELLO if path == "/" else len(body) != (FILES | PARTS).get(Path(path).name, len(body))
            if wrong:
                raise Problem(f"answers {path} with {len(body)} bytes that were not asked for")
    except (OSError, http.client.HTTPException) as error:
        raise Problem(f"does not answer {path}: {error!r}") from error
    finally:
        connection.close()


def look_by_http2(port, path):
    """The same by HTTP/2 without encryption."""
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        finished = processes.run(["curl", "-sf", "--http2-prior-knowledge", f"http://127.0.0.1:{port}{path}"])
        if finished.returncode or path == "/" and finished.stdout.encode() != HELLO:
            raise Problem(f"does not serve {path} by HTTP/2: curl ends with {finished.returncode} and {len(finished.stdout)} bytes")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(server, port, said):
    end = time.monotonic() + 10
    while time.monotonic() < end and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise Problem(f"did not start: {last_words(said)}")


def last_words(said):
    # The server shares the file's position, so it must not move.
    return first_complaint(os.pread(said.fileno(), 1 << 16, 0).decode(errors="replace"))


def first_complaint(text):
    """The first line that is more than a greeting."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("Serving on")]
    return lines[0] if lines else "it said nothing"


def say(text):
    print(text, file=sys.stderr)
