"""The numbers to hold: each goal of the project against what this run measured."""
import statistics
from dataclasses import dataclass, field

from .cases import FLOODS, IDLE, PARKED, STREAMS, TALKING
from .servers import LIMIT_EVENTS, NAMES, SESSIONS, TUNGSTENITE, WSGI


@dataclass
class Goal:
    """`values`: one for each round, or a single one. Held if their median is on the right side of the bound."""

    what: str
    side: str  # "at least" or "at most"
    bound: float
    values: list = field(default_factory=list)
    unit: str = ""
    missing: str = "not in this run"

    @property
    def verdict(self):
        if not self.values:
            return self.missing
        value = statistics.median(self.values)
        short = self.bound - value if self.side == "at least" else value - self.bound
        if short <= 0:
            return "held"
        missed = f"missed by {short / self.bound:.0%}" if self.bound else f"missed by {short:g}"
        low, high = spread(self.values)
        return missed + (", within the spread" if low <= self.bound <= high else "")

    @property
    def measured(self):
        if not self.values:
            return "-"
        low, high = spread(self.values)
        text = figure(statistics.median(self.values))
        return text + (f" ({figure(low)} to {figure(high)})" if len(self.values) > 1 else "")


def spread(values):
    """The quartiles: half of the rounds are between them."""
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def figure(value):
    return f"{value:,.0f}" if value == round(value) or value >= 100 else f"{value:.2f}"


def goals(results, system_calls=None, allocations=None, cold=None):
    """The last three are what `once` found; None where it did not look, a text where it could not."""
    return [*_hello(results), *_connections(results), *_status(results), *_pages(results), *_operated(results), *_encrypted(results), *_multiplexed(results), *_wsgi(results), *_conversations(results),
            *_streams(results), *_once(system_calls, allocations, cold), *_files(results)]


def _ratio(results, what, side, bound, key, above, below):
    """`above` and `below` are (case, server) or (case, server, variant)."""
    sides = [(*one, "")[:3] for one in (above, below)]
    problems = [text for one in sides for text in results.problems.get(one[:2], [])]
    missing = "not measured, see the notes of the case" if problems else "not in this run"
    return Goal(what, side, bound, results.ratios(key, *sides), " x", missing)


def _best(results, case, servers, key, choose):
    """The server that did best in a case, if any was measured."""
    medians = {name: results.median(case, name, key) for name in servers}
    return choose((name for name in medians if medians[name] is not None), key=medians.get, default=None)


def _hello(results):
    hello, ours = "hello world, keep-alive x64", ("keep-alive-64", "kirsch")
    for peer, bound in (("limit", 1.10), ("hyper", 1.0)):
        yield _ratio(results, f"{hello}: CPU per request against {peer}", "at most", bound, "cpu", ours, (ours[0], peer))
    for peer, bound in (("hyper", 1.0), ("actix-web", 1.0), ("tiny_http", 2), ("rouille", 2), ("cherrypy", 80)):
        yield _ratio(results, f"{hello}: req/s against {peer}", "at least", bound, "rate", ours, (ours[0], peer))
    for peer, bound in (("limit", 0.85), ("hyper", 1.0)):
        yield _ratio(results, f"pipelined 16 deep: req/s against {peer}", "at least", bound, "rate",
                     ("pipelined-16", "kirsch"), ("pipelined-16", peer))


