"""The application of the tests: the first segment of the path names a function below."""
import gc
import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from urllib.parse import parse_qs
from wsgiref.validate import validator

TEXT = [("Content-Type", "text/plain; charset=utf-8")]
closed = []


def application(environ, start_response):
    name = environ["PATH_INFO"].strip("/").split("/")[0]
    return globals()["page_" + name](environ, start_response)


validated = validator(application)
not_callable = "a text"


def make_application():
    return application


def parameter(environ, name, default=""):
    return parse_qs(environ["QUERY_STRING"]).get(name, [default])[0]


def answer(start_response, text):
    start_response("200 OK", list(TEXT))
    return [text.encode()]


def page_hello(environ, start_response):
    return answer(start_response, "Hello from Python")


def page_environ(environ, start_response):
    wanted = [key for key in environ if key.isupper() or key.startswith("wsgi.") and type(environ[key]) in (str, bool, tuple)]
    return answer(start_response, "".join(f"{key}={environ[key]!r}\n" for key in sorted(wanted)))


def paths(environ, start_response):
    return answer(start_response, f"{environ['SCRIPT_NAME']!r} {environ['PATH_INFO']!r}")


# Bodies

def page_read(environ, start_response):
    content = environ["wsgi.input"].read()
    return answer(start_response, str(len(content)))


def page_read_some(environ, start_response):
    content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return answer(start_response, content.decode())


def page_read_again(environ, start_response):
    body = environ["wsgi.input"]
    again = [body.read(), body.read(), body.read(5), body.readline(), body.readlines(), list(body)]
    return answer(start_response, f"{again!r} {environ.get('CONTENT_LENGTH')} {environ['wsgi.input_terminated']}")


def page_lines(environ, start_response):
    body = environ["wsgi.input"]
    return answer(start_response, repr([body.readline(), body.readline(2), body.read(3), body.readlines(4), list(body)]))


def page_echo(environ, start_response):
    start_response("200 OK", list(TEXT))
    for line in environ["wsgi.input"]:
        yield line


def page_answers_anyway(environ, start_response):
    try:
        environ["wsgi.input"].read()
    except OSError as error:
        return answer(start_response, f"no matter: {error}")
    return answer(start_response, "read")


# What is closed

class Failing(Exception):
    pass


def items(kind):
    if kind == "first":
        raise Failing("at the first item")
    yield b"one"
    if kind == "later":
        raise Failing("at a later item")
    for _ in range(10_000 if kind == "gone" else 2):
        yield b"more" * 1000


class Apart:
    """Makes an iterator of its own, so whoever closes the iterator has not closed this."""

    def __init__(self, name, kind):
        self.name, self.kind = name, kind

    def __iter__(self):
        return iter(items(self.kind))

    def close(self):
        closed.append(self.name)


class ListOfItems(list):
    name = ""

    def close(self):
        closed.append(self.name)


def generator(name, kind):
    try:
        yield from items(kind)
    finally:
        closed.append(name)


def page_closing(environ, start_response):
    name, kind = parameter(environ, "name"), parameter(environ, "kind")
    status = {"304": "304 Not Modified", "204": "204 No Content"}.get(kind, "200 OK")
    start_response(status, [] if status != "200 OK" else list(TEXT))
    of = parameter(environ, "of")
    if of == "list":
        result = ListOfItems([b"one", b"two"])
        result.name = name
        return result
    return Apart(name, kind) if of == "apart" else generator(name, kind)


def page_closed(environ, start_response):
    return answer(start_response, str(closed.count(parameter(environ, "name"))))


class CloseFails(list):
    def close(self):
        raise Failing("in close")


def page_close_fails(environ, start_response):
    start_response("200 OK", list(TEXT))
    return CloseFails([b"whole"])


# The head

def page_twice(environ, start_response):
    start_response("200 OK", list(TEXT))
    start_response("201 Created", list(TEXT))
    return [b""]


def page_replaces(environ, start_response):
    start_response("200 OK", list(TEXT))
    try:
        raise Failing("before the head is out")
    except Failing:
        start_response("502 Bad Gateway", list(TEXT), sys.exc_info())
    return [b"replaced"]


def page_replaces_late(environ, start_response):
    start_response("200 OK", list(TEXT))
    yield b"one"
    try:
        raise Failing("behind the head")
    except Failing:
        start_response("500 Oh", list(TEXT), sys.exc_info())
    yield b"never"


def page_not_started(environ, start_response):
    return [b"no head"]


def page_late_start(environ, start_response):
    yield b""
    start_response("200 OK", list(TEXT))
    yield b"late"


def page_writes(environ, start_response):
    write = start_response("200 OK", list(TEXT))
    write(b"one ")
    write(b"two ")
    return iter([b"three"])


writers = []


