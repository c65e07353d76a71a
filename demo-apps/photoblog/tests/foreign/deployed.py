"""The files of `deploy/` and of the guide's page as they are: nginx, TLS without a proxy, and a backup."""

import http.client
import json
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

from program import end, start
from troubles import ANNA, STORY, png

HERE = Path(__file__).parent
PACKAGE = HERE.parent.parent
LETSENCRYPT = "/etc/letsencrypt/live/photoblog.example"


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


class Deployed(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def start(self, folder, *options, **environment):
        program, base = start(folder, *options, **environment)
        self.addCleanup(end, program)
        return base

    def certificate(self):
        """The folder of a certificate for the blog, and a context that believes it."""
        key, file = (f"{self.folder.name}/{name}.pem" for name in ["privkey", "fullchain"])
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=photoblog.example", "-addext", "subjectAltName=DNS:photoblog.example",
                        "-keyout", key, "-out", file], check=True, capture_output=True)
        return self.folder.name, ssl.create_default_context(cafile=file)

    def ask(self, port, context, method, path, body=None, kind="", name="photoblog.example"):
        """A request to the blog under its name, wherever it listens."""
        connection = http_over_tls(port, context, name)
        headers = {"Host": name, "Authorization": ANNA, "Content-Type": kind, "Accept": "application/json"}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content

    def check(self, port, context):
        """What visitors and programs do, all of it by https."""
        answer, content = self.ask(port, context, "GET", "/feed")
        self.assertEqual(answer.status, 200)
        self.assertIn(b'href="https://photoblog.example/feed"', content)
        kind = "application/atom+xml;type=entry"
        answer, _ = self.ask(port, context, "POST", "/atom/stories", STORY, kind)
        self.assertEqual(answer.status, 201)
        place = answer.getheader("location")
        self.assertTrue(place.startswith("https://photoblog.example/atom/stories/"), place)
        album = place.rsplit("/", 1)[1]
        picture = png(1600, 1200, 3, compression=0)
        answer, _ = self.ask(port, context, "POST", f"/atom/albums/{album}", picture, "image/png")
        self.assertEqual(answer.status, 201)
        end = time.monotonic() + 60
        while not json.loads(self.ask(port, context, "GET", "/album/spring/")[1])["photos"]:
            self.assertLess(time.monotonic(), end, "the photo")
            time.sleep(0.05)
        answer, content = self.ask(port, context, "GET", "/login", kind="text/html")
        self.assertIn("secure", answer.getheader("set-cookie").lower())

    @unittest.skipUnless(shutil.which("nginx") and shutil.which("openssl"), "needs the Debian packages nginx, openssl")
    def test_behind_nginx(self):
        base = self.start(self.folder.name)
        certificates, context = self.certificate()
        (port,) = free_ports(1)
        site = (PACKAGE / "deploy/nginx.conf").read_text()
        for ours, here in [("127.0.0.1:8080", base.removeprefix("http://")), (LETSENCRYPT, certificates),
                           ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"), ("    listen [::]:443 ssl;\n", "")]:
            self.assertIn(ours, site)
            site = site.replace(ours, here)
        places = "".join(f"{kind}_temp_path {self.folder.name}/{kind};\n"
                         for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
        whole = (f"daemon off;\npid {self.folder.name}/pid;\nerror_log {self.folder.name}/errors;\nworker_processes 1;\n"
                 f"events {{}}\nhttp {{\naccess_log off;\n{places}{site}}}\n")
        Path(f"{self.folder.name}/nginx.conf").write_text(whole)
        command = ["nginx", "-p", self.folder.name, "-e", f"{self.folder.name}/errors", "-c", f"{self.folder.name}/nginx.conf"]
        nginx = subprocess.Popen(command)
        self.addCleanup(nginx.wait)
        self.addCleanup(nginx.terminate)
        wait_for(port)
        self.check(port, context)

    @unittest.skipUnless(shutil.which("openssl"), "needs the Debian package openssl")
    def test_alone_with_tls(self):
        certificates, context = self.certificate()
        home = Path(self.folder.name) / "home"
        for name in ["static", "templates"]:
            shutil.copytree(PACKAGE / name, home / name)
        page = (PACKAGE.parent.parent / "docs/guide/photoblog.md").read_text()
        recipe = page.split("```toml\n")[1].split("```")[0]
        for ours, here in [("[::]:443 tls", "127.0.0.1:0 tls"), ("[::]:80 redirect", "127.0.0.1:0 redirect"),
                           (LETSENCRYPT, certificates)]:
            self.assertIn(ours, recipe)
            recipe = recipe.replace(ours, here)
        (home / "photoblog.toml").write_text(recipe + (PACKAGE / "photoblog.toml").read_text())
        base = self.start(self.folder.name, PHOTOBLOG_HOME=str(home))
        self.assertTrue(base.startswith("https://"), base)
        self.check(int(base.rsplit(":", 1)[1]), context)

    @unittest.skipUnless(shutil.which("sqlite3"), "needs the Debian package sqlite3")
    def test_a_backup_is_a_blog(self):
        self.start(self.folder.name)
        copy = Path(self.folder.name) / "copy"
        for _ in range(2):
            subprocess.run([PACKAGE / "deploy/backup", f"{self.folder.name}/data", copy / "data"], check=True)
        base = self.start(copy, "--sample", "no")
        request = urllib.request.Request(base + "/album/by-the-sea/", headers={"Accept": "application/json"})
        photos = json.load(urllib.request.urlopen(request))["photos"]
        self.assertEqual(len(photos), 4)
        for photo in photos:
            urllib.request.urlopen(f"{base}/picture/{photo['file']}-1600.jpg").close()
            self.assertTrue((copy / "data/originals" / photo["file"]).exists())


def wait_for(port):
    end = time.monotonic() + 20
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def http_over_tls(port, context, name):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.sock = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=60), server_hostname=name)
    return connection
