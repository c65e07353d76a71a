"""`kirsch dev` through ten rebuilds, under the requests of somebody who has logged in: what the clients notice.

    cargo build -p kirsch-cli
    python3 -B cli/tests/ten_rebuilds.py target/debug/kirsch

It makes a site with `kirsch new`, serves it with `kirsch dev`, and changes one source ten times. Meanwhile 200 requests
a second come with the same session, half of them on connections of their own. Beside them 20 connections are held open:
event streams, browsers that wait for news of the build, and idle ones. It ends with 1 if a connection was refused, a
request has failed, or the session was lost. Each rebuild has a deadline. It talks to loopback only, and ends only what
it has started.
"""

import argparse
import collections
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlencode

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benches"))

from side_by_side import processes  # noqa: E402

CLIENTS = 8
HELD = {"event stream": 7, "news of the build": 7, "idle": 6}
# Seconds for one answer.
PATIENCE = 30

ROUND = "    #[expose(get)]\n    fn round(&self) -> &'static str {\n        \"round %d.\"\n    }\n"
TICKS = """
    #[expose(get)]
    fn ticks(&self, last: kirsch::push::LastEventId) -> kirsch::push::Events {
        static TICKS: std::sync::LazyLock<kirsch::push::Topic<String>> =
            std::sync::LazyLock::new(|| kirsch::push::Topic::new("ticks"));
        TICKS.events(last)
    }

"""


class Site:
    """A new site, and `kirsch dev` in it."""

    def __init__(self, kirsch, folder, target):
        processes.run([kirsch, "new", folder / "new-site"]).check_returncode()
        self.folder = folder / "new-site"
        self.pages = self.folder / "src/pages.rs"
        self.source = self.pages.read_text()
        self.change(0)
        self.said, self.address, self.password = [], None, None
        environment = os.environ | {"CARGO_TARGET_DIR": str(target)}
        self.kirsch = processes.start([kirsch, "dev", "--listen", "127.0.0.1:0"], cwd=self.folder, env=environment,
                                      stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.kirsch.stderr:
            self.said.append(line.rstrip())
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/ shows", line):
                self.address = ("127.0.0.1", int(found[1]))
            if found := re.search(r"with the password `([^`]+)`", line):
                self.password = found[1]

    def change(self, number):
        """Writes the source beside its place, as editors do, so that no build sees half of it."""
        begin = "#[handlers]\nimpl Pages {\n"
        fresh = self.pages.with_suffix(".rs~")
        fresh.write_text(self.source.replace(begin, begin + ROUND % number + TICKS, 1))
        fresh.rename(self.pages)

    def wait_for(self, what, is_there, seconds):
        deadline = time.monotonic() + seconds
        while not is_there():
            if self.kirsch.poll() is not None or time.monotonic() > deadline:
                words = "\n".join(self.said[-30:])
                sys.exit(f"no {what} within {seconds} s; the last words of `kirsch dev`:\n{words}")
            time.sleep(0.005)

    def builds(self):
        """The seconds of each build so far."""
        return [float(found[1]) for line in self.said if (found := re.search(r"kirsch dev: built in ([\d.]+) s", line))]

    def log_in(self):
        """Returns the cookie."""
        form, cookies = self._ask("GET", "/login", {})
        token = re.search(r'name="token" value="([^"]*)"', form)[1]
        sent = urlencode({"token": token, "next": "/", "name": "admin", "password": self.password})
        _, more = self._ask("POST", "/login", cookies, sent)
        return "; ".join(f"{name}={value}" for name, value in (cookies | more).items())

    def _ask(self, method, path, cookies, body=None):
        with contextlib.closing(http.client.HTTPConnection(*self.address, timeout=PATIENCE)) as connection:
            fields = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()), "Accept": "text/html"}
            if body is not None:
                fields["Content-Type"] = "application/x-www-form-urlencoded"
            connection.request(method, path, body, fields)
            answer = connection.getresponse()
            text = answer.read().decode()
            if answer.status >= 400:
                sys.exit(f"{method} {path} gets {answer.status}:\n{text}")
            set_cookies = (field.split(";")[0].split("=", 1) for field in answer.headers.get_all("Set-Cookie", []))
            return text, dict(set_cookies)

    def end(self):
        if self.kirsch.poll() is None:
            self.kirsch.terminate()
            try:
                self.kirsch.wait(30)
            except subprocess.TimeoutExpired:
                self.kirsch.kill()
                self.kirsch.wait()


