"""A worker for the fake service: reads paths of staged graphs, one a line, runs each with Beam's in-process engine in
place of a container, and writes a line of JSON for each. It shares nothing with the launcher but the store."""

from __future__ import annotations

import json
import logging
import os
import sys

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms import environments


def execute(path: str) -> dict[str, object]:
    graph = beam_runner_api_pb2.Pipeline()
    with FileSystems.open(path) as file:
        graph.ParseFromString(file.read())
    embedded = environments.EmbeddedPythonEnvironment.default().to_runner_api(None)
    for environment in graph.components.environments.values():
        assert environment.urn == "beam:env:docker:v1", environment.urn
        environment.CopyFrom(embedded)
    try:
        result = FnApiRunner().run_via_runner_api(graph, PipelineOptions([]))
        result.wait_until_finish()
    except Exception as failure:
        return {"error": f"Traceback\n{type(failure).__name__}: {failure}", "counters": {}}
    found = result.metrics().query()["counters"]
    ours = [m for m in found if m.key.metric.namespace == "winnow"]
    return {"error": None, "counters": {m.key.metric.name: m.committed for m in ours}}


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        answers.write(json.dumps(execute(line.strip())) + "\n")
        answers.flush()
