"""What the image holds, built into a folder where there is no Docker daemon.

    python deploy/build_root.py FOLDER        then: FOLDER/run python -m pipelines.clean --help

The steps are deploy/install.sh, which the Dockerfile runs too. FOLDER/run starts a command with the image's variables.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
RUN = """\
#!/bin/sh
# A command with the variables of the image.
root=$(cd "$(dirname "$0")" && pwd)
. "$root/environment.sh"
exec "$@"
"""


def build(folder: Path) -> None:
    """Raises CalledProcessError if a step fails; what it said stands on stderr."""
    subprocess.run(
        ["sh", str(SOURCE / "deploy" / "install.sh"), str(SOURCE), str(folder)], check=True,
        env={**os.environ, "PYTHON": sys.executable},
    )
    (folder / "environment.sh").write_bytes((SOURCE / "deploy" / "environment.sh").read_bytes())
    run = folder / "run"
    run.write_text(RUN)
    run.chmod(0o755)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    build(Path(sys.argv[1]))
