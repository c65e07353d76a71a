"""The song counter in raw WSGI: a function, a regular expression, and a dictionary under a lock."""
import re
from threading import Lock

SONG = re.compile(r"/song/([^/]+)$")
counts = {}
lock = Lock()


def application(environ, start_response):
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    song = SONG.match(path)
    if song and method in ("GET", "HEAD", "POST"):
        return text(start_response, str(count(song.group(1), method == "POST")))
    if path in ("", "/") and method in ("GET", "HEAD"):
        with lock:
            return text(start_response, ",".join(f"{id}={count}" for id, count in sorted(counts.items())))
    if path in ("", "/") and method == "DELETE":
        with lock:
            counts.clear()
        return text(start_response, "OK")
    return text(start_response, "no such song", "404 Not Found")


def count(song, is_played):
    with lock:
        if is_played:
            counts[song] = counts.get(song, 0) + 1
        return counts.get(song, 0)


def text(start_response, content, status="200 OK"):
    content = content.encode("latin-1")
    start_response(status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(content)))])
    return [content]
