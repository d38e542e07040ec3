"""Runs a command and prints, after its output, the CPU seconds that it and its children took.

    python watch.py COMMAND ...

A process of its own, since a parent is told the sum of all its children.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys

LIMIT_S = 900
"""Only so that a tool that hangs does not keep the others from the table."""


def watched(command: list[str]) -> int:
    """The command's exit status. It and its children end with this process, or after LIMIT_S seconds."""
    process = subprocess.Popen(command, start_new_session=True)
    try:
        return process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        print(f"stopped after {LIMIT_S} s", file=sys.stderr)
        return 124
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


if __name__ == "__main__":
    status = watched(sys.argv[1:])
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(used.ru_utime + used.ru_stime)
    sys.exit(status)
