"""What is asked of a server by HTTP/2, by h2load and by `frames`: loads and settings, as in `loads`."""
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time

from . import frames, processes
from .loads import Around, Measured, new_sessions, number, page
from .servers import PARTS, ROOT, Problem, say

LOCKED = "/count_slow?ms=10"


def h2load(connections, streams, path="/"):
    """So many requests are always under way on each connection. It tells no percentiles."""
    def load(target, words=()):
        finished = processes.run(_h2load(target, connections, streams) + [f"-D{target.seconds}", *words, target.url + path])
        return parse_h2load(finished.stdout, finished.stderr)
    load.path = path
    return load


def parts(connections, stay):
    """A page of many small files, again and again, by all connections at once. If they do not `stay`, each has one page and then connects again."""
    def load(target, words=()):
        with tempfile.NamedTemporaryFile("w") as list_of_parts:
            list_of_parts.write("\n".join(f"{target.url}/static/{part}" for part in PARTS))
            list_of_parts.flush()
            command = _h2load(target, connections, len(PARTS)) + ["-i", list_of_parts.name]
            if stay:
                finished = processes.run(command + [f"-D{target.seconds}"])
                return parse_h2load(finished.stdout, finished.stderr)
            begin, requests, errors = time.monotonic(), 0, 0
            while time.monotonic() < begin + target.seconds:
                finished = processes.run(command + [f"-n{connections * len(PARTS)}"])
                one = parse_h2load(finished.stdout, finished.stderr)
                requests, errors = requests + one.requests, errors + one.errors
            return Measured(requests, requests / (time.monotonic() - begin), None, None, None, errors)
    load.path = f"/static/{next(iter(PARTS))}"
    return load


def later(load, seconds):
    """The load, after the server has had so long for itself."""
    def wait(target, words=()):
        time.sleep(seconds)
        return load(target, words)
    wait.path = load.path
    return wait


def _h2load(target, connections, streams):
    if not shutil.which("h2load"):
        raise Problem("has no load by HTTP/2: h2load is missing; on Debian: apt-get install nghttp2-client")
    return processes.on_core(target.load_core) + ["h2load", "-t1", f"-c{connections}", f"-m{streams}"]


def parse_h2load(text, complaint=""):
    done = number(r"requests: .*?(\d+) done", text)
    if not done:
        raise Problem(f"answers nothing by HTTP/2: h2load says {processes.last_line(complaint or text)!r}")
    failed = number(r"(\d+) failed", text) + number(r"(\d+) timeout", text)
    return Measured(int(done), number(r"finished in .*?([\d.]+) req/s", text), None, None, None, int(failed))


def silent(connections):
    """So many connections of HTTP/2 had one answer each, and are silent until the load has ended."""
    @contextlib.contextmanager
    def setting(target):
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(target.connect()) for _ in range(connections)]
            for opened, peer in enumerate(held):
                if not frames.ask(peer):
                    raise Problem(f"answers no more than {opened} connections of HTTP/2")
            time.sleep(0.2)
            for peer in held:
                # What follows an answer: the server has read that its settings are known, and has given room back.
                peer.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    peer.recv(4096)
            yield Around(held=held)
    return setting


def locked(streams):
    """So many requests of one session are always under way on one connection, of which each keeps the session's lock for 10 ms. It is a problem if
    more than one worker has them."""
    @contextlib.contextmanager
    def setting(target):
        [cookie] = new_sessions(target, 1, LOCKED)
        command = _h2load(target, 1, streams) + [f"-D{target.seconds + 30}", "-H", f"cookie: {cookie}", target.url + LOCKED]
        with processes.start(command, stdout=subprocess.DEVNULL) as visits:
            try:
                time.sleep(0.5)
                seen = [json.loads(page(target, "/status/json")) for _ in range(20)]
                held = max(sum("count_slow" in (worker["request"] or "") for worker in one["workers"]) for one in seen)
                say(f"{streams} streams of one session: {held} workers, {max(one['connections']['parked'] for one in seen)} parked")
                if held != 1 or visits.poll() is not None:
                    raise Problem(f"has {held} workers for the requests of one session")
                yield Around()
            finally:
                visits.kill()
    return setting


def flooded(kind):
    """Frames of this kind come as fast as the server takes them, from a program that leaves its core to the load."""
    @contextlib.contextmanager
    def setting(target):
        command = ["nice", "-n19", sys.executable, "-B", "-m", "side_by_side.frames", kind, target.port]
        with processes.start(processes.on_core(target.load_core) + command, cwd=ROOT / "benches", stdout=subprocess.PIPE, text=True) as program:
            try:
                if program.stdout.readline() != "ready\n":
                    raise Problem("is not flooded: the program does not start")
                time.sleep(0.5)
                yield Around()
            finally:
                program.terminate()
                say(f"flooded by {program.stdout.readline().strip()}")
    return setting
