"""What is wrong with a store is told before anything begins, in one line, with what to do, and without secrets."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest

from pipelines import clean
from pipelines.run import main
from schemas.errors import RunError
from transforms.beam import files


def fails(*arguments: str, secrets: tuple[str, ...]) -> str:
    began = time.monotonic()
    with pytest.raises(SystemExit) as ended:
        main(clean.run, arguments)
    message = str(ended.value)
    assert message.startswith("winnow: ") and "\n" not in message
    assert not [s for s in secrets if s in message]
    assert time.monotonic() - began < 20
    return message


@pytest.fixture
def told():
    from functools import partial

    return partial(fails, secrets=("AKIDEXAMPLEXAMPLE", "a-secret-that-must-not-be-told", "Debug source", "Signature="))


def error(status: int, code: str) -> tuple[int, bytes]:
    text = f"<Error><Code>{code}</Code><Message>x</Message><AWSAccessKeyId>AKIDEXAMPLEXAMPLE</AWSAccessKeyId></Error>"
    return status, text.encode()


def test_no_bucket_for_the_output(s3, told, tmp_path):
    message = told(f"--input={tmp_path}", "--output=s3://nobody-has-this/out")
    assert "there is no bucket nobody-has-this. Create it, or correct the name." in message


@pytest.mark.parametrize("pattern", ["x/*.gz", "x", "x.gz", "**"])
def test_no_bucket_for_an_input(s3, told, pattern):
    message = told(f"--input=s3://nobody-has-this/{pattern}", f"--output={s3.url}/out")
    assert "there is no bucket nobody-has-this." in message


def test_no_object_for_an_input(s3, told):
    assert "no file matches. Check the path" in told(f"--input={s3.url}/x/*.gz", f"--output={s3.url}/out")


def test_a_path_of_no_bucket(s3, told):
    assert "names no bucket. Write s3://BUCKET/PATH" in told("--input=s3://", f"--output={s3.url}/out")


def test_nobody_answers(s3, told, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", address.replace("//", "//me:a-secret-that-must-not-be-told@"))
    message = told(f"--input={s3.url}/x", f"--output={s3.url}/out")
    assert f"the endpoint {address} (AWS_ENDPOINT_URL) does not answer. Check the address" in message


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (error(403, "AccessDenied"), "permission denied (AccessDenied). Inputs need leave to list and read, --output"),
        (error(403, "InvalidAccessKeyId"), "the credentials were refused (InvalidAccessKeyId). Set AWS_ACCESS_KEY_ID"),
        (error(403, "SignatureDoesNotMatch"), "the credentials were refused (SignatureDoesNotMatch)"),
        (error(400, "ExpiredToken"), "the credentials were refused (ExpiredToken)"),
        (error(301, "PermanentRedirect"), "is not in region us-east-1 (redirected). Set AWS_REGION to its"),
        (error(400, "AuthorizationHeaderMalformed"), "is not in region us-east-1"),
        (error(503, "SlowDown"), "the store answered 503 Service Unavailable (SlowDown). Run the same command again"),
    ],
)
@pytest.mark.parametrize("of", ["PUT", "DELETE", "list"])
def test_what_the_store_refuses(proxy, told, of, answer, says):
    proxy, s3 = proxy
    proxy.rule = lambda a: answer if (a.listing if of == "list" else a.method == of) else None
    s3.put("in/x", b"x")
    message = told(f"--input={s3.url}/in", f"--output={s3.url}/out")
    assert f"{s3.url}/{'in/' if of == 'list' else 'out/'}" in message
    assert says in message


def test_inputs_that_may_be_listed_and_not_read(proxy, told):
    proxy, s3 = proxy
    s3.put("in/x.jsonl", b"{}")
    proxy.rule = lambda a: error(403, "AccessDenied") if a.method == "GET" and a.path.endswith("x.jsonl") else None
    message = told(f"--input={s3.url}/in", f"--output={s3.url}/out")
    assert f"{s3.url}/in/x.jsonl: cannot be read: permission denied" in message
    assert not [k for k in s3.keys("out/") if "documents" in k], "a worker had begun"


def test_no_credentials(s3, told, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")
    message = told(f"--input={s3.url}/x", f"--output={s3.url}/out")
    assert "no credentials were found. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in message


def test_a_name_that_no_path_can_have(s3):
    s3.put("in//x", b"x")
    with pytest.raises(RunError, match=f"{s3.url}/in/: cannot be listed: a name with // or an empty part"):
        files.find(f"{s3.url}/in")


@pytest.mark.parametrize(
    ("variable", "value", "scheme"),
    [
        ("AWS_ENDPOINT_URL", "127.0.0.1:9000", "s3"), ("AWS_ENDPOINT_URL", "store.example", "s3"),
        ("AWS_ENDPOINT_URL", "ftp://store.example", "s3"), ("AWS_ENDPOINT_URL", "https://", "s3"),
        ("AWS_ENDPOINT_URL", "https://store.example:many", "s3"), ("AWS_ENDPOINT_URL", "https://my store", "s3"),
        ("AWS_ENDPOINT_URL", "https://störe.example", "s3"), ("STORAGE_EMULATOR_HOST", "localhost:many", "gs"),
        ("STORAGE_EMULATOR_HOST", "my host", "gs"),
    ],
)
def test_an_endpoint_that_is_no_address(s3, told, monkeypatch, variable, value, scheme):
    """The library panics at some of these."""
    monkeypatch.setenv(variable, value)
    message = told(f"--input={__file__}", f"--output={scheme}://bucket/out")
    assert f"{variable} is {value!r}, which is no address of a store. Write it as https://HOST or http" in message


def test_the_address_is_told_without_its_password(s3, told, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "me:a-secret-that-must-not-be-told@store.example")
    assert "AWS_ENDPOINT_URL is 'store.example'" in told(f"--input={__file__}", "--output=s3://bucket/out")


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_half_of_the_credentials(s3, told, monkeypatch, missing):
    monkeypatch.delenv(missing)
    message = told(f"--input={s3.url}/x", f"--output={s3.url}/out")
    assert f"{missing} is not set, and its other half is. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in message


def test_a_setting_that_is_none(s3, told, monkeypatch):
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "perhaps")
    message = told(f"--input={s3.url}/x", f"--output={s3.url}/out")
    assert message.endswith('failed to parse "perhaps" as boolean. Correct AWS_SKIP_SIGNATURE.')


@pytest.mark.parametrize("content", [None, "no JSON", '{"a": 1}', json.dumps({
    "type": "service_account", "private_key": "no key", "private_key_id": "x", "client_email": "x@y",
})])
def test_a_key_file_of_no_use(told, monkeypatch, tmp_path, content):
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    path = tmp_path / "key.json"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    message = told(f"--input={__file__}", "--output=gs://bucket/out")
    assert "--output gs://bucket/out/: cannot be opened: the file of the credentials is of no use: " in message
    assert "Set GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login." in message


@pytest.mark.parametrize("option", ["--input", "--output"])
@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("s3a://b/x", "files at s3a:// cannot be used here. Write s3://."),
        ("gcs://b/x", "files at gcs:// cannot be used here. Write gs://."),
        ("hdfs://b/x", "files at hdfs:// cannot be used here. Copy it to a folder, s3:// or gs://."),
        ("ftp://b/x", "files at ftp:// cannot be used here. Copy it to a folder, s3:// or gs://."),
        ("file:///b/x", "files at file:// cannot be used here. Give the path alone."),
        ("s3:/b/x", "lacks a slash. Write s3://b/x; a folder of that name is ./s3:/b/x"),
        ("gs:/b/x", "lacks a slash. Write gs://b/x; a folder of that name is ./gs:/b/x"),
        ("s3://", "names no bucket. Write s3://BUCKET/PATH."),
        ("gs:///x", "names no bucket. Write gs://BUCKET/PATH."),
    ],
)
def test_a_place_of_no_known_kind(told, tmp_path, monkeypatch, option, path, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").write_text("{}")
    given = {"--input": "x", "--output": "out"} | {option: path}
    message = told(*(f"{name}={value}" for name, value in given.items()))
    assert message.startswith(f"winnow: {option} {path.rstrip('/') if option == '--output' else path}")
    assert message.endswith(says)
    assert {p.name for p in tmp_path.iterdir()} <= {"x", "out"}, "something was made of the path"


@pytest.fixture(scope="module")
def guarded(server_ports):
    """A store that checks who asks, and its administrator's way to make a key: moto with its own rules of access."""
    free_port, wait_for = server_ports
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env={**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "3"},
    )
    try:
        wait_for(port, process)
        made = {
            name: boto3.client(name, endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
                               aws_access_key_id="x", aws_secret_access_key="x") for name in ("iam", "s3")
        }
        made["s3"].create_bucket(Bucket="guarded")
        made["iam"].create_user(UserName="somebody")
        yield port, made["iam"].create_access_key(UserName="somebody")["AccessKey"]
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("who", ["nobody", "somebody with another's secret", "somebody without leave"])
def test_a_store_that_knows_its_users(guarded, s3, told, monkeypatch, tmp_path, who):
    port, key = guarded
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    if who != "nobody":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    if who == "somebody without leave":
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    (tmp_path / "x").write_text("{}")
    says = {
        "nobody": "the credentials were refused (InvalidAccessKeyId). Set AWS_ACCESS_KEY_ID and",
        "somebody with another's secret": "the credentials were refused (SignatureDoesNotMatch). Set AWS_ACCESS_KEY_ID",
        "somebody without leave": "permission denied (AccessDenied). Inputs need leave to list and read, --output to",
    }[who]
    for place in (f"--input={tmp_path}/x", "--output=s3://guarded/out"), (
        "--input=s3://guarded/in", f"--output={tmp_path}/out"
    ):
        message = told(*place)
        assert says in message and "s3://guarded/" in message
        assert key["SecretAccessKey"] not in message


