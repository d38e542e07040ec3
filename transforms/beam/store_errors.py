"""What an object store answers, in words for a person: where, what, what next, and nothing that is secret.

The library's texts carry the request and the whole answer; of them only the status and the store's own code and message
are used.
"""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from schemas.errors import RunError

_CODE = re.compile(r"<Code>([A-Za-z0-9]+)</Code>")
_STATUS = re.compile(r"status code: (\d{3}[^:\n]*)")
REFUSED = re.compile(r"status code: (?:301|4\d\d)")
_METADATA = re.compile(r"169\.254\.1|/latest/(?:api|meta-data)|/computeMetadata/|token request|credential", re.I)
_REFUSED = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "RequestExpired"}
_ELSEWHERE = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
_CUT = re.compile(r"response body")
"""How object_store and its HTTP library say that an answer stopped half-way."""
_HALF = {"Missing SecretAccessKey": "AWS_SECRET_ACCESS_KEY", "Missing AccessKeyId": "AWS_ACCESS_KEY_ID"}
_KEY_FILE = re.compile(r"service account|application credential|private key|RSA|PEM", re.IGNORECASE)
"""Of what is said before any request, about the file that GOOGLE_APPLICATION_CREDENTIALS names."""
_ENDPOINTS = {"s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"), "gs": ("STORAGE_EMULATOR_HOST",)}
_CLOUDS = {"s3": "Amazon S3 (no AWS_ENDPOINT_URL is set)", "gs": "Google Cloud Storage"}
_AGAIN = "Run the same command again: finished parts are kept."
_CREDENTIALS = {
    "s3": "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (of a profile: aws configure export-credentials --format "
          "env), or AWS_SKIP_SIGNATURE=true for a public bucket",
    "gs": "Set GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login",
}


def told(error: Exception, path: str, what: str) -> RunError:
    """A RunError about `path`, of which `what` is so: 'cannot be read'."""
    said = str(error)
    reason = _setting(said, path[:2]) if what == "cannot be opened" else None
    return RunError(f"{path}: {what}: {reason or _reason(said, path)}")


def was_cut(error: Exception) -> bool:
    """Whether the answer began and stopped half-way."""
    return bool(_CUT.search(str(error).partition("\n")[0]))


def endpoint_of(scheme: str) -> tuple[str, str]:
    """The variable that leads to the stores of `scheme`, and what it says; both empty where none is set."""
    names = (name for name in _ENDPOINTS.get(scheme, ()) if os.environ.get(name))
    return next(((name, os.environ[name]) for name in names), ("", ""))


def check_endpoint(path: str) -> None:
    """Raises RunError where the variable for the endpoint is no address: the library takes it, and panics later."""
    scheme = path[:2]
    name, address = endpoint_of(scheme)
    whole = f"http://{address}" if scheme == "gs" and "://" not in address else address
    try:
        parts = urlsplit(whole)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and whole.isascii()
    except ValueError:
        good = False
    if address and (not good or re.search(r"[\s<>\"\\^`{|}]", whole)):
        raise RunError(
            f"{path}: cannot be opened: {name} is {_bare(address)!r}, which is no address of a store. Write it as "
            "https://HOST or http://HOST:PORT."
        )


def _setting(said: str, scheme: str) -> str | None:
    """What is wrong with the environment, found before anything was asked of the store."""
    first = re.sub(r"^Generic \w+ error: ", "", said.partition("\n")[0])[:200].rstrip(". ")
    for text, name in _HALF.items():
        if text in first:
            return f"{name} is not set, and its other half is. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY both."
    if scheme == "gs" and _KEY_FILE.search(first):
        return f"the file of the credentials is of no use: {first}. {_CREDENTIALS['gs']}."
    start = "AWS_" if scheme == "s3" else "GOOGLE_"
    names = [name for name, value in os.environ.items() if name.startswith(start) and value and f'"{value}"' in first]
    return f"{first}. Correct {' and '.join(names) or f'the variables {start}… of the environment'}."


def _reason(said: str, path: str) -> str:
    scheme, bucket = path[:2], path[5:].partition("/")[0]
    code = _CODE.search(said)
    status = _STATUS.search(said)
    name = code[1] if code else ""
    number = status[1].split()[0] if status else ""
    if name == "NoSuchBucket" or (number == "404" and re.search("list request|performing P[UO]", said)):
        return f"there is no bucket {bucket}. Create it, or correct the name."
    text = said.partition("Debug source")[0].replace("lacked valid authentication credentials", "")  # its word for 401
    if _METADATA.search(text):
        return f"no credentials were found. {_CREDENTIALS.get(scheme, 'Set them')}."
    if name in _ELSEWHERE or number == "301" or "configured region" in said:
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1, the default"
        return f"the bucket {bucket} is not in region {region} ({name or 'redirected'}). Set AWS_REGION to its own."
    if name in _REFUSED or number == "401":
        return f"the credentials were refused ({name or number}). {_CREDENTIALS.get(scheme, 'Renew them')}."
    if number == "403":
        return (
            f"permission denied ({name or number}). Inputs need leave to list and read, --output to read, write and "
            "delete."
        )
    if status:
        return f"the store answered {status[1].strip()}{f' ({name})' if name else ''}. {_AGAIN}"
    if "error sending request" in said or "HTTP error" in said:
        return f"{_endpoint(scheme)} does not answer. Check the address and the network. {_AGAIN}"
    if "empty path segment" in said:
        return "a name with // or an empty part cannot be read. Rename that object, or give a narrower pattern."
    first = re.sub(r"https?://\S+", "the store", said.partition("\n")[0])
    return f"{first[:200].rstrip('. ')}. {_AGAIN}"


def _endpoint(scheme: str) -> str:
    name, address = endpoint_of(scheme)
    return f"the endpoint {_bare(address)} ({name})" if name else _CLOUDS.get(scheme, "the store")


def _bare(address: str) -> str:
    """Without a name and a password, and without a query."""
    return re.sub(r"(^|//)[^/@]*@", r"\1", address).partition("?")[0]
