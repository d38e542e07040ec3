"""Dockerfile, environment, template: what they say of each other, of the locks and of our options must agree."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipelines.dataflow_options import check_dataflow, image_versions
from pipelines.options import parse
from schemas.errors import RunError

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
INSTALL = (DEPLOY / "install.sh").read_text()
TEMPLATE: dict[str, Any] = json.loads((DEPLOY / "flex_template.json").read_text())
PARAMETERS = {p["name"]: p for p in TEMPLATE["parameters"]}
GIVEN = {
    "--runner": "DataflowRunner", "--project": "my-project", "--region": "us-central1",
    "--temp_location": "gs://work/temp", "--template_location": "gs://work/job_object", "--job_name": "mine",
}
"""What the service gives to every launch of a template."""
EXAMPLES = {
    "input": ("web=gs://crawl/*.warc.gz", "crawl/*.warc.gz"),
    "output": ("gs://work/run", "work/run"),
    "recipe": ("web-en", "mine.toml"),
    "sdk_container_image": ("r/winnow:0.1.0-beam2.77.0-py3.11", "r/winnow:latest"),
    "sdk_location": ("container", "default"),
    "max_num_workers": ("8", "0"),
    "num_workers": ("2", "-2"),
    "flexrs_goal": ("COST_OPTIMIZED", "CHEAP"),
}
"""By parameter, a value that is right and one that is not."""


def launch(values: dict[str, str]) -> None:
    argv = [f"{name}={value}" for name, value in GIVEN.items()] + [f"--{n}={v}" for n, v in values.items()]
    command = "ingest" if "input" in values else "dedupe"  # the template is of any stage, and only ingest takes inputs
    options = parse(argv, command=command, about="", needs_input=command == "ingest")
    check_dataflow(options, where_is=lambda _: frozenset({"us-central1"}))


GOOD = {name: good for name, (good, _) in EXAMPLES.items()}


def test_every_parameter_of_the_template_is_an_option_of_ours() -> None:
    assert PARAMETERS.keys() == EXAMPLES.keys()
    launch(GOOD)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_what_the_template_asks_for_is_what_a_launch_needs(name: str) -> None:
    rest = {n: v for n, v in GOOD.items() if n != name}
    if PARAMETERS[name].get("isOptional"):
        launch(rest)
        return
    with pytest.raises((RunError, SystemExit)):
        launch(rest)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_patterns_of_the_template(name: str) -> None:
    right, wrong = EXAMPLES[name]
    assert all(re.search(r, right) for r in PARAMETERS[name]["regexes"])
    assert not all(re.search(r, wrong) for r in PARAMETERS[name]["regexes"])


def test_the_image_has_the_variables_that_its_contents_were_made_with() -> None:
    stated = dict(re.findall(r'(\w+)=("[^"]*"|\S+)', re.findall(r"^ENV ((?:.*\\\n)*.*)", DOCKERFILE, re.M)[0]))
    names = re.findall(r"^export (\w+)=", (DEPLOY / "environment.sh").read_text(), re.M)
    assert list(stated) == names
    script = f'root=/opt/winnow; PATH=/usr/bin:/bin; . {DEPLOY / "environment.sh"}; env'
    done = subprocess.run(["sh", "-c", script], env={}, capture_output=True, text=True, check=True)
    set_to = dict(line.split("=", 1) for line in done.stdout.splitlines())
    path = set_to.pop("PATH").replace("/usr/bin:/bin", "$PATH")
    expected = {n: path if n == "PATH" else set_to[n] for n in names}
    assert {n: v.strip(chr(34)) for n, v in stated.items()} == expected


def test_the_image_is_of_the_locked_beam_and_of_a_python_that_we_support() -> None:
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)", DOCKERFILE, re.M))
    assert f"apache-beam=={arguments['BEAM_VERSION']}\n" in (ROOT / "requirements.lock").read_text()
    assert arguments["PYTHON_VERSION"] == "3.11"
    tag = re.search(r"-t (\S+winnow:\S+)", DOCKERFILE)
    assert tag and image_versions(tag[1]) == (arguments["BEAM_VERSION"], arguments["PYTHON_VERSION"])
    for name in ("README.md", "Dockerfile"):
        for found in re.findall(r"winnow:[0-9][\w.-]+", (DEPLOY / name).read_text()):
            assert found == tag[1].rpartition("/")[2], name


def test_the_image_runs_as_nobody_in_particular_and_can_write_the_cache_of_kernels() -> None:
    lines = [line for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users == ["winnow"] and lines.index("USER winnow") > max(
        k for k, line in enumerate(lines) if line.startswith(("RUN", "COPY"))
    )
    # numba uses no cache in a folder that it may not write to
    assert re.search(r"chown -R winnow \S*/kernels", DOCKERFILE)


def test_the_daemon_is_sent_all_that_the_script_copies_and_no_more() -> None:
    sent = set(re.findall(r"^!(\S+)", (DEPLOY / "Dockerfile.dockerignore").read_text(), re.M))
    loop = re.search(r"for name in (.+?); do cp", INSTALL)
    assert loop
    read = set(re.findall(r"\$source/([\w./-]+\.(?:lock|sh))", INSTALL))
    assert sent == {*loop[1].split(), *read, "deploy/install.sh"}
    assert "RUN sh /source/deploy/install.sh /source /opt/winnow" in DOCKERFILE