@pytest.fixture
def refusing(monkeypatch):
    """A gs:// that answers everything in one way."""
    answer = [200, b""]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_any(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response_only(answer[0])
            self.send_header("Content-Length", str(len(answer[1])))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer[1])

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_any

        def log_message(self, *_: object) -> None:
            """The tests' output is no access log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"127.0.0.1:{server.server_port}")
    yield answer
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (403, "AccessDenied", "permission denied (AccessDenied). Inputs need leave to list and read, --output to read"),
        (401, "AuthenticationRequired", "the credentials were refused (AuthenticationRequired). Set GOOGLE_APPLI"),
        (404, "NoSuchBucket", "there is no bucket bucket. Create it, or correct the name."),
        (503, "ServiceUnavailable", "the store answered 503 Service Unavailable (ServiceUnavailable). Run the same"),
    ],
)
@pytest.mark.parametrize("option", ["--input", "--output"])
def test_what_gcs_refuses(refusing, told, tmp_path, option, status, code, says):
    refusing[:] = error(status, code)
    (tmp_path / "x").write_text("{}")
    given = {"--input": f"{tmp_path}/x", "--output": f"{tmp_path}/out"} | {option: "gs://bucket/some*"}
    message = told(*(f"{name}={value}" for name, value in given.items()))
    assert says in message and "gs://bucket/" in message


def test_no_credentials_of_google(told, monkeypatch, tmp_path):
    for name in [n for n in os.environ if n.startswith(("GOOGLE_", "STORAGE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    message = told(f"--input={__file__}", "--output=gs://bucket/out")
    assert "no credentials were found. Set GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth" in message


def test_nobody_answers_for_gcs(told, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
    message = told(f"--input={__file__}", "--output=gs://bucket/out")
    assert f"the endpoint {address} (STORAGE_EMULATOR_HOST) does not answer. Check the address" in message
