"""What is wrong with a store is told before anything begins, in one line, with what to do, and without secrets."""

from __future__ import annotations

import socket
import time

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
