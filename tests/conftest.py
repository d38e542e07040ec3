"""Before any kernel is compiled: a cache of compiled kernels that is only good for these sources.

numba looks at the file of the kernel it compiles, and not at the files whose functions that kernel calls.
"""

import hashlib
import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "transforms").glob("*.py"))
VERSION = hashlib.sha256(b"".join(path.read_bytes() for path in SOURCES)).hexdigest()[:16]
os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / ".numba-cache" / VERSION))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
