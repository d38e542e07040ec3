"""How a table is declared: each column once, with its name, Arrow type and meaning."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

ID = pa.binary(16)
"""A document's name: 128 bits, see `transforms.identity`."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column. `meaning` is its documentation everywhere: docs page, report, error messages."""

    name: str
    type: pa.DataType
    meaning: str
    nullable: bool = False


def schema_of(columns: Iterable[Column]) -> pa.Schema:
    """The Arrow schema of `columns`, in their order."""
    return pa.schema([pa.field(c.name, c.type, nullable=c.nullable) for c in columns])
