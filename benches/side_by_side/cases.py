"""The cases: which load on which servers, and what to know when reading the figures."""
import resource
from dataclasses import dataclass

from .conversations import echo, flood, speak, talking
from .loads import ab, asleep, beside, downloads, handshakes, idle, nothing, parked, sessions, stuck, wrk
from .multiplexed import flooded, h2load, later, locked, parts, silent
from .servers import ENCRYPTED, LIMIT_EVENTS, MULTIPLEXED, NAMES, OPERATED, SESSIONS, TUNGSTENITE, WSGI
from .streams import following, tell

# Of each process, this one and the server. What is left is for the server's own files and its reserve.
DESCRIPTORS = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
IDLE = 10_000 if DESCRIPTORS == resource.RLIM_INFINITY else max(50, min(10_000, DESCRIPTORS - 700))
PARKED = min(8_000, IDLE)
STREAMS = PARKED
TALKING = PARKED
LESS_IDLE = "" if IDLE == 10_000 else f" (as many as the limit of {DESCRIPTORS:,} descriptors allows)"

ALL = tuple(name for name in NAMES if name not in ("nginx", *OPERATED, *ENCRYPTED, *MULTIPLEXED, *SESSIONS, *WSGI, TUNGSTENITE, LIMIT_EVENTS))
# limit-tls takes one connection after another.
ENCRYPTED_SERVERS = tuple(name for name in ENCRYPTED if name != "limit-tls")
TALKERS = ("kirsch", "axum", TUNGSTENITE)
TELLERS = ("kirsch", "axum", "actix-web")
FILE_SERVERS = ("kirsch", "actix-web", "axum", "nginx")
# A thread for each connection is no way to 10,000.
EVENT_SERVERS = ("limit", "kirsch", "hyper", "actix-web")
FLOODS = {"resets": "streams that are opened and reset", "pings": "PING", "settings": "SETTINGS"}
PINNED = "Server on one core, load on the other"


def without(*names):
    return tuple(name for name in ALL if name not in names)


CLOSING = without("limit", "may_minihttp", "khttp")


@dataclass(frozen=True)
class Variant:
    """One of the loads that a case puts on the same server process, one after another."""

    label: str
    load: object
    setting: object = nothing


@dataclass(frozen=True)
class Case:
    name: str
    note: str
    variants: tuple
    servers: tuple = ALL
    quick: tuple = ()
    pinned: bool = True
    # Whom the ratios in the table refer to; with several variants they refer to the first of them.
    base: str = "limit"

    @property
    def path(self):
        return self.variants[-1].load.path


def one(load):
    return (Variant("", load),)


