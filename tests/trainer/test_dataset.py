from __future__ import annotations

import dataclasses
import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from schemas import shards
from schemas.errors import RunError
from tests.trainer.shard_sets import make_data
from trainer import check
from trainer.dataset import SAMPLE_SHARDS, describe, open_data, to_verify
from trainer.mapped import map_shard

ROOT = Path(__file__).parents[2]


@pytest.fixture
def manifest(tmp_path) -> Path:
    return make_data(tmp_path, sources={"web": 90, "wiki": 13}, seq_len=12)


def edit(path: Path, **changes) -> None:
    raw = json.loads(path.read_text())
    path.write_text(json.dumps(raw | changes))


def edit_shard(path: Path, number: int, **changes) -> shards.Shard:
    """Changes the manifest's words on a shard of the first split, and whatever must follow."""
    manifest = shards.from_json(path.read_text())
    listed = list(manifest.splits["train"])
    listed[number] = dataclasses.replace(listed[number], **changes)
    splits = {**manifest.splits, "train": tuple(listed)}
    path.write_text(shards.to_json(dataclasses.replace(
        manifest, splits=splits, totals=shards.totals_of(splits),
        dataset_id=shards.dataset_id(s for split in splits.values() for s in split))))
    return listed[number]


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


def refused(manifest: Path, said: str, **how) -> None:
    with pytest.raises(RunError, match=said) as raised:
        open_data(str(manifest), **how)
    assert "\n" not in str(raised.value)


def test_a_sound_data_set_opens(manifest):
    for verify in ("full", "sample", "off"):
        data = open_data(str(manifest), verify=verify)
        assert data.rows("train") == {"web": 90, "wiki": 13} and data.rows("validation") == {"web": 11, "wiki": 1}
        assert data.token_bytes.dtype == np.int32 and len(data.token_bytes) == 97 and data.pad_id == 1
        assert data.mapped(data.shards("train", "web")[2]).tokens.shape == (10, 13)
    with pytest.raises(RunError, match="no split dev; it has train, validation"):
        data.rows("dev")


def test_rows_are_mapped_and_not_copied(manifest):
    data = open_data(str(manifest))
    mapped = data.mapped(data.shards("train", "web")[0])
    for column in (mapped.tokens, mapped.n_real, mapped.starts, mapped.starts_at, mapped.lang):
        assert mapped.file.address <= column.ctypes.data < mapped.file.address + mapped.file.size
    assert data.mapped(data.shards("train", "web")[0]) is mapped


def test_no_manifest(tmp_path):
    refused(tmp_path / "manifest.json", "manifest.json: no manifest of shards to read .*--data is the path")
    (tmp_path / "manifest.json").write_text("{")
    refused(tmp_path / "manifest.json", "manifest.json: .*write the shards again")
    (tmp_path / "manifest.json").write_bytes(b"\xff\xfe")
    refused(tmp_path / "manifest.json", "manifest.json: .*write the shards again")


def test_another_version(manifest):
    edit(manifest, schema_version=2)
    refused(manifest, "manifest.json: shard manifest of schema version 2; this reads 1; ")


def test_no_padding_id(manifest):
    edit(manifest, special_ids={"<|endoftext|>": 0})
    refused(manifest, r"special_ids has no <\|pad\|>")


@pytest.mark.parametrize("verify", ["full", "sample", "off"])
def test_a_missing_shard(manifest, verify):
    (manifest.parent / "train/web/shard-00001.arrow").unlink()
    refused(manifest, r"train/web/shard-00001.arrow: shard missing \(No such file", verify=verify)


def test_a_short_shard(manifest):
    path = manifest.parent / "train/web/shard-00001.arrow"
    whole = path.read_bytes()
    path.write_bytes(whole[:1040])  # 40 rows of 13 tokens of 2 bytes
    refused(manifest, "web/shard-00001.arrow: 1040 bytes, but the tokens of its 40 rows alone are 1040", verify="off")
    path.write_bytes(b"")
    refused(manifest, "shard-00001.arrow: 0 bytes", verify="off")
    path.write_bytes(whole[:-20])
    refused(manifest, r"shard-00001.arrow: not a whole Arrow file \(", verify="full")
    data = open_data(str(manifest), verify="off")
    with pytest.raises(RunError, match=r"shard-00001.arrow: not a whole Arrow file \("):
        data.mapped(data.shards("train", "web")[1])


def test_other_rows_than_the_manifest_has(manifest):
    edit_shard(manifest, 1, rows=39)
    refused(manifest, "shard-00001.arrow: 40 rows, but the manifest says 39", verify="full")
    data = open_data(str(manifest), verify="off")
    with pytest.raises(RunError, match="40 rows, but the manifest says 39"):
        data.mapped(data.shards("train", "web")[1])


def test_a_shard_of_other_columns(tmp_path):
    other = make_data(tmp_path / "other", sources={"web": 90, "wiki": 13}, seq_len=14)
    manifest = make_data(tmp_path / "data", sources={"web": 90, "wiki": 13}, seq_len=12)
    (manifest.parent / "train/wiki/shard-00000.arrow").write_bytes(
        (other.parent / "train/wiki/shard-00000.arrow").read_bytes())
    refused(manifest, "wiki/shard-00000.arrow: not one record batch of shards of seq_len 12", verify="full")


