"""The WebDriver protocol, as far as the tests need it: a browser of one's own, elements, scripts, and waits."""

import json
import subprocess
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Driver:
    """The program that starts browsers."""

    def __init__(self):
        self.process = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if "started successfully on port" in line:
                port = line.rsplit(" ", 1)[1].strip(" .\n")
                self.url = f"http://127.0.0.1:{port}"
                return
        raise RuntimeError("chromedriver does not start")

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()

    def ask(self, method, path, content=None):
        body = None if method == "GET" else json.dumps(content or {}).encode()
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"].split("\n")[0]) from None


class Browser:
    """A browser without history or cookies."""

    def __init__(self, driver, scripts=True, languages="en"):
        options = {
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,900", f"--lang={languages}"],
            "prefs": {"profile.managed_default_content_settings.javascript": 1 if scripts else 2,
                      "intl.accept_languages": languages},
        }
        capabilities = {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}
        self.driver = driver
        self.path = "/session/" + driver.ask("POST", "/session", {"capabilities": capabilities})["sessionId"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ask("DELETE", "")

    def ask(self, method, path, content=None):
        return self.driver.ask(method, self.path + path, content)

    def open(self, url):
        self.ask("POST", "/url", {"url": url})

    def find(self, css):
        """Waits until the page has such an element."""
        return self.wait(lambda: self.ask("POST", "/element", {"using": "css selector", "value": css})[ELEMENT], css)

    def has(self, css):
        return bool(self.ask("POST", "/elements", {"using": "css selector", "value": css}))

    def click(self, css):
        self.ask("POST", f"/element/{self.find(css)}/click")

    def type(self, css, text, clear=True):
        element = self.find(css)
        if clear:
            self.ask("POST", f"/element/{element}/clear")
        self.ask("POST", f"/element/{element}/value", {"text": text})

    def press(self, key):
        actions = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def tab_to(self, css):
        """Presses Tab until such an element has the focus, as somebody without a mouse does."""
        for _ in range(200):
            self.press("\ue004")
            if self.run(f"return document.activeElement.matches({json.dumps(css)})"):
                return
        raise AssertionError(f"{css} cannot be reached by Tab")

    def keys(self, text):
        for letter in text:
            self.press(letter)

    def devtools(self, command, **parameters):
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def violations(self, checker):
        """What axe-core, whose source is `checker`, finds on the page."""
        self.devtools("Runtime.evaluate", expression=checker)
        script = """const done = arguments[0];
            axe.run(document).then((found) => done(found.violations.map((rule) =>
                `${rule.id}: ${rule.help}: ${rule.nodes.map((node) => node.html).join(" ")}`)), (error) => done([String(error)]));"""
        return self.ask("POST", "/execute/async", {"script": script, "args": []})

    def text(self, css="body"):
        return self.ask("GET", f"/element/{self.find(css)}/text")

    def run(self, script):
        return self.ask("POST", "/execute/sync", {"script": script, "args": []})

    def url(self):
        return self.ask("GET", "/url")

    def wait(self, condition, what, seconds=20):
        """Asks until the condition holds; never sleeps for longer than that takes."""
        end = time.monotonic() + seconds
        while True:
            try:
                value = condition()
                if value:
                    return value
                problem = "it does not hold"
            except RuntimeError as error:
                problem = error
            if time.monotonic() > end:
                raise AssertionError(f"{what}: {problem}\n{self.url()}")
            time.sleep(0.05)
