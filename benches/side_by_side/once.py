"""What is looked at once in a run, since it hardly varies: system calls, allocations, cold builds. Each returns rows for the numbers."""
import os
import re
import resource
import shutil
import tempfile
import time
from pathlib import Path

from . import loads, processes
from .servers import ROOT, Problem, say

HELLO = {
    "kirsch": ('kirsch = { path = "%s" }' % (ROOT / "framework"), """
use kirsch::prelude::*;

struct Hello;

#[handlers]
impl Hello {
    #[expose]
    fn index(&self) -> &'static str {
        "Hello, World!"
    }
}

fn main() -> kirsch::Result {
    App::new(Hello).serve("127.0.0.1:8080")
}
"""),
    # As axum's own first example has it.
    "axum": ('axum = "0.8"\ntokio = { version = "1", features = ["full"] }', """
use axum::{Router, routing::get};

#[tokio::main]
async fn main() {
    let app = Router::new().route("/", get(|| async { "Hello, World!" }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await.unwrap();
    axum::serve(listener, app).await.unwrap();
}
"""),
}


def system_calls(servers, names):
    """System calls for each request, by server: name -> {call: count for each request}.

    Each server is watched for one second and for three; the difference is what requests cost, without the connecting.
    """
    if not shutil.which("strace"):
        raise Problem("strace is missing; on Debian: apt-get install strace")
    found = {}
    for name in names:
        short, long = (_traced(servers, name, seconds) for seconds in (1, 3))
        requests = long[1] - short[1]
        found[name] = {call: (count - short[0].get(call, 0)) / requests for call, count in long[0].items()}
    return found


def _traced(servers, name, seconds):
    """({call: count}, requests) of so many seconds."""
    with servers.running(name, pinned=True, seconds=seconds, path="/") as target, tempfile.NamedTemporaryFile("r+") as counted, \
            tempfile.TemporaryFile("w+") as said:
        command = ["strace", "-c", "-f", "-o", counted.name, "-p", target.pid]
        strace = processes.start(processes.on_core(processes.cores()[0] if target.load_core is not None else None) + command, stderr=said)
        try:
            end = time.monotonic() + 10
            while "attached" not in (complaint := _text(said)):
                if strace.poll() is not None or time.monotonic() > end:
                    raise Problem(f"strace does not attach (it needs root or kernel.yama.ptrace_scope=0): {processes.last_line(complaint)}")
                time.sleep(0.02)
            requests = loads.wrk(64)(target).requests
        finally:
            strace.terminate()
            strace.wait()
        return parse_strace(Path(counted.name).read_text()), requests


def _text(file):
    return os.pread(file.fileno(), 1 << 16, 0).decode(errors="replace")


def parse_strace(text):
    """{call: count} of the summary of `strace -c`."""
    rows = re.findall(r"(?m)^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", text)
    return {call: int(count) for count, call in rows if call != "total"}


def allocations():
    """Heap allocations in 10,000 plain pages, by the project's own test: its last words if it fails, else 0."""
    say("testing: cargo test -p integration-tests --test allocations")
    finished = processes.run(["cargo", "test", "--quiet", "-p", "integration-tests", "--test", "allocations"], timeout=1800, cwd=ROOT)
    if finished.returncode:
        raise Problem(f"cargo test -p integration-tests --test allocations: {processes.last_line(finished.stderr)}")
    return 0


def cold_builds():
    """Of hello world in fresh folders: crates by name; (seconds, CPU seconds) by (profile, name). The downloads are there before."""
    crates, builds = {}, {}
    with tempfile.TemporaryDirectory(prefix="kirsch-cold-") as scratch:
        for name, (dependencies, program) in HELLO.items():
            folder = Path(scratch, name)
            (folder / "src").mkdir(parents=True)
            package = '[package]\nname = "hello"\nversion = "0.0.0"\nedition = "2024"\n\n[workspace]\n\n[dependencies]\n'
            (folder / "Cargo.toml").write_text(package + dependencies + "\n")
            (folder / "src" / "main.rs").write_text(program.lstrip())
            if name == "kirsch":
                shutil.copy(ROOT / "Cargo.lock", folder)
            _cargo(folder, "fetch")
            tree = _cargo(folder, "tree", "--offline", "--prefix", "none", "--no-dedupe", "--edges", "normal,build", "--format", "{p}")
            crates[name] = len(set(tree.split("\n")) - {""})
        for profile in ("dev", "release"):
            for name in HELLO:
                say(f"building hello world with {name} from nothing, profile {profile}")
                begin, spent = time.monotonic(), _spent_by_children()
                _cargo(Path(scratch, name), "build", "--offline", "--quiet", "--profile", profile)
                builds[profile, name] = time.monotonic() - begin, _spent_by_children() - spent
    return crates, builds


def _spent_by_children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _cargo(folder, *arguments):
    # A target folder of its own, whatever is configured: cold is cold.
    environment = os.environ | {"CARGO_TARGET_DIR": str(folder / "target")}
    finished = processes.run(["cargo", *arguments], timeout=1800, cwd=folder, env=environment)
    if finished.returncode:
        raise Problem(f"cargo {arguments[0]} of hello world with {folder.name}: {processes.last_line(finished.stderr)}")
    return finished.stdout
