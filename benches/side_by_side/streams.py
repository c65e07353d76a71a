"""What is asked of a server by event streams, by `benches/load/audience.py`: loads and settings, as in `loads`."""
import contextlib
import json
import subprocess
import sys

from . import processes
from .loads import SCRIPTS, Around, Measured
from .servers import Problem


def tell():
    """The audience that `following` has opened hears an event of 100 bytes, again and again. A request is a delivery, and a latency the last one's."""
    def load(target, words):
        [program] = words
        line = _order(program, f"tell {target.seconds}")
        if not line.startswith("{"):
            raise Problem(f"does not tell all: {processes.last_line(program.stderr.read())}")
        return Measured(**json.loads(line))
    load.path = "/"
    return load


def following(streams, speaks=False, each=None):
    """So many event streams are open until the load has ended; each has heard something. `speaks`: the load is `tell`. `each`: an event is published
    meanwhile each so many seconds."""
    @contextlib.contextmanager
    def setting(target):
        command = processes.on_core(target.load_core) + [sys.executable, SCRIPTS / "audience.py", target.port, streams]
        pipe = subprocess.PIPE
        with processes.start(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as program:
            try:
                if program.stdout.readline() != "ready\n":
                    raise Problem(f"does not open {streams} streams: {processes.last_line(program.stderr.read())}")
                if each:
                    program.stdin.write(f"steady {each}\n")
                    program.stdin.flush()
                yield Around(words=[program] if speaks else [])
            finally:
                program.kill()
    return setting


def _order(program, line):
    program.stdin.write(f"{line}\n")
    program.stdin.flush()
    return program.stdout.readline()
