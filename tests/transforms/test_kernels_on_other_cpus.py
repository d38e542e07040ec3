"""Signals and signatures have the same bits on a plain CPU as on this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = r"""
import hashlib, json, random, sys
import numpy as np, pyarrow as pa
from numba.core import config
from transforms.signals import measure
from transforms.signatures import bands, sign

random.seed(5)
vocabulary = ["the", "of", "Wort", "été", "中文", "ไทย", "हिन्दी", "x...", "…", "#1", "-", "•", "😀", "\u00a0"]
vocabulary += ["\n", "\n\n"]
texts = pa.array([" ".join(random.choices(vocabulary, k=random.randrange(400))) for _ in range(500)] + ["", "\n"])
signals = measure(texts)
signatures = sign(texts, ngram=5, permutations=112, seed=1)
digest = hashlib.sha256()
for column in signals.columns:
    digest.update(column.to_numpy().tobytes())
for row in signatures.to_pylist():
    digest.update(row or b"null")
digest.update(bands(signatures.drop_null(), bands=14, rows=8).tobytes())
features = [name for name, used in np._core._multiarray_umath.__cpu_features__.items() if used]
print(json.dumps({"digest": digest.hexdigest(), "cpu": config.CPU_NAME, "features": features}))
"""


def optional_features() -> list[str]:
    """What numpy has loops for, beyond its baseline, and this CPU can run."""
    core = np._core._multiarray_umath
    return [name for name in core.__cpu_dispatch__ if core.__cpu_features__[name]]


def run(**environment: str) -> dict:
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "NPY_"))}
    variables |= {"PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_plain_cpu_gives_the_same_bits(tmp_path):
    features = optional_features()
    if not features:
        pytest.skip("this CPU has nothing beyond numpy's baseline to switch off")
    here = run()
    plain = run(NUMBA_CPU_NAME="generic", NUMBA_CACHE_DIR=str(tmp_path), NPY_DISABLE_CPU_FEATURES=" ".join(features))
    assert plain["cpu"] == "generic"
    assert not set(features) & set(plain["features"])
    assert set(features) <= set(here["features"])
    assert here["cpu"] != "generic"
    assert plain["digest"] == here["digest"]
