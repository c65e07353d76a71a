"""The engines behind session stores: each a fresh process with its own port and folder, on loopback, without persistence where it has a choice.

An engine is started when the first server asks for it, and stopped when the run ends.
"""
import os
import shutil
import socket
import tempfile
import time
from pathlib import Path

from . import processes

DEBIAN = {"redis": "redis-server", "memcached": "memcached", "postgres": "postgresql"}


class Missing(Exception):
    """The engine is not on this machine, or does not start; in words for the report."""


class Engines:
    """Addresses by kind; a context that stops what was started."""

    def __init__(self):
        self.addresses, self.running, self.folders = {}, [], []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.running:
            process.kill()
            process.wait()
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)

    def address(self, kind):
        """The address of a running engine, in the form that session stores take."""
        if kind not in self.addresses:
            self.addresses[kind] = getattr(self, "_" + kind)(_free_port())
        return self.addresses[kind]

    def _redis(self, port):
        words = [_program("redis", "redis-server"), "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", self._folder()]
        self._start("redis", words, port)
        return f"redis://127.0.0.1:{port}"

    def _memcached(self, port):
        # It refuses to run as root unless a user is named.
        words = [_program("memcached", "memcached"), "-p", port, "-l", "127.0.0.1", "-U", 0, "-m", 256]
        self._start("memcached", words + (["-u", "nobody"] if os.geteuid() == 0 else []), port)
        return f"memcached://127.0.0.1:{port}"

    def _postgres(self, port):
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not found:
            raise Missing(_advice("postgres"))
        folder, binaries = self._folder(), found[-1].parent
        # Nor does this one run as root.
        as_user = []
        if os.geteuid() == 0:
            as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
            shutil.chown(folder, "nobody", "nogroup")
        data = Path(folder, "data")
        made = processes.run([*as_user, binaries / "initdb", "--auth=trust", "--username=kirsch", "--no-sync", "-D", data])
        if made.returncode:
            raise Missing(f"initdb: {processes.last_line(made.stderr)}")
        settings = ["-c", "listen_addresses=127.0.0.1", "-c", f"port={port}", "-c", f"unix_socket_directories={folder}"]
        self._start("postgres", [*as_user, binaries / "postgres", "-D", data, *settings], port)
        return f"postgres://kirsch@127.0.0.1:{port}/postgres"

    def _start(self, kind, words, port):
        with tempfile.TemporaryFile() as said:
            process = processes.start(words, stdout=said, stderr=said)
            self.running.append(process)
            end = time.monotonic() + 20
            while time.monotonic() < end and process.poll() is None:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    return
                except OSError:
                    time.sleep(0.02)
            raise Missing(f"{kind} did not start: {processes.last_line(os.pread(said.fileno(), 1 << 16, 0).decode(errors='replace'))}")

    def _folder(self):
        self.folders.append(tempfile.mkdtemp(prefix="kirsch-engine-"))
        return self.folders[-1]


def _program(kind, name):
    found = shutil.which(name)
    if not found:
        raise Missing(_advice(kind))
    return found


def _advice(kind):
    return f"needs {kind}; on Debian: apt-get install {DEBIAN[kind]}"


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