def _connections(results):
    peers = [name for name in NAMES if name not in ("kirsch", "nginx", *SESSIONS, *WSGI, TUNGSTENITE, LIMIT_EVENTS)]
    for count in (1, 64):
        case = f"new-connection-{count}"
        best = _best(results, case, peers, "rate", max) or "the best peer"
        yield _ratio(results, f"new connection per request, `ab -c {count}`: req/s against the best peer, {best}".replace(", the best peer", ""),
                     "at least", 1.0, "rate", (case, "kirsch"), (case, best))
    case, none, many = "idle-10000", "none idle", f"{IDLE:,} idle"
    before, after = (results.rounds(case, "kirsch", label) for label in (none, many))
    memory = [(after[number].memory - before[number].memory) / IDLE for number in after if number in before]
    yield Goal("user memory of an idle keep-alive connection", "at most", 1.0, memory, " KiB")
    for suffix, how in (("", "as fast as they can"), ("-paced", "at a pace")):
        yield _ratio(results, f"p99 of 50 connections beside {many}, {how}: against none idle", "at most", 1.10, "p99",
                     (case + suffix, "kirsch", many), (case + suffix, "kirsch", none))
    for suffix, how in (("", "as fast as they can"), ("-paced", "at a pace")):
        sides = [("asleep-9-of-10" + suffix, "kirsch", label) for label in ("9 asleep", "free")]
        yield _ratio(results, f"p99 of 64 connections with 9 of 10 workers asleep, {how}: against free", "at most", 1.5, "p99", *sides)


def _status(results):
    pages = results.rounds("status", "kirsch", "parked").values()
    yield Goal(f"status page with {PARKED:,} parked requests", "at most", 20, [page.p50 for page in pages], " ms")
    alone, beside = (results.rounds("beside-status", "kirsch", who) for who in ("nobody looks", "somebody looks"))
    later = [max(0, beside[number].p999 - alone[number].p999) for number in beside if number in alone]
    yield Goal(f"hello world beside {PARKED:,} parked requests: later because somebody looks (p99.9)", "at most", 5, later, " ms")


def _pages(results):
    hello, counter = (("session-counter", "kirsch", label) for label in ("hello world", "counter"))
    yield _ratio(results, "session counter, implicit lock: req/s against hello world", "at least", 0.8, "rate", counter, hello)
    yield _ratio(results, "session counter, implicit lock: requests per CPU second against hello world", "at least", 0.8, "cpu", hello, counter)
    theirs = ("session-stores", "actix-session-redis", "10,000 sessions")
    for name, locked in (("kirsch-redis", "locked in Redis"), ("kirsch-alone-redis", "locked in the process")):
        what = f"session counter in Redis, {locked}, 10,000 sessions: req/s against actix-session, which locks nothing"
        yield _ratio(results, what, "at least", 1.0, "rate", ("session-stores", name, "10,000 sessions"), theirs)
    rounds = results.rounds("session-stores", "kirsch-memory", "one session").values()
    yield Goal("one session in memory, 64 clients: from one answer to the next, handler and all", "at most", 20, [1e6 / one.rate for one in rounds], " us")
    for name in SESSIONS:
        lost = [one.lost for one in results.rounds("session-stores", name, "one session").values()]
        if lost and name.startswith("kirsch"):
            yield Goal(f"one session, 64 clients, {name}: lost updates", "at most", 0, lost)
    cached, hello = (("cached", "kirsch", label) for label in ("cached", "hello world"))
    yield _ratio(results, "page from the cache: CPU per request against hello world", "at most", 1.3, "cpu", cached, hello)


def _operated(results):
    yield _ratio(results, "a line of JSON for each request: req/s against none", "at least", 0.85, "rate",
                 ("access-log", "kirsch-logged"), ("access-log", "kirsch-operated"))
    pages = results.rounds("metrics", "kirsch-operated", "/metrics").values()
    yield Goal("page of metrics", "at most", 1, [page.p50 for page in pages], " ms")


