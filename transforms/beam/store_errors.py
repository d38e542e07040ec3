"""What an object store answers, in words for a person: where, what, what next, and nothing that is secret.

The library's texts carry the request and the whole answer; of them only the status and the store's own code and message
are used.
"""

from __future__ import annotations

import os
import re

from schemas.errors import RunError

_CODE = re.compile(r"<Code>([A-Za-z0-9]+)</Code>")
_STATUS = re.compile(r"status code: (\d{3}[^:\n]*)")
_METADATA = re.compile(r"169\.254\.1|/latest/(?:api|meta-data)|/computeMetadata/|token request|credential", re.I)
_REFUSED = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "RequestExpired"}
_ELSEWHERE = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
_AGAIN = "Run the same command again: finished parts are kept."
_CREDENTIALS = {
    "s3": "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (of a profile: aws configure export-credentials --format "
          "env), or AWS_SKIP_SIGNATURE=true for a public bucket",
    "gs": "Set GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login",
}


def told(error: Exception, path: str, what: str) -> RunError:
    """A RunError about `path`, of which `what` is so: 'cannot be read'."""
    return RunError(f"{path}: {what}: {_reason(str(error), path)}")


def _reason(said: str, path: str) -> str:
    scheme, bucket = path[:2], path[5:].partition("/")[0]
    code = _CODE.search(said)
    status = _STATUS.search(said)
    name = code[1] if code else ""
    number = status[1].split()[0] if status else ""
    if name == "NoSuchBucket" or (number == "404" and re.search("list request|performing P[UO]", said)):
        return f"there is no bucket {bucket}. Create it, or correct the name."
    if _METADATA.search(said.partition("Debug source")[0]):
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
    ours = "STORAGE_" if scheme == "gs" else "AWS_"
    for name in ("STORAGE_EMULATOR_HOST", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"):
        if name.startswith(ours) and os.environ.get(name):
            address = re.sub(r"//[^/@]*@", "//", os.environ[name]).partition("?")[0]
            return f"the endpoint {address} ({name})"
    return "the store"
