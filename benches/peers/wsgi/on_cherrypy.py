"""The song counter as CherryPy writes it, below `/wsgi`. Run with a port as the only argument."""
import sys
from threading import Lock

import cherrypy

counts = {}
lock = Lock()


@cherrypy.expose
class Song:
    def GET(self, song):
        cherrypy.response.headers["Content-Type"] = "text/plain; charset=utf-8"
        with lock:
            return str(counts.get(song, 0))

    def POST(self, song):
        with lock:
            counts[song] = counts.get(song, 0) + 1
            return str(counts[song])


@cherrypy.expose
class Root:
    song = Song()


cherrypy.config.update({"server.socket_port": int(sys.argv[1]), "environment": "production", "server.thread_pool": 10})
cherrypy.quickstart(Root(), "/wsgi", {"/": {"request.dispatch": cherrypy.dispatch.MethodDispatcher()}})
