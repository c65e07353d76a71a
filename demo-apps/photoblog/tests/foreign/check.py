"""The photoblog as other programs see it: a browser, a feed reader, an Atom client, and a validator of XML.

`bash check photoblog` builds the program and runs this. Each part that needs a program which is not there is skipped,
with a line that names the Debian package.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from deployed import Deployed  # noqa: E402, F401
from program import end, start  # noqa: E402
from troubles import Troubles  # noqa: E402, F401
from webdriver import Browser, Driver  # noqa: E402

AXE = os.environ.get("AXE")

PAGES = ["/", "/albums", "/album/by-the-sea/", "/photo/1/", "/tags", "/tag/sea", "/archive/", "/search",
         "/desk/", "/desk/album/1/", "/desk/photo/1/", "/desk/by_script"]


def needs(program, package):
    return unittest.skipUnless(shutil.which(program), f"needs the Debian package {package}")


def runs(*command):
    return subprocess.run(command, capture_output=True).returncode == 0


class Site(unittest.TestCase):
    """A blog with sample photos, in a folder of its own."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.program, cls.base = start(cls.folder.name)
        cls.picture = f"{cls.folder.name}/picture.jpg"
        cls.get("/")
        originals = Path(cls.folder.name) / "data" / "originals"
        shutil.copy(next(originals.iterdir()), cls.picture)

    @classmethod
    def tearDownClass(cls):
        end(cls.program)
        cls.folder.cleanup()

    @classmethod
    def get(cls, path):
        with urllib.request.urlopen(cls.base + path, timeout=20) as answer:
            return answer.read()


class Programs(Site):
    @needs("jing", "jing")
    def test_documents_are_valid(self):
        documents = {
            "app.rnc": ["/atom/service", "/atom/categories"],
            "atom.rnc": ["/feed", "/feed?page=2", "/feed?tag=sea", "/feed?album=by-the-sea", "/atom/stories",
                         "/atom/albums/1", "/atom/stories/1", "/atom/photos/1"],
        }
        for grammar, paths in documents.items():
            files = []
            for number, path in enumerate(paths):
                files.append(f"{self.folder.name}/{grammar}.{number}.xml")
                Path(files[-1]).write_bytes(self.get(path))
            done = subprocess.run(["jing", "-c", HERE / grammar, *files], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout), (0, ""), grammar)

    @unittest.skipUnless(runs("/usr/bin/python3", "-c", "import feedparser"), "needs the Debian package python3-feedparser")
    def test_a_feed_reader_understands_the_feed(self):
        script = (
            "import feedparser, sys\n"
            "feed = feedparser.parse(sys.argv[1])\n"
            "assert not feed.bozo, feed.bozo_exception\n"
            "assert feed.version == 'atom10' and feed.feed.title == 'Cherry Light' and len(feed.entries) == 9\n"
            "for entry in feed.entries:\n"
            "    assert entry.published_parsed and entry.updated_parsed and entry.author == 'anna', entry\n"
            "    assert entry.enclosures[0].type == 'image/jpeg' and '<img' in entry.content[0].value, entry\n"
            "    assert entry.tags and entry.id.startswith('tag:'), entry\n"
            "again = feedparser.parse(sys.argv[1], etag=feed.etag)\n"
            "assert again.status == 304 and not again.entries\n"
        )
        done = subprocess.run(["/usr/bin/python3", "-c", script, f"{self.base}/feed"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    @unittest.skipUnless(runs("perl", "-MAtompub::Client", "-e1"), "needs the Debian package libatompub-perl")
    def test_a_foreign_client_publishes(self):
        command = ["perl", HERE / "client.pl", self.base, self.picture]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, "ok\n"), done.stderr)

    @needs("exiftool", "libimage-exiftool-perl")
    def test_pictures_tell_nothing(self):
        pictures = Path(self.folder.name) / "data" / "pictures"
        for picture in sorted(pictures.iterdir())[:6]:
            tags = subprocess.run(["exiftool", "-EXIF:all", "-XMP:all", "-IPTC:all", picture], capture_output=True, text=True)
            self.assertEqual(tags.stdout, "")


