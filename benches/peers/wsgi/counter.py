"""The song counter of wsgi/demo below `/wsgi`, for any WSGI server: `counter:application`."""
import ctypes
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "wsgi" / "demo"))

import song_counter

# Servers with processes of their own leave them behind when they are killed: the kernel ends this one with its parent.
if os.environ.get("WITH_PARENT"):
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def application(environ, start_response):
    environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix("/wsgi")
    return song_counter.application(environ, start_response)
