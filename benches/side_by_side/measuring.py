"""One measurement, and the rounds of them.

Rounds are interleaved over cases and servers, so that a noisy minute hits all of them, and so that the two sides of a ratio are measured
within seconds of each other.
"""
import statistics
import subprocess
import sys
import time

from . import processes
from .servers import Problem


class Results:
    """What was measured: for each case, server and variant a `Measured` for each round that had one."""

    def __init__(self):
        self.measured, self.problems = {}, {}

    def add(self, case, server, number, found):
        for label, measured in found.items():
            self.measured.setdefault((case, server, label), {})[number] = measured

    def complain(self, case, server, problem):
        self.problems.setdefault((case, server), []).append(problem)

    def gave_up(self, case, server):
        """Two failures, and no more time is spent."""
        return len(self.problems.get((case, server), [])) > 1

    def rounds(self, case, server, label=""):
        return self.measured.get((case, server, label), {})

    def median(self, case, server, key, label=""):
        values = [getattr(measured, key) for measured in self.rounds(case, server, label).values()]
        values = [value for value in values if value is not None]
        return statistics.median(values) if values else None

    def ratios(self, key, above, below):
        """One ratio for each round that has both sides; a side is (case, server, label)."""
        above, below = self.rounds(*above), self.rounds(*below)
        pairs = [(getattr(above[number], key), getattr(below[number], key)) for number in above if number in below]
        return [one / other for one, other in pairs if one is not None and other]


def measure_all(plan, rounds, seconds, servers):
    results, begin, total = Results(), time.monotonic(), len(plan) * rounds
    for number in range(rounds):
        for place, (case, name) in enumerate(plan):
            progress(number * len(plan) + place, total, begin, f"round {number + 1}: {case.name} {name}")
            if results.gave_up(case.name, name):
                continue
            try:
                results.add(case.name, name, number, measure(case, name, seconds, servers))
            except (Problem, OSError, subprocess.TimeoutExpired) as problem:
                results.complain(case.name, name, str(problem))
    progress(total, total, begin, "measured")
    print(file=sys.stderr)
    return results


def measure(case, name, seconds, servers):
    """The variants of a case, one after another on one fresh server: label -> Measured."""
    found = {}
    with servers.running(name, pinned=case.pinned, seconds=seconds, path=case.path) as target:
        for variant in case.variants:
            with variant.setting(target) as around:
                before = processes.Processor(target.pid)
                measured = variant.load(target, around.words)
                user, system = processes.Processor(target.pid).since(before)
                measured.user, measured.system = (part / measured.requests * 1e6 for part in (user, system))
                measured.memory = processes.resident(target.pid)
                lost = around.lost()
                if around.count_lost:
                    measured.lost = around.count_lost(measured.requests - measured.errors)
            if lost > len(around.held) / 10:
                raise Problem(f"lost {lost} of {len(around.held)} connections that the load goes on beside")
            measured.errors += lost
            found[variant.label] = measured
    return found


def progress(done, total, begin, what):
    if not sys.stderr.isatty():
        return
    width, spent = 30, time.monotonic() - begin
    left = f"{spent / done * (total - done) / 60:.0f} min left" if done > 3 else ""
    bar = "#" * (width * done // max(1, total))
    print(f"\r[{bar:.<{width}}] {done}/{total} {left} {what:<45}", end="", file=sys.stderr, flush=True)
