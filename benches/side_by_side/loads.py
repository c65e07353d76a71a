"""What is asked of a server: a load is a function of a target and extra words that returns what it saw, as `Measured`.

A setting is what goes on around a load: a context that is entered before the accounting starts, and that yields an `Around`.

wrk's percentiles: wrk adds, for each answer that took longer than twice the usual, the answers that would have been asked for meanwhile. That
is right with one request at a time on each connection. With several it is not (there are figures below the smallest that was seen), so
pipelined cases have no percentiles.
"""
import contextlib
import http.client
import json
import re
import select
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import processes
from .servers import HOLES, ROOT, Problem

SCRIPTS = ROOT / "benches" / "load"


@dataclass
class Measured:
    """Of one load. Latencies are in milliseconds, None where the tool cannot tell."""

    requests: int
    rate: float
    p50: float | None
    p99: float | None
    p999: float | None
    errors: int
    # By the kernel's account of the server: microseconds for each request; KiB when the load ended.
    user: float = 0.0
    system: float = 0.0
    memory: int = 0
    # Changes that were answered with success and are not there; at least so many. None where nothing is counted.
    lost: int | None = None

    @property
    def cpu(self):
        return self.user + self.system


def wrk(connections, path="/", script="report.lua"):
    def load(target, words=()):
        command = processes.on_core(target.load_core) + ["wrk", "-t1", f"-c{connections}", f"-d{target.seconds}s", "-s", SCRIPTS / script]
        finished = processes.run(command + [target.url + path, "--", *words])
        return parse_wrk(finished.stdout, finished.stderr, latencies=script != "pipelined.lua")
    load.path = path
    return load


def ab(connections):
    def load(target, words=()):
        with tempfile.NamedTemporaryFile() as percentages:
            command = ["ab", "-q", "-r", "-s", 5, "-t", target.seconds, "-n", 1_000_000, "-c", connections, "-e", percentages.name]
            finished = processes.run(processes.on_core(target.load_core) + command + [f"http://127.0.0.1:{target.port}/"])
            return parse_ab(finished.stdout, finished.stderr, Path(percentages.name).read_text())
    load.path = "/"
    return load


def handshakes(resumed):
    """One connection after another, by TLS 1.3, with one request each; `resumed`: all but the first by the ticket of the first."""
    def load(target, words=()):
        command = processes.on_core(target.load_core) + ["openssl", "s_time", "-connect", f"127.0.0.1:{target.port}", "-www", "/"]
        begin = time.monotonic()
        finished = processes.run(command + ["-tls1_3", "-time", target.seconds, "-reuse" if resumed else "-new"])
        return parse_s_time(finished.stdout, finished.stderr, "r" if resumed else "*", time.monotonic() - begin)
    load.path = "/"
    return load


def downloads(path):
    """One download after another, by a curl each, until the time is over."""
    def load(target, words=()):
        command = processes.on_core(target.load_core) + ["curl", "-ks", "--http1.1", "-o", "/dev/null", "-w", "%{size_download}", target.url + path]
        begin, sizes = time.monotonic(), []
        while time.monotonic() < begin + target.seconds:
            sizes.append(processes.run(command).stdout)
        if set(sizes) != {str(HOLES[1])}:
            raise Problem(f"has not sent the whole file, but {sizes} bytes of it")
        return Measured(len(sizes), len(sizes) / (time.monotonic() - begin), None, None, None, 0)
    load.path = path
    return load


def parse_s_time(text, complaint, kind, seconds):
    """`kind`: the letter of the handshakes that were asked for; one of another kind is an error. It counts in whole seconds itself."""
    made = "".join(re.findall(r"(?m)^[r*]+$", text))
    if not made:
        raise Problem(f"has no handshakes: openssl says {processes.last_line(complaint)!r}")
    return Measured(len(made), len(made) / seconds, None, None, None, len(made) - made.count(kind))


def parse_wrk(text, complaint="", latencies=True):
    def latency(percent):
        return number(rf"latency {re.escape(percent)} ([\d.]+) ms", text) if latencies else None
    requests = number(r"(\d+) requests in", text)
    if not requests:
        errors = re.search(r"Socket errors: .*", text)
        raise Problem(f"answers nothing: wrk says {errors[0] if errors else processes.last_line(complaint)!r}")
    errors = sum(int(count) for count in re.findall(r"(?:connect|read|write|timeout) (\d+)", text))
    errors += int(number(r"Non-2xx or 3xx responses: (\d+)", text) or 0)
    return Measured(int(requests), number(r"Requests/sec:\s+([\d.]+)", text), latency("50"), latency("99"), latency("99.9"), errors)


def parse_ab(text, complaint, percentages):
    """`percentages`: what `ab -e` writes, lines of percent and milliseconds; its own report rounds to whole ones."""
    requests = number(r"Complete requests:\s+(\d+)", text)
    if not requests:
        raise Problem(f"answers nothing: ab says {processes.last_line(complaint)!r}")
    errors = sum(int(number(rf"{kind}:\s+(\d+)", text) or 0) for kind in ("Failed requests", "Non-2xx responses"))
    rate = number(r"Requests per second:\s+([\d.]+)", text)
    return Measured(int(requests), rate, number(r"(?m)^50,([\d.]+)", percentages), number(r"(?m)^99,([\d.]+)", percentages), None, errors)


