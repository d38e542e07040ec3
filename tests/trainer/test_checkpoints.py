"""A checkpoint is whole or not there; what is taken is what was there when it was asked for."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.distributed.checkpoint import FileSystemWriter

from schemas.errors import RunError
from trainer import checkpoints
from trainer.optim import optimiser
from trainer.parallel import spread, team
from trainer.settings import Settings


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x):
        return x + self.linear(x).relu()


class Small(nn.Module):
    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.blocks = nn.ModuleList(Block() for _ in range(2))
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x)


@pytest.fixture(scope="module")
def us():
    with team() as found:
        yield found


def made(us, *, seed: int = 0):
    model = Small(seed)
    spread(model, us, bf16=False, recompute=False, compiled=False, accumulates=False)
    return model, optimiser(model, Settings(data="d", out="o", lr=0.1))


def train(model, adam, steps: int = 1) -> None:
    for _ in range(steps):
        model(torch.ones(2, 8)).square().sum().backward()
        adam.step()
        adam.zero_grad()


def values(model, adam) -> list[torch.Tensor]:
    moments = [adam.state[p][k] for p in model.parameters() for k in ("exp_avg", "exp_avg_sq", "step")]
    every = (*model.parameters(), *moments)
    return [t.full_tensor().clone() if hasattr(t, "full_tensor") else t.clone() for t in every]


def equal(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("beside", [True, False])
def test_what_is_restored_is_what_was_there_when_it_was_saved(us, tmp_path, beside):
    model, adam = made(us)
    train(model, adam, 3)
    then = values(model, adam)
    kept = checkpoints.Checkpoints(tmp_path, us, keep=2, beside=beside)
    kept.save(model, adam, step=3, state={"next": 12})
    train(model, adam, 3)  # while it is being written
    assert not equal(values(model, adam), then)
    kept.settle(wait=True)
    found = checkpoints.latest(tmp_path)
    assert (found.step, found.state) == (3, {"next": 12})
    other, moments = made(us, seed=1)
    checkpoints.restore(found, other, moments)
    assert equal(values(other, moments), then)
    train(other, moments, 3)
    assert equal(values(other, moments), values(model, adam))


def test_without_its_marker_it_is_not_there(us, tmp_path):
    kept = checkpoints.Checkpoints(tmp_path, us, keep=3, beside=True)
    model, adam = made(us)
    train(model, adam)
    for step in (1, 2):
        kept.save(model, adam, step=step, state={})
    assert checkpoints.latest(tmp_path).step == 1  # the second is being written, or is written and not yet settled
    kept.settle(wait=True)
    assert checkpoints.latest(tmp_path).step == 2
    (tmp_path / "checkpoints/step-00000002/COMPLETE").unlink()
    assert checkpoints.latest(tmp_path).step == 1
    with pytest.raises(RunError, match=r"no complete checkpoint. Complete are those of steps: 1\.$"):
        checkpoints.saved(tmp_path, 2)
    kept.save(model, adam, step=2, state={})  # over what is left of it
    kept.settle(wait=True)
    assert checkpoints.latest(tmp_path).step == 2


def test_no_checkpoint_at_all(tmp_path):
    assert checkpoints.latest(tmp_path) is None
    with pytest.raises(RunError, match="Complete are those of steps: none"):
        checkpoints.saved(tmp_path, 7)


def test_old_ones_go_only_when_a_new_one_is_complete(us, tmp_path, monkeypatch):
    kept = checkpoints.Checkpoints(tmp_path, us, keep=2, beside=True)
    model, adam = made(us)
    train(model, adam)
    for step in (5, 10, 15):
        kept.save(model, adam, step=step, state={})
    folder = tmp_path / "checkpoints"
    assert {p.name for p in folder.iterdir()} == {f"step-{n:08d}" for n in (5, 10, 15)}  # 15 is not complete yet
    kept.settle(wait=True)
    assert {p.name for p in folder.iterdir()} == {f"step-{n:08d}" for n in (10, 15)}
    (folder / "step-00000010/COMPLETE").unlink()  # what a kill leaves; a stranger's folder stays
    (folder / "mine").mkdir()
    kept.save(model, adam, step=20, state={})
    kept.settle(wait=True)
    assert {p.name for p in folder.iterdir()} == {"step-00000015", "step-00000020", "mine"}


def test_a_write_that_fails_is_an_error_and_no_checkpoint(us, tmp_path, monkeypatch):
    kept = checkpoints.Checkpoints(tmp_path, us, keep=2, beside=True)
    model, adam = made(us)
    train(model, adam)
    kept.save(model, adam, step=1, state={})
    kept.settle(wait=True)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FileSystemWriter, "write_data", full)
    kept.save(model, adam, step=2, state={})
    with pytest.raises(RunError, match=r"step-00000002 could not be written: rank 0: .*No space left on device\. Mend"):
        kept.settle(wait=True)
    assert checkpoints.latest(tmp_path).step == 1


def test_a_marker_that_cannot_be_read_says_what_to_do(us, tmp_path):
    folder = tmp_path / "checkpoints/step-00000009"
    folder.mkdir(parents=True)
    (folder / "COMPLETE").write_text("{")
    with pytest.raises(RunError, match=r"COMPLETE: .*Remove .*step-00000009: the one before is taken then"):
        checkpoints.latest(tmp_path)


def test_a_damaged_one_says_what_to_do(us, tmp_path):
    model, adam = made(us)
    train(model, adam)
    checkpoints.Checkpoints(tmp_path, us, keep=1, beside=False).save(model, adam, step=1, state={})
    found = checkpoints.latest(tmp_path)
    next(found.folder.glob("*.distcp")).write_bytes(b"")
    with pytest.raises(RunError, match=r"step-00000001 could not be read: rank 0: .*Remove it"):
        checkpoints.restore(found, model, adam)


def test_whole_weights_are_read_without_a_team(us, tmp_path):
    model, adam = made(us)
    train(model, adam)
    kept = checkpoints.Checkpoints(tmp_path, us, keep=1, beside=False)
    kept.save(model, adam, step=1, state={})
    found = checkpoints.weights_of(checkpoints.latest(tmp_path), Small(seed=5))
    assert {k: v.tolist() for k, v in found.items()} == {
        k: v.full_tensor().tolist() for k, v in model.state_dict().items()
    }
