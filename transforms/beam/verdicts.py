"""Records that ended the extractor's process, in OUT/verdicts/<part>.json, so that no rerun tries them again.

A verdict holds for its plan key, which covers the input's identity, the recipe, our code and every library: with a new
extractor the record is tried again. No plan key depends on a verdict.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from transforms.beam import files
from transforms.beam.parts import PlannedPart
from transforms.extraction import Failed, Waiting
from transforms.identity import document_id

FOLDER = "verdicts"


@dataclass(kw_only=True)
class Verdicts:
    """Those of one part, by record id. `file` is the archive that is being read, where the part is of several."""

    out: str
    part: PlannedPart
    found: dict[str, dict[str, object]] = field(default_factory=dict)
    file: str | None = None

    def of_file(self, name: str) -> Verdicts:
        """The same ones, for records of that archive of the part."""
        return replace(self, file=name)

    def load(self) -> Verdicts:
        """Reads what an earlier attempt at the part wrote. A file that is damaged, or of another plan, says nothing."""
        try:
            kept = json.loads(files.read_text(self._path) or "{}")
            if kept.get("plan_key") == self.part.plan_key:
                self.found = {str(k): {**v, "reason": v["reason"], "detail": v["detail"]}
                              for k, v in kept["verdicts"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            self.found = {}
        return self

    def of(self, waiting: Waiting) -> Failed | None:
        verdict = self.found.get(self._id(waiting)) if self.found else None
        if verdict is None:
            return None
        return Failed(reason=str(verdict["reason"]), detail=str(verdict["detail"]))

    def add(self, waiting: Waiting, verdict: Failed, *, extractor: str) -> None:
        """Writes it down before anything else is done."""
        self.found[self._id(waiting)] = {
            "offset": waiting.page.offset, "inner_offset": waiting.page.inner_offset, "extractor": extractor,
            "reason": verdict.reason, "detail": verdict.detail,
        }
        told = {
            "part": self.part.part, "plan_key": self.part.plan_key, "source": self.part.source, "name": self.part.name,
            "verdicts": self.found,
        }
        files.write_bytes(self._path, (json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())

    @property
    def _path(self) -> str:
        return files.join(self.out, FOLDER, f"{self.part.part}.json")

    def _id(self, waiting: Waiting) -> str:
        page, file = waiting.page, self.file or self.part.name
        return document_id(
            source=self.part.source, file=file, offset=page.offset, inner_offset=page.inner_offset
        ).hex()
