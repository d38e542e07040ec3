"""What engines make of a worker's exception, turned back into what the worker said."""

from __future__ import annotations

import contextlib
import re
import traceback

from schemas.errors import RunError
from schemas.records import ConservationError
from schemas.stages import Stage

_OURS = re.compile(r"(?:RunError|ConservationError): (.+)")


def our_words(message: str) -> list[str]:
    """What errors of ours say in an engine's message, each a line, without what the engine has added."""
    return [_first_words(said) for said in _OURS.findall(message)]


@contextlib.contextmanager
def readable_errors(stage: Stage):  # type: ignore[no-untyped-def]
    """Turns what Beam makes of a worker's exception back into what the worker said."""
    try:
        yield
    except (RunError, ConservationError) as error:
        raise RunError(_first_words(str(error))) from error
    except Exception as error:
        message = str(error)
        if said := our_words(message):
            raise RunError(said[0]) from error
        gave_up = re.search(r"failed in state \w+: (.+)", message)
        if gave_up and "Traceback (most recent call last)" not in message:
            raise RunError(
                f"{stage.name}: the engine gave up: {_first_words(gave_up[1])}. Finished parts are kept: mend that and "
                "run the same command again."
            ) from error
        traceback.print_exc()
        raise RunError(
            f"{stage.name}: {type(error).__name__}, see above. This is a fault of winnow's, or of something it stands "
            "on: please report it. Finished parts are kept."
        ) from error


def _first_words(message: str) -> str:
    line = message.partition("\n")[0].partition(" [while running")[0]
    return line.removesuffix('"').removesuffix("'")