def number(pattern, text):
    found = re.search(pattern, text)
    return float(found[1]) if found else None


@dataclass
class Around:
    """The extra words for the load, connections that have to stay open and silent until it has ended, and how to count what was lost."""

    words: list = field(default_factory=list)
    held: list = field(default_factory=list)
    count_lost: object = None

    def lost(self):
        """How many of them have ended, or have something to read."""
        with select.epoll() as poll:
            for peer in self.held:
                poll.register(peer, select.EPOLLIN | select.EPOLLRDHUP)
            return len(poll.poll(0, max(1, len(self.held))))


@contextlib.contextmanager
def nothing(_target):
    yield Around()


def asleep(sleepers):
    """So many requests of /sleep are under way, each on a connection of its own, until the load has ended."""
    @contextlib.contextmanager
    def setting(target):
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(target.connect()) for _ in range(sleepers)]
            for peer in held:
                peer.sendall(b"GET /sleep?ms=%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % ((target.seconds + 30) * 1000))
            time.sleep(0.2)
            yield Around(held=held)
    return setting


def idle(connections):
    """So many keep-alive connections had one answer each, and are silent until the load has ended."""
    @contextlib.contextmanager
    def setting(target):
        with contextlib.ExitStack() as stack:
            held = []
            for _ in range(connections):
                peer = stack.enter_context(target.connect())
                peer.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                held.append(peer)
                if not peer.recv(4096).startswith(b"HTTP/1.1 200"):
                    raise Problem(f"answers no more than {len(held) - 1} idle connections")
            yield Around(held=held)
    return setting


def stuck(connections):
    """So many connections have sent the beginning of a ClientHello. They are held for less time than the server gives them."""
    @contextlib.contextmanager
    def setting(target):
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(socket.create_connection(target.address, timeout=5)) for _ in range(connections)]
            for peer in held:
                peer.sendall(b"\x16\x03\x01\x02\x00")
            yield Around(held=held)
    return setting


def beside(path):
    """64 more connections ask for another page until the load has ended."""
    @contextlib.contextmanager
    def setting(target):
        command = processes.on_core(target.load_core) + ["wrk", "-t1", "-c64", f"-d{target.seconds + 30}s", target.url + path]
        others = processes.start(command, stdout=subprocess.DEVNULL)
        try:
            time.sleep(0.2)
            yield Around()
        finally:
            others.kill()
            others.wait()
    return setting


def parked(requests, looks=0):
    """So many requests wait for the lock of one session until the load has ended, and the status page is opened `looks` times a second."""
    @contextlib.contextmanager
    def setting(target):
        [cookie] = new_sessions(target, 1, "/count")
        with contextlib.ExitStack() as stack:
            def ask(path):
                peer = stack.enter_context(target.connect())
                peer.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n".encode())
                return peer
            held = [ask(f"/count_slow?ms={(target.seconds + 30) * 1000}")]
            time.sleep(0.2)
            held += [ask("/count") for _ in range(requests)]
            end = time.monotonic() + 10
            while (waiting := json.loads(page(target, "/status/json"))["connections"]["parked"]) < requests:
                if time.monotonic() > end:
                    raise Problem(f"parks no more than {waiting} requests")
                time.sleep(0.1)
            over = threading.Event()

            def look():
                while not over.wait(1 / looks):
                    page(target, "/status")
            if looks:
                thread = threading.Thread(target=look)
                thread.start()
                stack.callback(thread.join)
                stack.callback(over.set)
            yield Around(held=held)
    return setting


def page(target, path):
    connection = http.client.HTTPConnection(*target.address, timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().read()


def sessions(count, path):
    """The load gets the cookies of so many new sessions, in a file. Of a single one, what was counted is compared with what was answered."""
    @contextlib.contextmanager
    def setting(target):
        with tempfile.NamedTemporaryFile("w") as file:
            cookies = list(new_sessions(target, count, path))
            file.write("\n".join(cookies))
            file.flush()

            def count_lost(answered):
                # What was under way when the load ended may still be counted, which hides as many that were lost, at most one for each connection.
                time.sleep(0.3)
                connection = http.client.HTTPConnection(*target.address, timeout=5)
                with contextlib.closing(connection):
                    connection.request("GET", path, headers={"Cookie": cookies[0]})
                    counted = int(connection.getresponse().read()) - 1
                return max(0, answered + 1 - counted)

            yield Around(words=[file.name], count_lost=count_lost if count == 1 else None)
    return setting


def new_sessions(target, count, path):
    connection = http.client.HTTPConnection(*target.address, timeout=5)
    with contextlib.closing(connection):
        for _ in range(count):
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            cookie = answer.getheader("Set-Cookie")
            if not cookie:
                raise Problem(f"gives no session cookie at {path}")
            yield cookie.split(";")[0]
