"""What no program can prevent: kills, a full disk, and clients that send without end."""

import base64
import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request
import zlib
from pathlib import Path

from program import end, start

ANNA = "Basic " + base64.b64encode(b"anna:correct horse").decode()
STORY = b'<entry xmlns="http://www.w3.org/2005/Atom"><title>Spring</title></entry>'


def png(width, height, seed, compression=6):
    """A picture, without any library."""
    def chunk(kind, content):
        return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)

    line = bytes([0]) + bytes((seed + place * 7) % 256 for place in range(3 * width))
    head = width.to_bytes(4) + height.to_bytes(4) + bytes([8, 2, 0, 0, 0])
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(line * height, compression))
            + chunk(b"IEND", b""))


class Troubles(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.data = Path(self.folder.name) / "data"
        self.program = None
        self.addCleanup(self.end)

    def start(self):
        self.program, self.base = start(self.folder.name, "--sample", "no")
        self.port = int(self.base.rsplit(":", 1)[1])

    def end(self, how="terminate"):
        if self.program:
            end(self.program, how)
            self.program = None

    def ask(self, method, path, body=None, kind="image/png"):
        headers = {"Authorization": ANNA, "Content-Type": kind, "Accept": "application/json"}
        request = urllib.request.Request(self.base + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def add_story(self):
        self.assertEqual(self.ask("POST", "/atom/stories", STORY, "application/atom+xml;type=entry")[0], 201)

    def add_photo(self, picture):
        return self.ask("POST", "/atom/albums/1", picture)

    def upload(self, framing):
        """The connection of an upload whose head is sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        head = f"POST /atom/albums/1 HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAuthorization: {ANNA}\r\n"
        connection.sendall(f"{head}Content-Type: image/png\r\n{framing}\r\n\r\n".encode())
        return connection

    def wait(self, condition, what, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.02)

    def originals(self):
        return [path.name for path in (self.data / "originals").iterdir()]

    def photos(self):
        status, content = self.ask("GET", "/")
        self.assertEqual(status, 200)
        return len(json.loads(content)["listed"]["photos"])

    def test_a_kill_in_the_middle_of_an_upload(self):
        self.start()
        self.add_story()
        picture = png(800, 600, 1, compression=0)
        with self.upload(f"Content-Length: {len(picture)}") as connection:
            connection.sendall(picture[:len(picture) // 10 * 9])
            self.wait(self.originals, "the file that is written")
            self.end("kill")
        self.start()
        self.assertNotIn(b"<entry>", self.ask("GET", "/atom/albums/1")[1])
        self.assertEqual(self.add_photo(picture)[0], 201)
        self.wait(lambda: self.photos() == 1, "the photo")

    def test_a_kill_while_pictures_are_made(self):
        self.start()
        self.add_story()
        for seed in range(4):
            self.assertEqual(self.add_photo(png(2400, 1600, seed))[0], 201)
        self.end("kill")
        self.start()
        self.wait(lambda: self.photos() == 4, "all photos")

    def test_an_upload_without_end_is_refused(self):
        self.start()
        self.add_story()
        with self.upload(f"Content-Length: {1 << 30}") as connection:
            self.assertIn(b" 413 ", connection.recv(100))
        with self.upload("Transfer-Encoding: chunked") as connection:
            sent = 0
            while sent < 1 << 30 and not select.select([connection], [], [], 0)[0]:
                connection.sendall(b"10000\r\n" + bytes(1 << 16) + b"\r\n")
                sent += 1 << 16
            self.assertIn(b" 413 ", connection.recv(100))
            self.assertLess(sent, 100 << 20)
        self.wait(lambda: not self.originals(), "an empty folder")
        self.assertEqual(self.add_photo(png(80, 60, 1))[0], 201)

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("mount"), "needs root, for a small disk of its own")
    def test_a_full_disk(self):
        self.data.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", self.data], capture_output=True)
        if mounted.returncode:
            self.skipTest("needs the right to mount a small disk")
        self.addCleanup(subprocess.run, ["umount", self.data])
        self.addCleanup(self.end)
        self.start()
        self.add_story()
        filler = self.data / "filler"
        filler.write_bytes(bytes(13 << 20))
        picture = png(1600, 1200, 1, compression=0)
        for _ in range(3):
            status, content = self.add_photo(picture)
            self.assertEqual((status, json.loads(content)["detail"]),
                             (507, "The disk of the server is full. The photo is not kept."))
            self.assertEqual(self.originals(), [])
        self.assertEqual(self.photos(), 0)
        filler.unlink()
        self.assertEqual(self.add_photo(picture)[0], 201)
        self.wait(lambda: self.photos() == 1, "the photo")