@needs("chromedriver", "chromium-driver")
class People(Site):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.driver = Driver()

    @classmethod
    def tearDownClass(cls):
        cls.driver.close()
        super().tearDownClass()

    def author(self, **options):
        browser = Browser(self.driver, **options)
        browser.open(f"{self.base}/desk/")
        browser.type("#name", "anna")
        browser.type("#password", "correct horse")
        browser.click("#login button")
        browser.find("#new-album")
        return browser

    def add_album(self, browser, title):
        browser.open(f"{self.base}/desk/")
        browser.type("#title", title)
        browser.click("#new-album [name=published]")
        browser.click("#new-album button")
        browser.find("#upload")

    def test_arrow_keys_turn_pages(self):
        with Browser(self.driver) as browser:
            browser.open(f"{self.base}/album/by-the-sea/")
            browser.click(".tiles a")
            first = browser.text("h1")
            browser.press("\ue014")
            browser.wait(lambda: browser.text("h1") != first, "the next photo")
            browser.press("\ue012")
            browser.wait(lambda: browser.text("h1") == first, "the photo before")

    def test_a_tile_fills_itself_after_an_upload(self):
        with self.author() as browser:
            self.add_album(browser, "With script")
            browser.type("#photos", self.picture, clear=False)
            browser.click("#upload button")
            browser.find(".desk li img")
            browser.wait(lambda: browser.run("return document.querySelector('.desk img').naturalWidth > 0"), "a picture")

    def test_a_text_is_saved_in_place(self):
        with self.author() as browser:
            browser.open(f"{self.base}/desk/album/1/")
            browser.type(".inline [name=caption]", "Typed in place")
            browser.click(".inline button")
            browser.wait(lambda: "Saved." in browser.text("#said"), "the sentence")
            browser.type(".inline [name=caption]", "Typed twice")
            browser.click(".inline button")
            place = browser.run("return document.querySelector('.inline').action").replace("/desk", "").replace("/edit", "/")
            with Browser(self.driver) as reader:
                def is_saved():
                    reader.open(place)
                    return "Typed twice" in reader.text()
                reader.wait(is_saved, "the second text")

    def test_everything_works_without_scripts(self):
        with self.author(scripts=False) as browser:
            self.add_album(browser, "Without script")
            browser.type("#photos", self.picture, clear=False)
            browser.click("#upload button")
            browser.find(".flash")
            browser.wait(lambda: browser.ask("POST", "/refresh") or browser.has(".desk img"), "the picture")
            browser.type(".inline [name=title]", "Plain")
            browser.click(".inline button")
            browser.wait(lambda: "Saved." in browser.text("main"), "the sentence")
            browser.click(".moves button:last-child")
            browser.wait(lambda: "Take back" in browser.text("main"), "the basket")
            browser.click(".plain button")
            browser.find(".inline")

    def test_a_script_logs_in_with_basic_and_digest(self):
        with self.author() as browser:
            browser.open(f"{self.base}/desk/by_script")
            for scheme in ["basic", "digest"]:
                browser.type("#password", "correct horse")
                browser.run("document.querySelector('#by-script [role=status]').textContent = ''")
                browser.click(f"[value={scheme}]")
                browser.wait(lambda: browser.text("#by-script [role=status]") == "Hello, anna", scheme)
                browser.type("#password", "wrong")
                browser.click(f"[value={scheme}]")
                browser.wait(lambda: browser.text("#by-script [role=status]").startswith("401"), f"{scheme}, refused")

    def test_the_language_is_the_browsers(self):
        with Browser(self.driver, languages="de") as browser:
            browser.open(f"{self.base}/")
            self.assertEqual(browser.text("h1"), "Neueste Fotos")

    def test_everything_is_done_without_a_mouse(self):
        with Browser(self.driver) as browser:
            browser.open(f"{self.base}/desk/")
            browser.press("\ue004")
            browser.press("\ue007")
            self.assertTrue(browser.url().endswith("#main"), "the first link skips to the content")
            browser.tab_to("#name")
            browser.keys("anna")
            browser.tab_to("#password")
            browser.keys("correct horse\ue007")
            browser.find("#new-album")
            browser.tab_to("main a[href$='/album/1/']")
            browser.press("\ue007")
            browser.find("#upload")
            browser.tab_to(".inline [name=tags]")
            browser.keys(" keyboard\ue007")
            browser.wait(lambda: "Saved." in browser.text("#said"), "the sentence")
            browser.tab_to(".moves [formaction$=later]")
            for place in ["2 /", "3 /"]:
                browser.press("\ue007")
                browser.wait(lambda: place in browser.text("#said"), f"place {place} and the focus still on the button")

    def test_a_comment_waits_for_an_author(self):
        with Browser(self.driver) as reader, self.author() as author:
            reader.open(f"{self.base}/photo/3/")
            reader.type("#comment [name=name]", "Rea")
            reader.type("#comment [name=text]", "What a light!")
            reader.click("#comment button")
            reader.wait(lambda: "once an author has read it" in reader.text(), "the thanks")
            self.assertNotIn("What a light!", reader.text())
            author.open(f"{self.base}/desk/")
            author.click(".comment button")
            author.wait(lambda: not author.has(".comment"), "the approval")
            reader.open(f"{self.base}/photo/3/")
            self.assertIn("What a light!", reader.text())

    @unittest.skipUnless(AXE, "needs axe.min.js of the npm package axe-core, named in the variable AXE")
    def test_pages_are_accessible(self):
        checker = Path(AXE).read_text()
        with self.author() as browser:
            for colours in ["light", "dark"]:
                features = [{"name": "prefers-color-scheme", "value": colours}]
                browser.devtools("Emulation.setEmulatedMedia", features=features)
                for path in [*PAGES, "/login", "/nowhere", "/search?text=sea"]:
                    browser.open(self.base + path)
                    self.assertEqual(browser.violations(checker), [], f"{path}, {colours}")

    def test_pages_have_names_for_everything(self):
        """The accessibility tree: each picture, link, button and field has a name, and each page one heading."""
        with self.author() as browser:
            for path in PAGES:
                browser.open(self.base + path)
                nameless = browser.run("""
                    const named = (node) => node.getAttribute("aria-label") || node.title || node.labels?.[0]?.textContent.trim()
                        || node.textContent.trim() || node.querySelector("img")?.alt;
                    const nodes = [...document.querySelectorAll("a, button, input:not([type=hidden]), textarea, select")];
                    return nodes.filter((node) => !named(node)).map((node) => node.outerHTML)
                        .concat([...document.querySelectorAll("img:not([alt])")].map((node) => node.outerHTML));""")
                self.assertEqual(nameless, [], path)
                self.assertEqual(browser.run("return document.querySelectorAll('h1').length"), 1, path)
                narrow = "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"
                browser.ask("POST", "/window/rect", {"width": 500, "height": 900})
                self.assertTrue(browser.run(narrow), f"{path} is wider than a phone")
                browser.ask("POST", "/window/rect", {"width": 1200, "height": 900})


if __name__ == "__main__":
    os.environ.pop("RUST_LOG", None)
    del Site  # has no tests of its own
    unittest.main(verbosity=2)
