"""The one exception that a person is meant to read."""

from __future__ import annotations


class RunError(Exception):
    """Where, what, and what to do next, in one message: the command prints it and nothing else."""
