"""Hello world. Run with a port as the only argument."""
import sys

import cherrypy


class Hello:
    @cherrypy.expose
    def index(self):
        cherrypy.response.headers["Content-Type"] = "text/plain; charset=utf-8"
        return "Hello, World!"


cherrypy.config.update({"server.socket_port": int(sys.argv[1]), "environment": "production", "server.thread_pool": 10})
cherrypy.quickstart(Hello())
