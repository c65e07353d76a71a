"""The song counter in raw WSGI on CherryPy's server. Run with a port as the only argument."""
import sys

from cheroot.wsgi import Server

from counter import application

Server(("127.0.0.1", int(sys.argv[1])), application, numthreads=10).start()
