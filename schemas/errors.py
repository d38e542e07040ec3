"""The exceptions that a person is meant to read."""

from __future__ import annotations


class RunError(Exception):
    """Where, what, and what to do next, in one message: the command prints it and nothing else."""


class MissingRunError(RunError):
    """A file of the inputs that cannot be had: not there, or not after all tries. --tolerate-missing bears this, and no
    other error."""


class OptionError(RunError):
    """The command line is wrong: the same command will never do."""


class HeldError(RunError):
    """Another run has the output: what this one would do is being done."""
