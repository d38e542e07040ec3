"""A snapshot of Common Crawl and a dump of a wiki, the same documents wherever their mirror lies: folder, S3, GCS."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from pathlib import Path

import pytest

from pipelines import ingest
from tests.pipelines.conftest import digests

pytestmark = pytest.mark.slow
SNAPSHOT = "crawl-data/CC-MAIN-2026-43"
DUMP = "ltgwiki/20261101/ltgwiki-20261101-pages-articles-multistream.xml.bz2"


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the real archives."""
    data = Path(__file__).parents[4] / "shared/data"
    if not data.is_dir():
        pytest.skip(f"the real archives are not at {data}; they are not part of the repository")
    root = tmp_path_factory.mktemp("mirror")
    for kind in ("warc", "wet"):
        names = []
        for k, path in enumerate(sorted((data / kind).glob(f"*.{kind}.gz"))):
            names.append(f"{SNAPSHOT}/segments/{k % 3}/{kind}/{path.name}")
            (root / names[-1]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, root / names[-1])
        assert names
        (root / SNAPSHOT / f"{kind}.paths.gz").write_bytes(gzip.compress("\n".join(names).encode()))
    dump = (data / "wikipedia/ltgwiki-pages-articles.xml.bz2").read_bytes()
    (root / DUMP).parent.mkdir(parents=True)
    (root / DUMP).write_bytes(dump)
    said = {"size": len(dump), "sha1": hashlib.sha1(dump, usedforsecurity=False).hexdigest()}
    files = {Path(DUMP).name: said}
    status = {"jobs": {"articlesmultistreamdump": {"status": "done", "files": files}}}
    (root / DUMP).with_name("dumpstatus.json").write_text(json.dumps(status))
    return root


def ingested(out: Path, base: str) -> dict[str, str]:
    """Digests of every table."""
    ingest.run([
        "--input=web=cc:CC-MAIN-2026-43", "--input=wet=cc:CC-MAIN-2026-43/wet",
        "--input=wiki=wiki:ltgwiki/20261101@wikipedia", f"--cc-base={base}", f"--wiki-base={base}", f"--output={out}",
    ])
    found = digests(out, ("documents", "dead_letters"))
    return {name: digest for name, digest in found.items() if name.endswith(".parquet")}


@pytest.fixture(scope="module")
def here(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    found = ingested(tmp_path_factory.mktemp("here"), str(mirror))
    assert len(found) == 2 * sum(1 for path in mirror.rglob("*.*z*") if "paths" not in path.name)
    return found


@pytest.mark.timeout(900)
def test_the_same_documents_from_a_store(mirror: Path, here: dict[str, str], place, tmp_path: Path) -> None:
    assert ingested(tmp_path / "there", place.fill(mirror, "mirror")) == here