def _encrypted(results):
    case = "tls-keep-alive-64"
    plain, encrypted = (results.rounds(case, name) for name in ("kirsch-operated", "kirsch-tls"))
    beyond = [encrypted[number].cpu - plain[number].cpu for number in encrypted if number in plain]
    yield Goal("hello world by TLS, keep-alive x64: CPU beyond that of a plain request", "at most", 4, beyond, " us")
    case = "tls-handshakes"
    yield _ratio(results, "full handshakes for each CPU second against hyper with rustls", "at least", 0.95, "cpu",
                 (case, "hyper-tls", "full"), (case, "kirsch-tls", "full"))
    yield _ratio(results, "resumed handshakes for each CPU second against full ones", "at least", 2, "cpu",
                 (case, "kirsch-tls", "full"), (case, "kirsch-tls", "resumed"))
    plain, encrypted = ({number: (one.memory - before[number].memory) / 1000 for number, one in after.items() if number in before}
                        for before, after in ([results.rounds("tls-idle-1000", name, label) for label in ("none idle", "1,000 idle")]
                                              for name in ("kirsch-operated", "kirsch-tls")))
    beyond = [encrypted[number] - plain[number] for number in encrypted if number in plain]
    yield Goal("memory of an idle connection by TLS beyond that of a plain one", "at most", 4.5, beyond, " KiB")
    yield _ratio(results, "by TLS beside 1,000 stuck handshakes: p99 against alone", "at most", 1.1, "p99",
                 ("beside-handshakes", "kirsch-tls", "beside 1,000"), ("beside-handshakes", "kirsch-tls", "alone"))
    yield _ratio(results, "file of 1 GiB by TLS: downloads per CPU second against nginx", "at least", 0.9, "cpu",
                 ("tls-static-1g", "nginx-tls"), ("tls-static-1g", "kirsch-tls"))
    yield _ratio(results, "file of 10 MiB by TLS: requests per CPU second against nginx", "at least", 0.9, "cpu",
                 ("tls-static-10m", "nginx-tls"), ("tls-static-10m", "kirsch-tls"))


def _multiplexed(results):
    for connections, streams, bound in ((8, 32, 6), (32, 1, 14)):
        case, what = f"h2-{connections}x{streams}", f"hello world by HTTP/2, {connections} connections x {streams} at a time: CPU per request"
        yield Goal(what, "at most", bound, [one.cpu for one in results.rounds(case, "kirsch-h2c").values()], " us")
        for peer in ("hyper", "nginx"):
            yield _ratio(results, f"{what} against {peer}", "at most", 1.0, "cpu", (case, "kirsch-h2c"), (case, f"{peer}-h2c"))
    before, after = (results.rounds("h2-idle", "kirsch-h2c", label) for label in ("none idle", "1,000 idle"))
    memory = [(after[number].memory - before[number].memory) / 1000 for number in after if number in before]
    yield Goal("memory of an idle connection of HTTP/2", "at most", 25, memory, " KiB")
    for case, how in (("h2-page", "connections that stay"), ("h2-page-once", "a connection for each")):
        ours, theirs = (case, "kirsch-tls"), (case, "nginx-tls")
        yield _ratio(results, f"page of 100 files by HTTP/2 and TLS, {how}: pages per second against nginx", "at least", 1.0, "rate", ours, theirs)
        yield _ratio(results, f"page of 100 files by HTTP/2 and TLS, {how}: pages per CPU second against nginx", "at least", 1.0, "cpu", theirs, ours)
    case = "h2-beside-locked"
    yield _ratio(results, "hello world at a pace beside 100 streams of one locked session: p99 against alone", "at most", 2, "p99",
                 (case, "kirsch-h2c", "beside 100"), (case, "kirsch-h2c", "alone"))
    for kind in FLOODS:
        alone, beside, after = ((f"h2-beside-{kind}", "kirsch-h2c", label) for label in ("alone", "beside", "5 s later"))
        yield _ratio(results, f"hello world at a pace beside a flood of {kind} by HTTP/2: p99 against alone", "at most", 2, "p99", beside, alone)
        before, later = results.rounds(*alone), results.rounds(*after)
        grown = [(later[number].memory - before[number].memory) / 1024 for number in later if number in before]
        yield Goal(f"memory 5 s after a flood of {kind} by HTTP/2, beyond that before", "at most", 1, grown, " MiB")


