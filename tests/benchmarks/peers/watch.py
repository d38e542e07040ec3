"""Runs a command and prints, after its output, the CPU seconds that it and its children took.

    python watch.py COMMAND ...

A process of its own, since a parent is told the sum of all its children.
"""

from __future__ import annotations

import resource
import subprocess
import sys

if __name__ == "__main__":
    status = subprocess.run(sys.argv[1:], check=False).returncode
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(used.ru_utime + used.ru_stime)
    sys.exit(status)
