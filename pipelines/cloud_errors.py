"""What Google Cloud's client libraries raise, as one line for a person."""

from __future__ import annotations

from typing import Any

from schemas.errors import RunError


class readable:
    """A context that turns the client's errors into RunErrors: nothing there, not allowed, refused, no key, no answer.
    `what` and `which` say what was asked for; the client library is imported when something went wrong."""

    def __init__(self, what: str, which: str) -> None:
        self._of = f"{what} {which}"

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if not isinstance(error, Exception) or isinstance(error, RunError):
            return
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError

        match error:
            case exceptions.NotFound():
                raise RunError(f"{self._of}: there is no such thing. Check its name.") from error
            case exceptions.Forbidden() | exceptions.Unauthorized():
                raise RunError(
                    f"{self._of}: you may not look at it. Ask for the roles that deploy/README.md lists, or log in as "
                    "somebody who has them."
                ) from error
            case exceptions.BadRequest():
                raise RunError(f"{self._of}: the service refuses it: {_first(error)}. Mend that option.") from error
            case GoogleAuthError():
                raise RunError(
                    f"{self._of}: no credentials of Google Cloud were found. Run: gcloud auth application-default login"
                ) from error
            case exceptions.GoogleAPICallError() | exceptions.RetryError() | OSError():
                raise RunError(
                    f"{self._of}: the service gave no answer: {_first(error)}. Check the network "
                    "and --dataflow_endpoint, and run the same command again."
                ) from error


def _first(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200].rstrip(".")
