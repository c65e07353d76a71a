"""The load test: how quick the blog is with 1,000 photos, and whether uploads slow its pages down.

    cargo build --release -p photoblog
    python3 -B demo-apps/photoblog/tests/foreign/load.py target/release/photoblog

It needs wrk, takes a minute, and talks to nobody but the program that it starts. The program has one core and the load
the other. Each line has the goal beside the figure; a goal that is missed does not fail, since the machine may be slow.
"""

import concurrent.futures
import json
import os
import re
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from program import end, start
from troubles import ANNA, STORY, png

PHOTOS = 1000


def ask(url, body=None, kind="", **headers):
    headers = {"Authorization": ANNA, "Content-Type": kind, "Accept": "application/json", **headers}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=120) as answer:
        return answer.headers, answer.read()


def add_photo(base, picture):
    ask(f"{base}/atom/albums/1", picture, "image/png")


def ready(base):
    return json.loads(ask(f"{base}/albums")[1])["albums"][0]["photos"]


def wait_until(condition):
    while not condition():
        time.sleep(0.02)


def memory(program, field):
    return int(re.search(rf"{field}:\s+(\d+)", Path(f"/proc/{program.pid}/status").read_text())[1]) / 1024


def wrk(url, seconds=4, connections=16, **headers):
    """The rate, and the latency in milliseconds that 99 % of the answers had at most."""
    fields = [part for name, value in headers.items() for part in ("-H", f"{name.replace('_', '-')}: {value}")]
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *fields, url]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in text and "If_None_Match" not in headers:
        raise RuntimeError(text)
    amount, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]), float(amount) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def starting(folder):
    times = []
    for number in range(5):
        place = Path(folder) / f"start{number}"
        place.mkdir()
        before = time.monotonic()
        program, _ = start(place, "--sample", "no")
        times.append((time.monotonic() - before) * 1000)
        end(program)
    return statistics.median(times)


def timed(work):
    before = time.monotonic()
    work()
    return (time.monotonic() - before) * 1000


def say(what, figure, goal):
    print(f"{what:<64} {figure:>10}   {goal}", flush=True)


with tempfile.TemporaryDirectory() as folder:
    say("start", f"{starting(folder):.0f} ms", "at most 50 ms")
    os.sched_setaffinity(0, {0})
    program, base = start(folder, "--sample", "no")
    os.sched_setaffinity(0, {1})
    try:
        say("memory at rest, without photos", f"{memory(program, 'VmRSS'):.0f} MB", "at most 60 MB")
        ask(f"{base}/atom/stories", STORY, "application/atom+xml;type=entry")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda seed: add_photo(base, png(60 + seed % 40, 40 + seed // 256, seed)), range(PHOTOS)))
        wait_until(lambda: ready(base) == PHOTOS)

        rate, calm = wrk(f"{base}/", connections=4)
        say(f"front page, {PHOTOS} photos, by 4 connections", f"{rate:.0f}/s", "at least 4000/s on one core")
        say("the same, 99 % of the answers", f"{calm:.2f} ms", "")
        tag = ask(f"{base}/feed")[0]["ETag"]
        say("feed that has not changed (304)", f"{wrk(f'{base}/feed', If_None_Match=tag)[0]:.0f}/s", "0.8 x hello world")
        say("health check, the smallest page there is", f"{wrk(f'{base}/health/live')[0]:.0f}/s", "")

        uploads = [timed(lambda: add_photo(base, png(1300, 1300, seed, compression=0))) for seed in range(5)]
        say("upload of 5 MB, until it is kept", f"{statistics.median(uploads):.0f} ms", "at most 60 ms")
        wait_until(lambda: ready(base) == PHOTOS + 5)

        large = [png(4000, 3000, seed, compression=1) for seed in range(3)]
        add_photo(base, large[0])
        say("three pictures of 12 megapixels (PNG)", f"{timed(lambda: wait_until(lambda: ready(base) == PHOTOS + 6)):.0f} ms",
            "at most 1500 ms")
        for picture in large[1:]:
            add_photo(base, picture)
        wait_until(lambda: ready(base) == PHOTOS + 8)
        say("memory at most, two of them at a time", f"{memory(program, 'VmHWM'):.0f} MB", "at most 250 MB")

        pictures = [png(1600, 1200, seed) for seed in range(20)]
        uploading = threading.Thread(target=lambda: [add_photo(base, picture) for picture in pictures])
        uploading.start()
        _, busy = wrk(f"{base}/", connections=4)
        uploading.join()
        say("front page during 20 uploads, 99 % of the answers", f"{busy:.2f} ms", f"at most 3 x {calm:.2f} ms")
    finally:
        end(program)
