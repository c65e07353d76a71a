"""Runs test programs that cargo has built, several at once, since many of them wait more than they work.

    cargo test --workspace ... --no-run --message-format=json | python3 tests/side_by_side.py

Each runs as cargo would run it: in the folder of its package, with what cargo puts into its environment. What a program prints is shown
if it fails. The programs at the top of LONGEST begin first, so that none of them is left over at the end.

Tests that failed beside others run once more at the end, with nothing beside them. One that passes then depends on how busy the machine
is: it is named as unsteady, and somebody has to mend it, but it does not fail the run. One that fails again does.
"""
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

LONGEST = ("redis", "postgres", "kirsch", "browser", "memcached", "session_stores", "file_store", "cluster")
# Their tests wait for engines and leases more than they work: they get more threads than there are processors.
PATIENT = ("redis", "postgres", "memcached", "session_stores")
# More failures than this are no matter of a busy machine.
MOST_REPEATED = 3
AT_ONCE = max(2, os.cpu_count() or 1)
THREADS = str(3 * (os.cpu_count() or 1))
# Where the compiler keeps the libraries that a macro's tests load.
LIBRARIES = subprocess.run(["rustc", "--print", "target-libdir"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def programs(messages):
    """The test programs among cargo's messages: name, program, manifest."""
    for line in messages:
        if not line.startswith("{"):
            continue
        message = json.loads(line)
        if message["reason"] == "build-finished" and not message["success"]:
            sys.exit(1)
        if message["reason"] == "compiler-artifact" and message["profile"]["test"] and message["executable"]:
            yield message["target"]["name"], message["executable"], message["manifest_path"]


def run(test, only=()):
    """Runs all tests of a program, or `only` those of these names: the names of the tests that failed, or None if it ended in another way."""
    name, program, manifest = test
    folder = os.path.dirname(manifest)
    environment = dict(os.environ, CARGO_MANIFEST_DIR=folder)
    environment["LD_LIBRARY_PATH"] = f"{os.path.dirname(program)}:{LIBRARIES}"
    if name in PATIENT:
        environment.setdefault("RUST_TEST_THREADS", THREADS)
    begun = time.monotonic()
    ended = subprocess.run([program, *only], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, check=False)
    took = time.monotonic() - begun
    if ended.returncode:
        output = ended.stdout.decode(errors="replace")
        print(f"\n{name} has failed ({program}):\n{output}", flush=True)
        return re.findall(r"^test (\S+) \.\.\. FAILED$", output, re.MULTILINE) or None
    if took >= 10:
        print(f"{name}: {took:.0f} s", flush=True)
    return []


def passes_alone(test, failed):
    """Whether the tests that failed pass with nothing beside them."""
    if not failed or len(failed) > MOST_REPEATED or run(test, ("--exact", "--test-threads=1", *failed)) != []:
        return False
    print(f"UNSTEADY, they passed alone: {test[0]}: {', '.join(failed)}", flush=True)
    return True


def main():
    tests = list(programs(sys.stdin))
    if not tests:
        sys.exit("there are no test programs among cargo's messages")
    tests.sort(key=lambda test: LONGEST.index(test[0]) if test[0] in LONGEST else len(LONGEST))
    with ThreadPoolExecutor(AT_ONCE) as threads:
        failures = list(threads.map(run, tests))
    passed = [failed == [] or passes_alone(test, failed) for test, failed in zip(tests, failures)]
    print(f"{sum(passed)} of {len(tests)} test programs have passed")
    sys.exit(not all(passed))


if __name__ == "__main__":
    main()
