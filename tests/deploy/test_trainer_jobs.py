"""The trainer's jobs: what their own parsers say of them, and that they name options that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml

from trainer.settings import parse

JOBS = Path(__file__).parents[2] / "deploy/trainer"


def test_the_slurm_job_is_bash_that_passes_its_arguments_on():
    script = JOBS / "train.sbatch"
    subprocess.run(["bash", "-n", script], check=True)
    text = script.read_text()
    directives = dict(re.findall(r"^#SBATCH --([a-z-]+)(?:=(\S+))?$", text, re.MULTILINE))
    assert len(directives) == text.count("#SBATCH")  # none that Slurm would not read
    assert {"nodes", "gpus-per-node", "requeue", "signal"} <= directives.keys()
    assert text.index("#SBATCH --output") < text.index("set -euo")  # Slurm stops reading at the first command


def test_the_slurm_job_runs_torchrun_on_every_node(tmp_path):
    """With stand-ins for Slurm's two commands, which are not to be had here. More nodes than a pipe holds are named:
    whoever takes the first of them must not end the other command."""
    hosts = "echo node-a; exec seq -f node-%.0f 100000"
    for name, body in (("scontrol", hosts), ("srun", 'printf "%s\\n" "$@"')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_JOB_NODELIST": "node-[a-b]", "SLURM_NNODES": "2",
                   "SLURM_GPUS_ON_NODE": "8", "SLURM_JOB_ID": "17"}
    command = ["bash", str(JOBS / "train.sbatch"), "--model", "1.5b"]
    asked = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert asked.returncode and "the path of shards/manifest.json" in asked.stderr
    environment |= {"DATA": "/d/manifest.json", "OUT": "/r"}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split("\n")[:-1]
    assert said[1] == "torchrun" and "node-a:29500" in said
    settings = parse(said[said.index("trainer.train") + 1 :])
    assert (settings.data, settings.out, settings.model) == ("/d/manifest.json", "/r", "1.5b")


def test_the_job_set_is_yaml_whose_arguments_are_ours():
    job = yaml.safe_load((JOBS / "jobset.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    (group,) = job["spec"]["replicatedJobs"]
    spec = group["template"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    at = container["args"].index("trainer.train")
    launcher, ours = container["args"][:at], container["args"][at + 1 :]
    settings = parse(ours)
    nodes = spec["parallelism"]
    assert spec["completions"] == nodes and f"--nnodes={nodes}" in launcher
    assert f"--nproc-per-node={container['resources']['limits']['nvidia.com/gpu']}" in launcher
    assert settings.global_batch % (nodes * 8 * settings.micro_batch) == 0
    name = f"{job['metadata']['name']}-{group['name']}-0-0.{pod['subdomain']}:29500"  # JobSet's names of its pods
    assert f"--rdzv-endpoint={name}" in launcher
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}
    assert container["securityContext"]["runAsNonRoot"]
