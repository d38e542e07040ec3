"""deploy/kubernetes and deploy/flink, against the schemas that Kubernetes and Flink's operator publish."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from apache_beam.options.pipeline_options import FlinkRunnerOptions, PortableOptions

from pipelines import exits
from pipelines.options import Options, parse

DEPLOY = Path(__file__).parents[2] / "deploy"
CRON_JOBS = ("kubernetes/cronjob.yaml", "flink/flinkdeployment.yaml")
OPERATOR = "1.10.0"
JAR = (
    f"https://repo1.maven.org/maven2/org/apache/flink/flink-kubernetes-operator-api/{OPERATOR}/"
    f"flink-kubernetes-operator-api-{OPERATOR}.jar"
)
JAR_SHA256 = "b1f44814e17514fa8395c61b329a3ee9087123a5bda5b21fe1a495d5182c30b6"
CRD = "META-INF/fabric8/flinkdeployments.flink.apache.org-v1.yml"


def objects(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def cron_job(name: str) -> dict[str, Any]:
    (found,) = [o for o in objects(name) if o["kind"] == "CronJob"]
    return found


@pytest.fixture(scope="module")
def kubernetes_validate() -> Any:
    return pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")


@pytest.mark.parametrize("name", CRON_JOBS)
def test_the_cron_jobs_are_kubernetes_own(name, kubernetes_validate):
    job = cron_job(name)
    kubernetes_validate.validate(job, "1.31", strict=True)
    job["spec"]["concurrencyPolicies"] = "Forbid"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, "1.31", strict=True)


@pytest.mark.parametrize("name", CRON_JOBS)
def test_the_cron_jobs_commands_are_ours(name):
    spec = cron_job(name)["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    pod = spec["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["command"][1:] == ["-m", "pipelines.clean"] and container["securityContext"]["runAsNonRoot"]
    options = parse(container["args"], command="clean", about="", needs_input=True)
    assert options.inputs and options.output.startswith("s3://")
    rules = spec["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    (codes,) = [rule["onExitCodes"] for rule in rules if "onExitCodes" in rule]
    assert (codes["containerName"], codes["values"]) == (container["name"], [exits.OPTIONS, exits.HELD])
    assert pod["restartPolicy"] == "Never", "or the policy does not count"


@pytest.fixture(scope="module")
def crd() -> dict[str, Any]:
    """The schema of FlinkDeployment, from the operator's own library on Maven Central."""
    path = Path.home() / ".cache/winnow/engines" / JAR.rpartition("/")[2]
    if not path.exists():
        try:
            data = urllib.request.urlopen(JAR, timeout=30).read()
        except (urllib.error.URLError, TimeoutError) as error:
            pytest.skip(f"Maven Central cannot be reached: {error}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == JAR_SHA256
    with zipfile.ZipFile(path) as jar:
        definition = yaml.safe_load(jar.read(CRD))
    (version,) = [v for v in definition["spec"]["versions"] if v["name"] == "v1beta1"]
    return closed(version["schema"]["openAPIV3Schema"])


def closed(schema: Any) -> Any:
    """Fields that it does not name are refused, as kubectl does: the operator would drop them."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    inner = {key: closed(value) for key, value in schema.items()}
    return inner | {"additionalProperties": False} if isinstance(schema.get("properties"), dict) else inner


@pytest.mark.airflow
def test_the_flink_deployment_is_the_operators(crd):
    (cluster,) = [o for o in objects("flink/flinkdeployment.yaml") if o["kind"] == "FlinkDeployment"]
    inner = {key: value for key, value in cluster.items() if key not in ("apiVersion", "kind", "metadata")}
    assert cluster["apiVersion"] == "flink.apache.org/v1beta1"
    jsonschema.validate(inner, crd)
    inner["spec"]["flinkVersion"] = "v2_99"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(inner, crd)
    inner["spec"]["flinkVersion"] = "v1_19"
    inner["spec"]["taskManager"]["resources"] = {}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(inner, crd)


def test_the_flink_schedule_submits_to_the_cluster_beside_it():
    (cluster,) = [o for o in objects("flink/flinkdeployment.yaml") if o["kind"] == "FlinkDeployment"]
    pod = cron_job("flink/flinkdeployment.yaml")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    options: Options = parse(pod["containers"][0]["args"], command="clean", about="", needs_input=True)
    flink = options.beam.view_as(FlinkRunnerOptions)
    assert flink.flink_master == f"{cluster['metadata']['name']}-rest:8081"  # the operator's name of its service
    main, workers = cluster["spec"]["taskManager"]["podTemplate"]["spec"]["containers"]
    assert main["name"] == "flink-main-container"  # the operator's name of its own
    assert workers["command"][-1] == "transforms.beam.worker_pool"
    (port,) = workers["args"]
    assert options.beam.view_as(PortableOptions).environment_config == f"localhost:{port.removeprefix('--port=')}"
    slots = int(cluster["spec"]["flinkConfiguration"]["taskmanager.numberOfTaskSlots"])
    assert flink.parallelism % slots == 0
