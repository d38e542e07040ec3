# The variables that everything in the image runs with; $root is where it was installed. The Dockerfile states the same
# for /opt/winnow, and a test compares the two.
export WINNOW_LANGUAGE_MODEL="$root/models/lid.176.ftz"
export NUMBA_CACHE_DIR="$root/kernels"
# Any x86 machine that Dataflow offers has these vectors (Haswell, 2013, and later). For Arm give another name.
export NUMBA_CPU_NAME="${NUMBA_CPU_NAME:-x86-64-v3}"
export NUMBA_CPU_FEATURES="${NUMBA_CPU_FEATURES:-}"
# Beam's boot would make an environment of its own at each start of a worker.
export RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1
export PATH="$root/venv/bin:$PATH"