def page_writes_late(environ, start_response):
    if writers:
        writers.pop()(b"too late")
    writers.append(start_response("200 OK", list(TEXT)))
    return [b"whole"]


def page_empties(environ, start_response):
    start_response("200 OK", list(TEXT))
    for item in (b"", b"one", b"", b"", b"two", b""):
        yield item


def page_naps(environ, start_response):
    start_response("200 OK", list(TEXT))
    yield b"before"
    while not os.path.exists(parameter(environ, "until")):
        time.sleep(0.005)
    yield b"behind"


def page_text_items(environ, start_response):
    start_response("200 OK", list(TEXT))
    return ["text"]


HEADS = {
    "hop": ("200 OK", [("Connection", "close")]),
    "name": ("200 OK", [("Not a name", "x")]),
    "control": ("200 OK", [("X-Split", "a\r\nSet-Cookie: b=c")]),
    "beyond": ("200 OK", [("X-Beyond", "\u20ac")]),
    "lengths": ("200 OK", [("Content-Length", "1"), ("Content-Length", "2")]),
    "status": ("two hundred", []),
    "interim": ("100 Continue", []),
    "number": (200, []),
    "shape": ("200 OK", ["Content-Type"]),
}


def page_head(environ, start_response):
    start_response(*HEADS[parameter(environ, "of")])
    return [b"x"]


def page_cookies(environ, start_response):
    start_response("200 Fine", TEXT + [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Latin", "\xe4")])
    return [b"cookies"]


def page_promise(environ, start_response):
    start_response("200 OK", TEXT + [("Content-Length", parameter(environ, "length"))])
    chunks = [b"12345", b"67890"]
    if environ["REQUEST_METHOD"] == "HEAD":
        return []
    return chunks if parameter(environ, "of") == "list" else iter(chunks)


# Files

def page_file(environ, start_response):
    file = tempfile.TemporaryFile()
    file.write(b"0123456789" * 100_000)
    file.seek(5)
    start_response("200 OK", list(TEXT))
    return environ["wsgi.file_wrapper"](file, 4096)


def page_no_file(environ, start_response):
    start_response("200 OK", list(TEXT))
    return environ["wsgi.file_wrapper"](io.BytesIO(b"not a real file"), 4)


# Failures

def page_raises(environ, start_response):
    raise ValueError("a bad value")


def page_raises_started(environ, start_response):
    start_response("200 OK", [("X-Half", "done")])
    raise ValueError("behind start_response")


def page_exits(environ, start_response):
    sys.exit(3)


def page_interrupted(environ, start_response):
    raise KeyboardInterrupt


class Untellable(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def page_untellable(environ, start_response):
    raise Untellable


def page_says(environ, start_response):
    print("said to the log:", parameter(environ, "text"), file=environ["wsgi.errors"])
    environ["wsgi.errors"].write("without an end")
    return answer(start_response, "said")


# Locks of the application

lock = threading.Lock()


def page_reads_with_a_lock(environ, start_response):
    with lock:
        return page_read(environ, start_response)


def page_yields_with_a_lock(environ, start_response):
    start_response("200 OK", list(TEXT))
    with lock:
        for _ in range(20):
            yield b"x" * 100_000


# Time

def page_busy(environ, start_response):
    while not os.path.exists(parameter(environ, "until")):
        pass
    return answer(start_response, "was busy")


def page_sleeps(environ, start_response):
    time.sleep(float(parameter(environ, "seconds")))
    return answer(start_response, "slept")


def page_drips(environ, start_response):
    start_response("200 OK", list(TEXT))
    while True:
        yield b"drop"
        time.sleep(0.05)


def page_keeps_the_lock(environ, start_response):
    import ctypes
    ctypes.PyDLL(None).usleep(int(1_000_000 * float(parameter(environ, "seconds"))))
    return answer(start_response, "kept it")


def page_prints(environ, start_response):
    print("printed by a page")
    return answer(start_response, "printed")


def page_leaves_a_thread(environ, start_response):
    threading.Thread(target=time.sleep, args=(600,), daemon=False).start()
    return answer(start_response, "left")


def page_sets_a_signal(environ, start_response):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return answer(start_response, "set")


def page_runs(environ, start_response):
    sleeper = subprocess.Popen(["sleep", "60"])
    done = subprocess.run(["echo", "from a program"], capture_output=True)
    return answer(start_response, f"{sleeper.pid} {done.stdout.decode()}")


def page_forks(environ, start_response):
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return answer(start_response, "forked")


local = threading.local()


def page_of_thread(environ, start_response):
    local.calls = getattr(local, "calls", 0) + 1
    return answer(start_response, str(local.calls))


def page_objects(environ, start_response):
    gc.collect()
    return answer(start_response, str(len(gc.get_objects())))


def page_gone(environ, start_response):
    return answer(start_response, str(environ["kirsch.client_gone"]()))
