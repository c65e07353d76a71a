"""Children of the script, and what the kernel knows of them.

Every child dies with the script, however that ends: the kernel is told at its start (PR_SET_PDEATHSIG).
"""
import ctypes
import os
import re
import signal
import subprocess
import time
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


def start(command, **options):
    return subprocess.Popen([str(word) for word in command], preexec_fn=_die_with_parent, **options)


def run(command, timeout=120, **options):
    """Runs to the end; the text of both outputs is in the answer."""
    words = [str(word) for word in command]
    return subprocess.run(words, preexec_fn=_die_with_parent, capture_output=True, text=True, timeout=timeout, **options)


def _die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def cores():
    return sorted(os.sched_getaffinity(0))


def on_core(core):
    """The words before a command that hold it on this core; None leaves it to the kernel."""
    return [] if core is None else ["taskset", "-c", str(core)]


class Processor:
    """CPU time of a process: all its threads, also those that ended."""

    def __init__(self, pid):
        # The kernel's clock of the process counts nanoseconds; the split of user and system is known in ticks only.
        self.seconds = time.clock_gettime((~pid << 3) | 2)
        self.user, self.system = parse_stat(Path(f"/proc/{pid}/stat").read_text())

    def since(self, earlier):
        """(user, system) in seconds."""
        seconds, user, system = self.seconds - earlier.seconds, self.user - earlier.user, self.system - earlier.system
        share = user / (user + system) if user + system else 0.0
        return seconds * share, seconds * (1 - share)


def parse_stat(text):
    """Ticks in user mode and in the kernel, of /proc/PID/stat. The name of the program may hold spaces and brackets."""
    fields = text.rsplit(")", 1)[1].split()
    return int(fields[11]), int(fields[12])


def resident(pid):
    """Resident memory in KiB."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])
