"""Hello world and a counter in a session. Run with a port and `ram`, or `file` and a folder."""
import sys

import cherrypy


class Counter:
    @cherrypy.expose
    def index(self):
        cherrypy.response.headers["Content-Type"] = "text/plain; charset=utf-8"
        return "Hello, World!"

    @cherrypy.expose
    @cherrypy.config(**{"tools.sessions.on": True})
    def count(self):
        count = cherrypy.session.get("count", 0) + 1
        cherrypy.session["count"] = count
        cherrypy.response.headers["Content-Type"] = "text/plain; charset=utf-8"
        return str(count)


cherrypy.config.update({"server.socket_port": int(sys.argv[1]), "environment": "production", "server.thread_pool": 10})
if sys.argv[2] == "file":
    cherrypy.config.update({"tools.sessions.storage_class": cherrypy.lib.sessions.FileSession, "tools.sessions.storage_path": sys.argv[3]})
cherrypy.quickstart(Counter())