CASES = [
    Case("keep-alive-64", f"Hello world, 64 connections. {PINNED}.", one(wrk(64)),
         quick=("limit", "kirsch", "hyper", "actix-web", "tiny_http")),
    Case("keep-alive-64-unpinned", "The same; the kernel places both.", one(wrk(64)), pinned=False),
    Case("keep-alive-1", f"One connection, one request at a time: latency. {PINNED}.", one(wrk(1))),
    Case("keep-alive-1000", f"1,000 connections. {PINNED}.", one(wrk(1000))),
    Case("pipelined-16", f"64 connections, 16 requests in each write. {PINNED}. No latencies: wrk takes the time of 16 for that of one. "
         "khttp loses such requests, CherryPy is not made for them", one(wrk(64, script="pipelined.lua")),
         servers=without("khttp", "cherrypy"), quick=("limit", "kirsch", "hyper")),
    Case("new-connection-1", "`ab -c 1`: a connection for each request. The kernel places both. limit, may_minihttp and khttp are not here: they leave "
         "the connection open.", one(ab(1)), servers=CLOSING, pinned=False, base="hyper"),
    Case("new-connection-64", "`ab -c 64`: the same with 64 at once.", one(ab(64)), servers=CLOSING, pinned=False, base="hyper",
         quick=("kirsch", "hyper", "actix-web", "tiny_http")),
    Case("asleep-9-of-10", "64 connections ask as fast as they can; then the same while 9 of the server's 10 workers sleep in handlers. "
         f"{PINNED}, so that both are always busy: most of the time is spent waiting in the queues of both, and the ratio says what the missing "
         "workers cost a server at its limit.",
         (Variant("free", wrk(64)), Variant("9 asleep", wrk(64), asleep(9))), servers=("kirsch",), quick=("kirsch",)),
    Case("asleep-9-of-10-paced", "The same, but each connection waits for 0 to 10 ms before its next request (about 12,000 req/s): neither "
         "core is ever full, so the latency is the server's own, with a sleeping worker to be woken for most requests.",
         (Variant("free", wrk(64, script="paced.lua")), Variant("9 asleep", wrk(64, script="paced.lua"), asleep(9))),
         servers=("kirsch",), quick=("kirsch",)),
    Case("idle-10000", f"50 connections ask as fast as they can; then the same beside {IDLE:,} idle connections{LESS_IDLE}, which had one answer "
         f"each. {PINNED}. The memory of an idle connection is the difference of the resident memory.",
         (Variant("none idle", wrk(50)), Variant(f"{IDLE:,} idle", wrk(50), idle(IDLE))), servers=EVENT_SERVERS, quick=("kirsch",)),
    Case("idle-10000-paced", "The same at the pace of asleep-9-of-10-paced.",
         (Variant("none idle", wrk(50, script="paced.lua")), Variant(f"{IDLE:,} idle", wrk(50, script="paced.lua"), idle(IDLE))),
         servers=("kirsch", "hyper")),
    Case("status", f"/status, one at a time; then the same with {PARKED:,} requests that wait for one session, of which the page shows 1,000. {PINNED}.",
         (Variant("none parked", wrk(1, "/status")), Variant("parked", wrk(1, "/status"), parked(PARKED))), servers=("kirsch",)),
    # Of their own, since a server keeps requests whose clients have gone until their wait is over: three times as many are too many connections.
    Case("beside-status", f"Hello world at the pace of asleep-9-of-10-paced beside {PARKED:,} requests that wait for one session; then while /status is opened "
         f"10 times a second as well. {PINNED}.",
         (Variant("nobody looks", wrk(64, script="paced.lua"), parked(PARKED)),
          Variant("somebody looks", wrk(64, script="paced.lua"), parked(PARKED, looks=10))), servers=("kirsch",)),
    Case("session-counter", "64 connections ask for hello world; then for a page that adds one to a number in the session, with the implicit "
         f"lock, over 256 sessions in turn. {PINNED}.",
         (Variant("hello world", wrk(64)), Variant("counter", wrk(64, "/count", "cookies.lua"), sessions(256, "/count"))),
         servers=("kirsch",), quick=("kirsch",)),
    Case("session-stores", "64 connections ask for hello world; then for a page that adds one to a number in the session, over 10,000 sessions in turn; then the "
         "same with one session for all 64. The kernel places server, load and engine. Lost updates: answers that said a number was added which is not "
         "there at the end; at most 64 may go unseen. kirsch locks the session in every store, kirsch-alone (`sessions.shared = false`) and CherryPy within their process, actix-session nowhere.",
         (Variant("hello world", wrk(64)), Variant("10,000 sessions", wrk(64, "/count", "cookies.lua"), sessions(10_000, "/count")),
          Variant("one session", wrk(64, "/count", "cookies.lua"), sessions(1, "/count"))),
         servers=tuple(SESSIONS), pinned=False),
    Case("wsgi", f"The song counter in raw WSGI, 64 connections; cherrypy-counter is the same as CherryPy writes it. One process and one Python for all. CPU "
         f"and memory of granian and gunicorn are those of their parent, which does nothing. {PINNED}.", one(wrk(64, "/wsgi/song/42")),
         servers=tuple(WSGI), base="kirsch-wsgi"),
    Case("wsgi-beside", f"The native song counter alone; then beside 64 connections that ask for the one in Python, in the same process. {PINNED}.",
         (Variant("alone", wrk(64, "/song/42")), Variant("beside Python", wrk(64, "/song/42"), beside("/wsgi/song/42"))), servers=("kirsch-wsgi",),
         base="kirsch-wsgi"),
    Case("cached", f"64 connections ask for hello world; then for a page that comes out of the cache. {PINNED}.",
         (Variant("hello world", wrk(64)), Variant("cached", wrk(64, "/cached"))), servers=("kirsch",), quick=("kirsch",)),
    Case("access-log", f"Hello world, 64 connections; kirsch-logged writes a line of JSON for each through its queue into a file. {PINNED}, with the "
         "thread that writes the log.", one(wrk(64)), servers=("kirsch-operated", "kirsch-logged"), base="kirsch-operated"),
    Case("metrics", f"Hello world, /status and /metrics, one at a time. {PINNED}.",
         (Variant("hello world", wrk(1)), Variant("/status", wrk(1, "/status")), Variant("/metrics", wrk(1, "/metrics"))), servers=("kirsch-operated",)),
    Case("tls-keep-alive-64", f"Hello world by TLS 1.3 and without, 64 connections. {PINNED}.", one(wrk(64)),
         servers=("kirsch-operated", "hyper", *ENCRYPTED_SERVERS), base="kirsch-operated"),
    Case("tls-handshakes", "`openssl s_time`: one connection after another with a request each, by TLS 1.3 and a key on P-256; then the same with the ticket "
         f"of the first. The client needs about as long as the server, so CPU decides. limit-tls is rustls alone, on blocking sockets. {PINNED}.",
         (Variant("full", handshakes(resumed=False)), Variant("resumed", handshakes(resumed=True))), servers=tuple(ENCRYPTED), base="limit-tls"),
    Case("tls-idle-1000", f"One connection asks as fast as it can; then the same beside 1,000 idle connections, which had one answer each. {PINNED}. "
         "The memory of an idle connection is the difference of the resident memory.",
         (Variant("none idle", wrk(1)), Variant("1,000 idle", wrk(1), idle(1000))), servers=("kirsch-operated", "hyper", *ENCRYPTED_SERVERS)),
    Case("tls-idle-10000", f"The same with {IDLE:,} idle connections{LESS_IDLE}.",
         (Variant("none idle", wrk(1)), Variant(f"{IDLE:,} idle", wrk(1), idle(IDLE))), servers=("kirsch-tls",)),
    Case("beside-handshakes", "By TLS at the pace of asleep-9-of-10-paced; then beside 1,000 connections that have sent five bytes of a ClientHello. "
         f"{PINNED}.", (Variant("alone", wrk(64, script="paced.lua")), Variant("beside 1,000", wrk(64, script="paced.lua"), stuck(1000))),
         servers=("kirsch-tls",), base="kirsch-tls"),
    Case("tls-static-1g", f"A file of 1 GiB by TLS, by one curl after another. {PINNED}.", one(downloads("/static/1g.bin")),
         servers=("kirsch-tls", "nginx-tls"), base="nginx-tls"),
    Case("tls-static-10m", f"A file of 10 MiB by TLS, 16 connections. {PINNED}.", one(wrk(16, "/static/10m.bin")),
         servers=("kirsch-tls", "nginx-tls"), base="nginx-tls"),
    *(Case(f"h2-{connections}x{streams}", f"Hello world by HTTP/2 without encryption, {connections} connections with {streams} at a time on each. {PINNED}.",
           one(h2load(connections, streams)), servers=tuple(MULTIPLEXED), base="nginx-h2c") for connections, streams in ((8, 32), (32, 1))),
    Case("h2-idle", f"One connection of HTTP/2 asks as fast as it can; then the same beside 1,000 idle ones, which had one answer each. {PINNED}. "
         "The memory of an idle connection is the difference of the resident memory.",
         (Variant("none idle", h2load(1, 1)), Variant("1,000 idle", h2load(1, 1), silent(1000))), servers=tuple(MULTIPLEXED)),
    *(Case(name, f"A page of 100 files of 1 to 8 KiB by HTTP/2 and TLS, 8 connections that ask for a whole page at once{how}; a request is a file. {PINNED}.",
           one(parts(8, stay)), servers=("kirsch-tls", "nginx-tls"), base="nginx-tls")
      for name, stay, how in (("h2-page", True, ""), ("h2-page-once", False, ", and connect for each"))),
    Case("h2-beside-locked", "Hello world by HTTP/1.1 at the pace of asleep-9-of-10-paced; then beside a connection of HTTP/2 with 100 requests of one session, "
         f"of which each keeps the session's lock for 10 ms. {PINNED}.",
         (Variant("alone", wrk(64, script="paced.lua")), Variant("beside 100", wrk(64, script="paced.lua"), locked(100))), servers=("kirsch-h2c",)),
    *(Case(f"h2-beside-{kind}", f"The same beside a flood of {words} by HTTP/2, from a program that leaves its core to the load; and 5 s later. {PINNED}.",
           (Variant("alone", wrk(64, script="paced.lua")), Variant("beside", wrk(64, script="paced.lua"), flooded(kind)),
            Variant("5 s later", later(wrk(64, script="paced.lua"), 5))), servers=("kirsch-h2c",))
      for kind, words in FLOODS.items()),
    Case("websocket-echo", f"Messages of 100 bytes by WebSocket, 64 connections, one at a time on each; a request is a message that came back. {PINNED}.",
         one(echo(64)), servers=TALKERS, base=TUNGSTENITE),
    Case("websocket-deflate", "The same as it is; then compressed both ways (permessage-deflate), which the others cannot do. "
         f"{PINNED}.", (Variant("plain", echo(64)), Variant("compressed", echo(64, deflates=True))), servers=("kirsch",)),
    Case("websocket-idle", f"One connection sends messages of 100 bytes; then the same beside {TALKING:,} that are silent in a room, where each has heard "
         f"something. {PINNED}. The memory of a silent connection is the difference of the resident memory.",
         (Variant("none silent", echo(1)), Variant(f"{TALKING:,} silent", echo(1), talking(TALKING))), servers=TALKERS),
    Case("websocket-room", f"{TALKING:,} conversations in a room; one says 100 bytes, and when all have heard it, it speaks again. A request is a delivery; "
         f"the latencies are those of the last who hears a message. {PINNED}.", (Variant("", speak(), talking(TALKING)),), servers=TALKERS, base=TUNGSTENITE),
    Case("websocket-beside", "Hello world at the pace of asleep-9-of-10-paced; then beside 8 connections that always have 64 messages of 100 bytes under way. "
         f"{PINNED}.",
         (Variant("alone", wrk(64, script="paced.lua")), Variant("beside messages", wrk(64, script="paced.lua"), flood(8, 64))), servers=("kirsch", "axum")),
    Case("events-idle", f"One connection asks for hello world; then the same beside {STREAMS:,} event streams, where each has heard something. {PINNED}. "
         "The memory of a stream is the difference of the resident memory.",
         (Variant("none open", wrk(1)), Variant(f"{STREAMS:,} open", wrk(1), following(STREAMS))), servers=TELLERS),
    Case("events-told", f"{STREAMS:,} event streams; an event of 100 bytes is published, and when all have heard it, the next one. A request is a delivery; "
         f"the latencies are those of the last who hears an event. limit-events is one `send` for each. {PINNED}.",
         (Variant("", tell(), following(STREAMS, speaks=True)),), servers=(LIMIT_EVENTS, *TELLERS), base=LIMIT_EVENTS),
    Case("events-beside", f"Hello world at the pace of asleep-9-of-10-paced; then while {STREAMS:,} event streams are told something 4 times a second. {PINNED}.",
         (Variant("alone", wrk(64, script="paced.lua")), Variant("beside news", wrk(64, script="paced.lua"), following(STREAMS, each=0.25))), servers=TELLERS),
    *(Case(f"static-{size}", f"A file of {words}, {connections} connections; requests per CPU second are a million by the CPU for each. {PINNED}.",
           one(wrk(connections, f"/static/{size}.bin")), servers=FILE_SERVERS, base="nginx", quick=quick)
      for size, words, connections, quick in (("1k", "1 KiB", 64, ("kirsch", "nginx")), ("100k", "100 KiB", 64, ()), ("10m", "10 MiB", 16, ()))),
]
