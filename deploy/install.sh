#!/bin/sh
# What the image of workers and launcher holds, made below ROOT from the checkout SOURCE:
#
#   ROOT/venv       Python with the locked libraries and our wheel, and nothing that only tests need
#   ROOT/models     lid.176.ftz, its digest checked
#   ROOT/kernels    numba's cache of every kernel, for the processor that NUMBA_CPU_NAME names
#
# The Dockerfile runs it with ROOT=/opt/winnow, build_root.py with any folder: the two hold the same.
# Usage: install.sh SOURCE ROOT
set -eu
source=$(cd "$1" && pwd)
mkdir -p "$2"
root=$(cd "$2" && pwd)
. "$source/deploy/environment.sh"

"${PYTHON:-python3}" -m venv "$root/venv"
python="$root/venv/bin/python"
"$python" -m pip install --quiet --no-cache-dir --upgrade pip
"$python" -m pip install --quiet --no-cache-dir -r "$source/requirements.lock" -r "$source/requirements-gcp.lock"

# The wheel is made from a copy: setuptools leaves build/ behind in the folder it builds in.
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
for name in pyproject.toml README.md LICENSE pipelines schemas transforms; do cp -R "$source/$name" "$build/"; done
"$python" -m pip install --quiet --no-cache-dir --no-deps "$build"

# numba compares a source's time of change with the one it remembers, and layers of an image keep whole seconds.
packages=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
find "$packages/pipelines" "$packages/schemas" "$packages/transforms" -name '*.py' -exec touch -d '2026-01-01T00:00:00Z' {} +

cd "$build" && rm -rf pipelines schemas transforms  # from here on the installed packages, not the sources
WINNOW_LANGUAGE_MODEL='' WINNOW_CACHE="$root/models" "$python" -m pipelines.models
# One run of the sample compiles every kernel for the types it meets at work, and shows that the image can do the job.
"$python" -m pipelines.sample "$build/sample"
"$python" -m pipelines.clean --output "$build/run" --input "web=$build/sample/web" --input "wet=$build/sample/wet" \
  --input "json=$build/sample/json"
"$python" -m compileall -q "$packages/pipelines" "$packages/schemas" "$packages/transforms"
