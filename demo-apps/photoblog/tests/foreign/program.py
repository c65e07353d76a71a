"""The program under test: how it is started, and how it ends."""

import os
import subprocess
import sys

PROGRAM = sys.argv.pop(1)


def start(folder, *options, **environment):
    """Starts the program with its data in `folder`, and returns it with the first of its addresses."""
    with open(f"{folder}/log", "a") as log:
        command = [PROGRAM, "--port", "0", "--data", f"{folder}/data", *options]
        program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True,
                                   env=os.environ | environment)
    return program, program.stdout.readline().removeprefix("Serving on ").strip()


def end(program, how="terminate"):
    getattr(program, how)()
    program.wait()
    program.stdout.close()
