"""What is asked of a server by WebSocket, by the program `websocket-load` (benches/peers): loads and settings, as in `loads`."""
import contextlib
import json
import subprocess

from . import processes
from .loads import Around, Measured
from .servers import LOAD_BY_WEBSOCKET, PEERS, Problem, target_folder


def echo(connections, window=1, deflates=False):
    """So many messages of 100 bytes are always under way on each connection, and come back."""
    def load(target, words=()):
        return parse(processes.run(_command(target, "echo", connections, target.seconds, window, *deflate(deflates))).stdout)
    load.path = None
    return load


def deflate(deflates):
    return ["deflate"] if deflates else []


def speak():
    """One of those that `talking` has opened speaks, and all hear it, again and again. A request is a delivery, and a latency the last one's."""
    def load(target, words):
        [program] = words
        program.stdin.write(f"{target.seconds}\n")
        program.stdin.flush()
        return parse(program.stdout.readline())
    load.path = None
    return load


def talking(connections):
    """So many conversations are in one room until the load has ended; each has heard something."""
    @contextlib.contextmanager
    def setting(target):
        with _started(target, "room", connections) as program:
            if program.stdout.readline() != "ready\n":
                raise Problem(f"does not open {connections} conversations: {processes.last_line(program.stderr.read())}")
            yield Around(words=[program])
    return setting


def flood(connections, window):
    """So many connections send messages as fast as they come back until the load has ended."""
    @contextlib.contextmanager
    def setting(target):
        with _started(target, "echo", connections, target.seconds + 30, window) as program:
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(0.6)
                raise Problem(f"does not answer messages: {processes.last_line(program.stderr.read())}")
            yield Around()
    return setting


@contextlib.contextmanager
def _started(target, *words):
    pipe = subprocess.PIPE
    with processes.start(_command(target, *words), stdin=pipe, stdout=pipe, stderr=pipe, text=True) as program:
        try:
            yield program
        finally:
            program.kill()


def _command(target, what, *words):
    return processes.on_core(target.load_core) + [target_folder(PEERS) / "release" / LOAD_BY_WEBSOCKET, what, target.port, *words]


def parse(line):
    if not line.startswith("{"):
        raise Problem("does not answer messages")
    return Measured(**json.loads(line))
