"""Before any kernel is compiled: a cache of compiled kernels that is only good for these sources.

numba looks at the file of the kernel it compiles, and not at the files whose functions that kernel calls.
"""

import contextlib
import hashlib
import importlib
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "transforms").glob("*.py"))
VERSION = hashlib.sha256(b"".join(path.read_bytes() for path in SOURCES)).hexdigest()[:16]
os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / ".numba-cache" / VERSION))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
settings.register_profile("without a clock", deadline=None)  # a busy machine is no failure
settings.load_profile("without a clock")


@pytest.fixture(scope="session")
def tf() -> Any:
    """TensorFlow. Triton, which torch's FSDP imports, aborts the process if it comes after it: see `trainer.tfdata`."""
    with contextlib.suppress(ImportError):
        importlib.import_module("triton")
    return pytest.importorskip(
        "tensorflow", reason="TFRECORD FILES ARE NOT CHECKED AGAINST TENSORFLOW: pip install tensorflow-cpu"
    )


def pytest_make_parametrize_id(val: object) -> str | None:
    """gzip writes the time into what it packs: as a test's name, two processes that share the tests would disagree."""
    return f"{len(val)} bytes of gzip" if isinstance(val, bytes) and val.startswith(b"\x1f\x8b") else None
