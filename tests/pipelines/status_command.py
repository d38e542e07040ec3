"""`pipelines.status` as a command: how it ends."""

from __future__ import annotations

import pytest

from pipelines import status
from pipelines.run import main


def code(*arguments: str) -> int | str | None:
    return _ended(*arguments).code


def told(*arguments: str) -> str:
    """Why it could not tell."""
    ended = _ended(*arguments)
    assert ended.code == 1
    return str(ended)


def _ended(*arguments: str) -> SystemExit:
    with pytest.raises(SystemExit) as error:
        main(status.run, list(arguments))
    return error.value
