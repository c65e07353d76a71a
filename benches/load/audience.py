"""Clients of an event stream, for `benches/compare`: one thread, one epoll.

    audience.py PORT STREAMS     follows /events so many times, publishes once, and says `ready` when all have heard it

Then each line of its input is an order, and each answer a line of JSON:

    tell SECONDS     publishes an event of 100 bytes by POST /publish, and again when all have heard it
    steady EACH      publishes one each so many seconds until its input ends, and answers nothing
"""
import json
import os
import select
import socket
import statistics
import sys
import time

TEXT = (b'{"kind":"said","who":"anna","at":"12:31:07","text":"Is anybody here who has seen the bridge?","no":7}' * 2)[:100]
# It has none of its letters in any head or heartbeat.
MARK = TEXT[:24]
PATIENCE = 5


class Audience:
    def __init__(self, port, streams):
        self.port, self.poll, self.peers = port, select.epoll(), []
        for _ in range(streams):
            peer = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
            peer.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            if not peer.recv(4096).startswith(b"HTTP/1.1 200"):
                sys.exit(f"it opens no more than {len(self.peers)} streams")
            peer.setblocking(False)
            self.poll.register(peer, select.EPOLLIN)
            self.peers.append(peer)
        self.publisher = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)

    def publish(self):
        self.publisher.sendall(b"POST /publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(TEXT), TEXT))

    def answered(self):
        if not self.publisher.recv(4096).startswith(b"HTTP/1.1 200"):
            sys.exit("it does not publish")

    def heard(self, until):
        """Events that came until all streams have heard one, or until this moment."""
        count, most = 0, len(self.peers)
        read, mark = os.read, MARK
        while count < most and time.monotonic() < until:
            for peer, _ in self.poll.poll(until - time.monotonic(), most):
                piece = read(peer, 4096)
                if not piece:
                    sys.exit("it ends a stream")
                count += piece.count(mark)
        return count

    def told(self):
        """How long one event took to the last, in milliseconds; it must have come to each once."""
        begin = time.monotonic()
        self.publish()
        if self.heard(begin + PATIENCE) != len(self.peers):
            sys.exit("an event does not come to all")
        took = 1000 * (time.monotonic() - begin)
        self.answered()
        return took

    def tell(self, seconds):
        begin, times = time.monotonic(), []
        while time.monotonic() < begin + seconds:
            times.append(self.told())
        deliveries, times = len(times) * len(self.peers), sorted(times)
        return {
            "requests": deliveries, "rate": deliveries / (time.monotonic() - begin), "p50": statistics.median(times),
            "p99": times[-1 - len(times) // 100], "p999": times[-1], "errors": 0,
        }

    def steady(self, each):
        # The page beside it is measured, not these.
        os.nice(10)
        while not select.select([sys.stdin], [], [], 0)[0]:
            begin = time.monotonic()
            self.told()
            time.sleep(max(0, begin + each - time.monotonic()))


def main():
    audience = Audience(int(sys.argv[1]), int(sys.argv[2]))
    audience.told()
    print("ready", flush=True)
    while line := sys.stdin.readline():
        order, number = line.split()
        if order == "tell":
            print(json.dumps(audience.tell(float(number))), flush=True)
        else:
            audience.steady(float(number))


main()