def _wsgi(results):
    counter, ours = "song counter in WSGI, keep-alive x64", ("wsgi", "kirsch-wsgi")
    for peer, bound in (("granian", 1.0), ("gunicorn", 3), ("cherrypy-counter", 20)):
        yield _ratio(results, f"{counter}: req/s against {peer}", "at least", bound, "rate", ours, ("wsgi", peer))
    yield Goal(f"{counter}: p99", "at most", 5, [one.p99 for one in results.rounds(*ours).values()], " ms")
    sides = [("wsgi-beside", "kirsch-wsgi", label) for label in ("beside Python", "alone")]
    yield _ratio(results, "native song counter beside the one in Python, same process: req/s against alone", "at least", 0.45, "rate", *sides)


def _conversations(results):
    for peer in (TUNGSTENITE, "axum"):
        yield _ratio(results, f"echo by WebSocket, 64 connections: messages per second against {peer}", "at least", 1.0, "rate",
                     ("websocket-echo", "kirsch"), ("websocket-echo", peer))
    before, after = (results.rounds("websocket-idle", "kirsch", label) for label in ("none silent", f"{TALKING:,} silent"))
    memory = [(after[number].memory - before[number].memory) / TALKING for number in after if number in before]
    yield Goal("memory of a silent WebSocket", "at most", 3.5, memory, " KiB")
    rounds = results.rounds("websocket-room", "kirsch").values()
    yield Goal(f"a room of {TALKING:,}: CPU for each delivery", "at most", 6, [one.cpu for one in rounds], " us")
    yield _ratio(results, "hello world at a pace beside messages by WebSocket: p99 against axum", "at most", 1.0, "p99",
                 ("websocket-beside", "kirsch", "beside messages"), ("websocket-beside", "axum", "beside messages"))


def _streams(results):
    before, after = (results.rounds("events-idle", "kirsch", label) for label in ("none open", f"{STREAMS:,} open"))
    memory = [(after[number].memory - before[number].memory) / STREAMS for number in after if number in before]
    yield Goal("memory of an idle event stream", "at most", 2.5, memory, " KiB")
    rounds = results.rounds("events-told", "kirsch").values()
    yield Goal(f"an event to {STREAMS:,} streams: CPU for each delivery", "at most", 5.5, [one.cpu for one in rounds], " us")
    yield Goal(f"an event to {STREAMS:,} streams: from its publication to the last, p50", "at most", 60, [one.p50 for one in rounds], " ms")
    yield _ratio(results, "hello world at a pace beside steady news: p99 against alone", "at most", 3, "p99",
                 ("events-beside", "kirsch", "beside news"), ("events-beside", "kirsch", "alone"))


def _once(system_calls, allocations, cold):
    def looked(what, side, bound, found, value, unit=""):
        if found is None or isinstance(found, str):
            return Goal(what, side, bound, unit=unit, missing=found or "not in this run")
        return Goal(what, side, bound, [value(found)], unit)
    yield looked("system calls per keep-alive request, x64", "at most", 2.1, system_calls, lambda calls: sum(calls["kirsch"].values()))
    yield looked("heap allocations for a plain page", "at most", 0, allocations, lambda count: count)
    yield looked("crates in the tree of hello world, default features", "at most", 50, cold, lambda found: found[0]["kirsch"])
    for profile in ("dev", "release"):
        yield looked(f"cold build of hello world, profile {profile}: seconds against axum with tokio", "at most", 1.0, cold,
                     lambda found, profile=profile: found[1][profile, "kirsch"][0] / found[1][profile, "axum"][0], " x")


def _files(results):
    for size, words, bound in (("1k", "1 KiB", 1.0), ("100k", "100 KiB", 0.9), ("10m", "10 MiB", 0.9)):
        case = f"static-{size}"
        best = _best(results, case, ("actix-web", "axum"), "cpu", min) or "actix-web"
        named = {"actix-web": "actix-files", "axum": "tower-http"}[best]
        for peer, name, least in (("nginx", "nginx", bound), (best, f"the better of actix-files and tower-http, {named}", 1.0)):
            yield _ratio(results, f"file of {words}: requests per CPU second against {name}", "at least", least, "cpu",
                         (case, peer), (case, "kirsch"))