def test_a_flipped_bit_is_found_by_its_digest_and_by_nothing_else(manifest):
    """Wherever it lies in the values: Arrow reads it without a word."""
    path = manifest.parent / "train/web/shard-00001.arrow"
    mapped = map_shard(path, describe(str(manifest)).shards("train", "web")[1], describe(str(manifest)).manifest)
    at = mapped.tokens.ctypes.data - mapped.file.address + 100
    expected = describe(str(manifest)).shards("train", "web")[1].xxh3
    flip(path, at)
    open_data(str(manifest), verify="off")
    refused(manifest, f"train/web/shard-00001.arrow: damaged or of another run: xxh3 [0-9a-f]{{32}}, but the manifest "
            f"says {expected}", verify="full")


def test_ids_beyond_the_vocabulary(manifest):
    edit_shard(manifest, 3, max_id=97)
    refused(manifest, "wiki/shard-00000.arrow: token id 97, but the vocabulary has 97 ids", verify="off")
    edit_shard(manifest, 3, max_id=96)
    open_data(str(manifest), verify="off")


def test_other_ids_than_the_manifest_has(manifest):
    high = describe(str(manifest)).shards("train", "web")[0].max_id
    edit_shard(manifest, 0, max_id=high - 1)
    refused(manifest, f"shard-00000.arrow: ids from 0 to {high}, but the manifest says 0 to {high - 1}", verify="full")


def test_rows_of_another_source(manifest):
    edit_shard(manifest, 3, source="web")
    refused(manifest, "wiki/shard-00000.arrow: has rows that are not of source web", verify="full")


def test_token_bytes_that_do_not_fit(manifest):
    table = manifest.parent / "token_bytes.npy"
    np.save(table, np.zeros(96, np.int32))
    refused(manifest, r"token_bytes.npy: int32\[96\], but the vocabulary wants int32\[97\]")
    table.write_bytes(b"")
    refused(manifest, "token_bytes.npy: cannot be read")
    table.unlink()
    refused(manifest, "token_bytes.npy: cannot be read")


def test_ranks_share_the_files_and_a_sample_is_of_each_share(tmp_path):
    manifest = make_data(tmp_path, sources={"web": 60, "wiki": 13}, seq_len=4, shard_rows=3)
    data = describe(str(manifest))
    for world in (1, 2, 3, 40):
        shares = [to_verify(data, verify="full", rank=rank, world=world) for rank in range(world)]
        assert sorted(s.path for share in shares for s in share) == sorted(s.path for s in data.all_shards)
        for rank, share in enumerate(shares):
            sample = to_verify(data, verify="sample", rank=rank, world=world)
            assert len(sample) == min(SAMPLE_SHARDS, len(share)) and set(sample) <= set(share)
        assert not any(to_verify(data, verify="off", rank=rank, world=world) for rank in range(world))
    victim = to_verify(data, verify="sample", rank=1, world=3)[0]
    flip(manifest.parent / victim.path, (manifest.parent / victim.path).stat().st_size // 2)
    open_data(str(manifest), rank=0, world=3)
    refused(manifest, f"{victim.path}: ", rank=1, world=3)


def test_mapped_shards_hold_no_file_descriptors(tmp_path):
    manifest = make_data(tmp_path, sources={"web": 120}, seq_len=4, shard_rows=1, splits=("train",))
    program = f"""
import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
from trainer.dataset import open_data
data = open_data({str(manifest)!r})
print(sum(len(data.mapped(s).tokens) for s in data.shards("train", "web")))"""
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 60
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "120\n", done.stderr


def test_reading_rows_needs_no_torch():
    program = "import sys, trainer.batches, trainer.step, trainer.check; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


def test_check_says_every_problem_in_a_line_of_its_own(manifest, capsys):
    assert check.main(["--data", str(manifest)]) == 0
    assert capsys.readouterr().out == ""
    folder = manifest.parent / "train/web"
    flip(folder / "shard-00000.arrow", (folder / "shard-00000.arrow").stat().st_size // 2)
    (folder / "shard-00001.arrow").unlink()
    flip(folder / "shard-00002.tfrecord", 50)
    assert check.main(["--data", str(manifest)]) == 1
    said = capsys.readouterr()
    first, second, third = said.out.splitlines()
    assert "shard-00000.arrow: damaged" in first and "shard-00001.arrow: shard missing" in second
    assert "shard-00002.tfrecord: damaged" in third
    assert "6/6 " in said.err and "6 shards, 3 problems" in said.err
    for options, lines in ((["--arrow-only"], 2), (["--verify", "off"], 1)):
        assert check.main(["--data", str(manifest), *options]) == 1
        assert len(capsys.readouterr().out.splitlines()) == lines
    (folder / "shard-00002.tfrecord").unlink()
    assert check.main(["--data", str(manifest)]) == 1
    assert "shard-00002.tfrecord: cannot be read" in capsys.readouterr().out
    assert check.main(["--data", str(manifest.parent / "none.json")]) == 1
    assert "none.json: no manifest" in capsys.readouterr().out
