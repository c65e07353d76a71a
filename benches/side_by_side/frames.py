"""Frames of HTTP/2 by hand (RFC 9113, section 4.1), and floods of them.

    python3 -m side_by_side.frames KIND PORT     says `ready`, sends them until it is ended, and says then how many were sent

The kinds: `resets` opens streams and resets each at once, `pings` and `settings` ask for nothing but an answer. It reads all that comes, and
connects again when the server has ended the connection.
"""
import contextlib
import itertools
import select
import signal
import socket
import sys

DATA, HEADERS, RST_STREAM, SETTINGS, PING = 0, 1, 3, 4, 6
END_STREAM, ACK, END_HEADERS = 1, 1, 4
CANCEL = (8).to_bytes(4, "big")
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# GET, http, / of the static table, and the host as a literal (RFC 7541, section 6).
GET = b"\x82\x86\x84\x01\x09localhost"
IN_A_PIECE = 1000


def frame(kind, flags=0, stream=0, content=b""):
    return len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + content


def opening(stream):
    return frame(HEADERS, END_STREAM | END_HEADERS, stream, GET)


def pieces(kind):
    """Bytes to send, each of as many frames, or pairs of frames."""
    if kind == "resets":
        for first in range(1, 1 << 31, 2 * IN_A_PIECE):
            streams = range(first, first + 2 * IN_A_PIECE, 2)
            yield b"".join(opening(stream) + frame(RST_STREAM, stream=stream, content=CANCEL) for stream in streams)
    else:
        one = {"pings": frame(PING, content=bytes(8)), "settings": frame(SETTINGS)}[kind]
        yield from itertools.repeat(one * IN_A_PIECE)


def ask(peer, stream=1):
    """One request on a connection that has just been opened. True if its answer has come whole."""
    peer.sendall(PREFACE + frame(SETTINGS) + opening(stream) + frame(SETTINGS, ACK))
    with peer.makefile("rb") as answer:
        while head := answer.read(9):
            answer.read(int.from_bytes(head[:3], "big"))
            if head[3] in (DATA, HEADERS) and head[4] & END_STREAM:
                return True
    return False


def flood(kind, port, sent):
    """One connection, to its end. `sent` counts bytes and connections."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as peer, contextlib.suppress(OSError):
        sent["connections"] += 1
        peer.setblocking(False)
        more = pieces(kind)
        unsent = memoryview(PREFACE + frame(SETTINGS))
        while True:
            readable, writable, _ = select.select([peer], [peer], [])
            if readable and not peer.recv(1 << 18):
                return
            if writable:
                unsent = unsent or memoryview(next(more))
                count = peer.send(unsent)
                unsent = unsent[count:]
                sent["bytes"] += count


def main(kind, port):
    sent = {"bytes": 0, "connections": 0}
    a_piece = len(next(pieces(kind)))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    print("ready", flush=True)
    try:
        while True:
            flood(kind, int(port), sent)
    finally:
        print(f"{sent['bytes'] // (a_piece // IN_A_PIECE):,} {kind} on {sent['connections']:,} connections", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