class Seen:
    """What the clients have seen, counted by all of them."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = collections.Counter()
        self.problems = collections.Counter()
        self.first, self.last = {}, {}
        self.times = []

    def answer(self, seconds):
        with self.lock:
            self.counts["requests"] += 1
            self.times.append(seconds)

    def round(self, number):
        now = time.monotonic()
        with self.lock:
            self.first.setdefault(number, now)
            self.last[number] = now

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def problem(self, what, more):
        with self.lock:
            self.counts[what] += 1
            self.problems[f"{what}: {more}"] += 1


def failed(seen, where, error):
    seen.problem("refused" if isinstance(error, ConnectionRefusedError) else "failed", f"{where}: {error!r}")


def visit(site, cookie, seen, is_over, number, pace):
    """Asks for two pages in turn, each at its time: a late answer delays no later request by more than itself."""
    keeps = number % 2 == 0
    connection, asked, due = None, 0, time.monotonic() + pace * number / CLIENTS
    while not is_over.wait(max(0, due - time.monotonic())):
        due += pace
        path = ("/", "/round")[asked % 2]
        asked += 1
        began = time.monotonic()
        try:
            connection = connection or http.client.HTTPConnection(*site.address, timeout=PATIENCE)
            connection.request("GET", path, headers={"Cookie": cookie, "Accept": "text/html"})
            answer = connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            failed(seen, f"{path} on {'a kept' if keeps else 'its own'} connection", error)
            connection = None
            continue
        seen.answer(time.monotonic() - began)
        if answer.status != 200:
            seen.problem("failed", f"{path}: {answer.status} {text[:200]!r}")
        elif path == "/" and "Log out" not in text:
            seen.problem("lost", text[:200])
        elif path == "/round":
            seen.round(int(re.search(r"round (\d+)\.", text)[1]))
        if not keeps:
            connection.close()
            connection = None


def hold(site, cookie, seen, is_over, kind):
    """Holds a connection open, and comes again whenever the server has ended it well."""
    version = 0
    while not is_over.is_set():
        path = {"event stream": "/ticks", "news of the build": f"/__kirsch/live?seen={version}", "idle": "/"}[kind]
        try:
            with contextlib.closing(http.client.HTTPConnection(*site.address, timeout=PATIENCE)) as connection:
                connection.request("GET", path, headers={"Cookie": cookie})
                held = connection.sock
                answer = connection.getresponse()
                if answer.status != 200:
                    raise http.client.HTTPException(f"{answer.status} {answer.read()[:200]!r}")
                if kind == "idle":
                    answer.read()
                    if not answer.will_close:
                        wait_for_end(held, is_over)
                elif kind == "news of the build":
                    version = json.loads(answer.read())["version"]
                else:
                    listen(answer, is_over)
                seen.count(kind)
        except (OSError, http.client.HTTPException) as error:
            failed(seen, kind, error)
            is_over.wait(0.1)


def wait_for_end(held, is_over):
    held.settimeout(1)
    while not is_over.is_set():
        with contextlib.suppress(TimeoutError):
            if held.recv(1) == b"":
                return


def listen(answer, is_over):
    """Reads an event stream to its end, which has to be a clean one. Heartbeats come before the patience ends."""
    while not is_over.is_set() and answer.read1(4096):
        pass


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("kirsch", type=Path, help="the command")
    options.add_argument("--count", type=int, default=10, metavar="REBUILDS")
    options.add_argument("--rate", type=int, default=200, help="requests a second")
    options.add_argument("--target", type=Path, help="where the site is built; else where the tests of the command build")
    options.add_argument("--patience", type=int, default=120, metavar="SECONDS",
                         help="for one rebuild; the first build has ten times as much")
    options = options.parse_args()
    kirsch = options.kirsch.resolve()
    target = (options.target or kirsch.parent.parent / "tmp/new").resolve()
    # An end from outside ends `kirsch dev`, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="kirsch-rebuilds-", ignore_cleanup_errors=True) as folder:
        site = Site(kirsch, Path(folder), target)
        try:
            is_well = through(site, options)
        finally:
            site.end()
    sys.exit(0 if is_well else 1)


def through(site, options):
    """Whether no client has noticed a change but by its answer."""
    site.wait_for("program", lambda: site.password, options.patience * 10)
    site.wait_for("page", lambda: answers(site), options.patience)
    cookie = site.log_in()
    seen, is_over = Seen(), threading.Event()
    pace = CLIENTS / options.rate
    work = [(visit, number, pace) for number in range(CLIENTS)]
    work += [(hold, kind) for kind, count in HELD.items() for _ in range(count)]
    threads = [threading.Thread(target=what, args=(site, cookie, seen, is_over, *more)) for what, *more in work]
    for thread in threads:
        thread.start()
    changed, began = [], time.monotonic()
    try:
        site.wait_for("answer", lambda: 0 in seen.first, PATIENCE)
        for number in range(1, options.count + 1):
            changed.append(time.monotonic())
            site.change(number)
            site.wait_for(f"answer of rebuild {number}", lambda: number in seen.first, options.patience)
            # The old program has the time to end beside its clients.
            time.sleep(3)
    finally:
        lasted = time.monotonic() - began
        is_over.set()
        for thread in threads:
            thread.join(PATIENCE + 5)
    return report(site, seen, changed, lasted)


def answers(site):
    with contextlib.suppress(OSError, http.client.HTTPException):
        with contextlib.closing(http.client.HTTPConnection(*site.address, timeout=PATIENCE)) as connection:
            connection.request("GET", "/round")
            return connection.getresponse().read().startswith(b"round 0")
    return False


def report(site, seen, changed, lasted):
    counts = seen.counts
    waited = [seen.first[number] - when for number, when in enumerate(changed, 1)]
    old = [max(0, seen.last[number - 1] - seen.first[number]) for number in range(1, len(changed) + 1)]
    times = sorted(seen.times)
    rate = counts["requests"] / lasted
    print(f"{len(changed)} rebuilds, {counts['requests']} requests in {lasted:.0f} s ({rate:.0f} a second)")
    print(f"refused {counts['refused']}, failed {counts['failed']}, lost sessions {counts['lost']}")
    print(f"from a change to its first answer: median {statistics.median(waited):.1f} s, at most {max(waited):.1f} s")
    print(f"of that the build: median {statistics.median(site.builds()[1:]):.1f} s")
    print(f"answers of the old program after the first new one: at most {max(old):.2f} s")
    middle, late, latest = (times[int((len(times) - 1) * share)] * 1000 for share in (0.5, 0.99, 1))
    print(f"an answer: median {middle:.1f} ms, p99 {late:.0f} ms, at most {latest:.0f} ms")
    print("ended well and begun again:", ", ".join(f"{kind} {counts[kind]}" for kind in HELD))
    for problem, count in seen.problems.most_common(10):
        print(f"  {count} x {problem}")
    return not (counts["refused"] or counts["failed"] or counts["lost"])


if __name__ == "__main__":
    main()
