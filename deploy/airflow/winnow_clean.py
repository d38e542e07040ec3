"""The main job under Airflow: a task a stage. Copy this file into the folder of DAGs, and set, where Airflow runs,

    WINNOW_INPUTS          options of pipelines.ingest, as a shell takes them: --input 'crawl=/data/crawl/*/*.warc.gz'
    WINNOW_OUTPUT          folder of the run
    WINNOW_OPTIONS         options of every stage: --workers 8
    WINNOW_SCHEDULE        when (default @daily; empty: only by hand)
    WINNOW_RETRY_MINUTES   between tries of a task (default 5)
    WINNOW_PYTHON          the Python that has winnow (default python)
    WINNOW_IMAGE           instead of a process on Airflow's worker, each task is a pod of this image

A task that fails is tried again and goes on with the parts that are not finished. One that finds the output held by
another run is skipped, with those after it. A run without new files finds every stage complete.
"""

from __future__ import annotations

import os
import shlex
from datetime import UTC, datetime, timedelta

from airflow import DAG
from airflow.models.baseoperator import BaseOperator, chain

STAGES = ("ingest", "dedupe", "filter", "tokenizer", "encode", "report")
HELD = 5
"""Exit status: another run has the output. See pipelines/exits.py."""
TOLD = ("WINNOW_WEBHOOK", "AWS_REGION", "AWS_ENDPOINT_URL")
"""What a pod gets of this environment. Keys come to it by its service account."""


def command(stage: str) -> list[str]:
    """`python -m pipelines.STAGE …`. Only the first stage is told of inputs and recipes: the others read run.json."""
    inputs = os.environ.get("WINNOW_INPUTS", "") if stage == STAGES[0] else ""
    options = shlex.split(inputs) + shlex.split(os.environ.get("WINNOW_OPTIONS", ""))
    output = os.environ.get("WINNOW_OUTPUT", "")
    return ["-m", f"pipelines.{stage}", *options, f"--output={output}"]


def task(stage: str) -> BaseOperator:
    image = os.environ.get("WINNOW_IMAGE")
    if image:
        from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

        return KubernetesPodOperator(
            task_id=stage, name=f"winnow-{stage}", image=image, cmds=["/opt/winnow/venv/bin/python"],
            arguments=command(stage), env_vars={name: os.environ[name] for name in TOLD if name in os.environ},
            skip_on_exit_code=HELD, get_logs=True, on_finish_action="delete_succeeded_pod",
        )
    from airflow.operators.bash import BashOperator

    python = os.environ.get("WINNOW_PYTHON", "python")
    # exec: so that Airflow's SIGTERM reaches the stage, and not a shell
    return BashOperator(task_id=stage, bash_command=f"exec {shlex.join([python, *command(stage)])}",
                        skip_on_exit_code=HELD, append_env=True)


with DAG(
    "winnow_clean",
    description="Raw archives to token shards, what is new of them",
    schedule=os.environ.get("WINNOW_SCHEDULE", "@daily") or None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,  # a stage gives the lock back when it ends: a second run must not come in between
    default_args={"retries": 3, "retry_delay": timedelta(minutes=float(os.environ.get("WINNOW_RETRY_MINUTES", "5")))},
    doc_md=__doc__,
):
    chain(*(task(stage) for stage in STAGES))
