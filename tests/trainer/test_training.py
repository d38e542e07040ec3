"""Training in this process: what a step computes, what is refused, what is evaluated."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import shutil

import numpy as np
import pytest
import torch
import xxhash
from torch.nn import functional

from schemas.errors import RunError
from tests.trainer.launch import QUICK, losses, steps
from tests.trainer.shard_sets import make_data
from trainer import checkpoints
from trainer.assembly import EVALUATION_SEED, build, config_for, evaluation_for, examples_of, reader
from trainer.batches import Batches
from trainer.dataset import open_data
from trainer.export_run import run as export_run
from trainer.loop import Run, step
from trainer.meter import Peaks
from trainer.mixture import PlannedPhase
from trainer.model import Transformer
from trainer.objectives import IGNORE, Examples
from trainer.parallel import Team, team
from trainer.progress import Identity, begin
from trainer.settings import parse
from trainer.train import train


@pytest.fixture(scope="module")
def us():
    with team() as found:
        yield found


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("data"), sources={"web": 300, "wiki": 100}, seq_len=32)


def settings(data, run, *more: str):
    return parse(["--data", str(data), "--out", str(run), *QUICK, *more])


def run_of(given, us, *, world: int = 1, rank: int = 0) -> Run:
    """A run that is not started, as rank `rank` of `world` reads it."""
    shards = open_data(given.data, verify="off")
    mix = {"web": 0.75, "wiki": 0.25}
    phase = PlannedPhase(start=0, data=given.data, dataset_id=shards.manifest.dataset_id, mix=mix)
    identity = Identity(
        objective=given.objective, model={}, tokenizer_digest="", seed=given.seed, seq_len=32, block_rows=1,
    )
    progress = begin(identity, phase, global_batch=given.global_batch)
    model, adam = build(given, config_for(given, shards, us), us)
    seat = Team(rank=rank, world=world, device=us.device, mesh=us.mesh)
    return Run(
        settings=given, team=us, model=model, optimiser=adam, read=reader(given, shards, progress, seat),
        progress=progress, checkpoints=None, evaluation=None, meter=None, peaks=Peaks(datasheet=None, measured=None),
        flops_per_token=1.0,
    )


def gradients(run: Run, number: int = 1) -> dict[str, torch.Tensor]:
    """What a step's gradients are, before they are used up."""
    found = {}
    usual = run.optimiser.step

    def keep(*_):
        found.update({n: p.grad.full_tensor().clone() for n, p in run.model.named_parameters()})
        return usual()

    run.optimiser.step = keep
    step(run, run.read(number), number=number)
    return found


def test_the_step_is_the_plain_one(data, us, tmp_path):
    """Against torch without sharding, accumulation or our loss: the mean over all targets, clipped."""
    given = settings(data, tmp_path, "--no-document-masks", "--clip", "0.5")
    run = run_of(given, us)
    plain = run_of(given, us).model
    examples = run.read(1)
    weights = {n: p.full_tensor().detach().clone().requires_grad_() for n, p in plain.named_parameters()}
    bare = Transformer(run.model.config)
    logits = torch.func.functional_call(bare, weights, (examples.inputs,))
    loss = functional.cross_entropy(logits.flatten(0, 1), examples.targets.flatten(), ignore_index=IGNORE)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(list(weights.values()), 0.5)
    adam = torch.optim.AdamW(
        [{"params": [p for p in weights.values() if p.ndim >= 2], "weight_decay": 0.1},
         {"params": [p for p in weights.values() if p.ndim < 2], "weight_decay": 0.0}],
        lr=6e-4 / 2, betas=(0.9, 0.95), eps=1e-8,  # the first of two steps of warm-up
    )
    adam.step()
    found = step(run, examples, number=1)
    assert float(found["loss"]) == pytest.approx(loss.item(), rel=1e-6)
    assert float(found["grad_norm"]) == pytest.approx(norm.item(), rel=1e-5)
    for name, parameter in run.model.named_parameters():
        torch.testing.assert_close(parameter.full_tensor(), weights[name], rtol=1e-5, atol=1e-5)  # of a rate of 3e-4


@pytest.mark.parametrize("more", [(), ("--objective", "mlm"), ("--recompute",)])
def test_accumulation_changes_no_gradient(data, us, tmp_path, more):
    whole = gradients(run_of(settings(data, tmp_path, "--micro-batch", "8", *more), us))
    for micro in ("1", "2", "4"):
        parts = gradients(run_of(settings(data, tmp_path, "--micro-batch", micro, *more), us))
        for name, gradient in whole.items():
            torch.testing.assert_close(parts[name], gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("objective", ["clm", "mlm"])
@pytest.mark.parametrize("world", [1, 2, 4, 8])
def test_any_number_of_ranks_reads_the_same_samples(data, us, tmp_path, world, objective):
    """And so the same masks; over 60 steps, no sample of an epoch twice."""
    given = settings(data, tmp_path, "--micro-batch", "1", "--objective", objective)
    alone = run_of(given, us)
    ranks = [run_of(given, us, world=world, rank=rank) for rank in range(world)]
    for number in (1, 2, 30, 60):
        parts = [rank.read(number) for rank in ranks]
        for name in ("inputs", "targets", "documents"):
            assert torch.equal(torch.cat([getattr(p, name) for p in parts]), getattr(alone.read(number), name))


def test_one_batch_is_learnt_by_heart(data, us, tmp_path):
    flat = ("--lr", "3e-3", "--weight-decay", "0", "--schedule", "wsd", "--decay", "0")
    run = run_of(settings(data, tmp_path, *flat), us)
    examples = run.read(1)
    keep = slice(0, 2)
    few = Examples(inputs=examples.inputs[keep], targets=examples.targets[keep], documents=examples.documents[keep])
    found = [float(step(run, few, number=n)["loss"]) for n in range(1, 120)]
    assert found[0] > 4
    assert found[-1] < 0.05


def test_no_target_is_no_loss(data, us, tmp_path):
    """All rows taken down: a step of nothing, and not one of NaN."""
    shards = open_data(str(data), verify="off")
    down = tmp_path / "down.txt"
    down.write_text("".join(f"{s.path} {r}\n" for s in shards.manifest.splits["train"] for r in range(s.rows)))
    run = run_of(settings(data, tmp_path, "--takedown", str(down)), us)
    before = [p.full_tensor().clone() for p in run.model.parameters()]
    found = step(run, run.read(1), number=1)
    assert float(found["loss"]) == 0.0 and float(found["grad_norm"]) == 0.0
    assert all(torch.isfinite(p.full_tensor()).all() for p in run.model.parameters())
    assert len(before) == len(list(run.model.parameters()))


def test_evaluation_equals_a_count_by_hand(data, us, tmp_path):
    """Row by row with plain torch: loss a target, bits a byte, by source and language."""
    given = settings(data, tmp_path, "--eval-every", "1", "--eval-rows", "9", "--micro-batch", "4")
    shards = open_data(str(data), verify="off")
    model, _ = build(given, config_for(given, shards, us), us)
    found = evaluation_for(given, shards).run(model, us)
    sums: dict[str, list[float]] = {}
    seen = 0
    evaluation = evaluation_for(given, shards)
    for source, numbers in evaluation.rows.items():
        assert len(numbers) == min(9, shards.rows("validation")[source]) == len(set(numbers.tolist()))
        for number in numbers:
            rows = evaluation.batches.read_source(source, np.array([number]))
            examples = examples_of(given, shards, seed=EVALUATION_SEED)(rows)
            with torch.no_grad():
                logits = model(examples.inputs, examples.documents)[0].double().log_softmax(-1)
            lang = shards.manifest.languages[rows.lang[0]]
            for position, target in enumerate(rows.tokens[0, 1 : rows.n_real[0]].tolist()):
                for key in ("all", source, lang):
                    mine = sums.setdefault(key, [0.0, 0, 0])
                    mine[0] -= float(logits[position, target])
                    mine[1] += 1
                    mine[2] += int(shards.token_bytes[target])
            seen += 1
    assert seen == sum(len(n) for n in evaluation.rows.values())
    each = [(figures, key) for part in ("sources", "languages") for key, figures in found[part].items()]
    for figures, key in [(found, "all"), *each]:
        loss, targets, size = sums[key]
        assert figures["targets"] == targets
        assert figures["loss"] == pytest.approx(loss / targets, rel=1e-6)
        assert figures["bits_per_byte"] == pytest.approx(loss / math.log(2) / size, rel=1e-6)
    assert set(found["sources"]) == {"web", "wiki"}


def test_evaluation_does_not_depend_on_micro_batch(data, us, tmp_path):
    shards = open_data(str(data), verify="off")
    found = []
    for micro in ("1", "8"):
        given = settings(data, tmp_path, "--eval-every", "1", "--micro-batch", micro)
        model, _ = build(given, config_for(given, shards, us), us)
        found.append(evaluation_for(given, shards).run(model, us))
    assert found[0]["loss"] == pytest.approx(found[1]["loss"], rel=1e-6)
    assert found[0]["targets"] == found[1]["targets"]


def test_a_whole_run_and_a_new_phase(data, us, tmp_path):
    """Trains, says so, goes on; another mixture is refused, and then allowed; run.json says what was read."""
    run = tmp_path / "run"
    train(settings(data, run, "--steps", "6", "--eval-every", "3", "--tensorboard"), us)
    assert sorted(losses(run)) == list(range(1, 7))
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [e["step"] for e in events if e["event"] == "evaluation"] == [3, 6]
    assert all(e["tokens_per_s"] > 0 and e["data_wait_ms"] >= 0 for e in events if e["event"] == "step")
    assert list((run / "tensorboard").iterdir())
    mix = ("--steps", "9", "--mix", "web=1,wiki=1")
    with pytest.raises(RunError, match=r"mixture web=0.75,wiki=0.25, and --mix is web=0.5,wiki=0.5.*--new-phase"):
        train(settings(data, run, *mix), us)
    train(settings(data, run, *mix, "--new-phase", "--global-batch", "16"), us)
    state = json.loads((run / "run.json").read_text())
    assert [(p["start"], p["mix"]) for p in state["phases"]] == [
        (0, {"web": 0.75, "wiki": 0.25}), (48, {"web": 0.5, "wiki": 0.5})]
    assert state["steps"] == [[1, 0, 8], [7, 48, 16]]
    assert [line["samples"] for line in steps(run)] == [8, 16, 24, 32, 40, 48, 64, 80, 96]
    train(settings(data, run, *mix, "--global-batch", "16"), us)  # it is done, and the phase is known
    assert len(steps(run)) == 9


def test_what_is_another_run_is_refused_by_name(data, us, tmp_path):
    train(settings(data, tmp_path / "run", "--steps", "2"), us)
    cases = {
        ("--model", "30m"): r"made with model \{.*'width': 128.*\}, and this start has \{.*'width': 384",
        ("--seed", "1"): "made with seed 0, and this start has 1",
        ("--seq-len", "16"): "made with seq-len 32, and this start has 16",
        ("--block-rows", "4"): "made with block-rows 1, and this start has 4",
        ("--objective", "mlm"): "made with objective clm, and this start has mlm",
    }
    for more, message in cases.items():
        with pytest.raises(RunError, match=f"{message}.*Give the option as it was, or another --out"):
            train(settings(data, tmp_path / "run", *more), us)


def test_another_data_set_or_tokenizer_is_refused_by_name(data, us, tmp_path):
    run = tmp_path / "run"
    train(settings(data, run, "--steps", "2"), us)
    other = make_data(tmp_path / "other", sources={"web": 300, "wiki": 100}, seq_len=32, seed=1)
    ids = [json.loads(path.read_text())["dataset_id"] for path in (data, other)]
    with pytest.raises(RunError, match=rf"data set {ids[0]} \(.*\), and --data is {ids[1]}.*--new-phase"):
        train(settings(other, run), us)
    train(settings(other, run, "--steps", "4", "--new-phase"), us)
    assert [p["dataset_id"] for p in json.loads((run / "run.json").read_text())["phases"]] == ids
    other.write_text(re.sub(r'"tokenizer_digest": "0+"', f'"tokenizer_digest": "{"1" * 32}"', other.read_text()))
    with pytest.raises(RunError, match=rf"tokenizer {'0' * 32}, and --data has those of {'1' * 32}.*Encode the data"):
        train(settings(other, run, "--new-phase"), us)


@pytest.mark.parametrize(("more", "message"), [
    (("--global-batch", "9"), r"--global-batch 9 is not a multiple of 1 processes x --micro-batch 2 = 2\. Change one"),
    (("--global-batch", "1000"), r"400.* fewer than one global batch of 1,?000"),
    (("--seq-len", "64"), "64"),
    (("--seq-len", "20"), "20"),
    (("--mix", "books=1"), "no source books; it has web, wiki"),
    (("--kv-heads", "3"), r"--kv-heads 3: 3 key heads do not divide 4 heads"),
    (("--takedown", "/nowhere"), "/nowhere"),
])
def test_options_that_do_not_fit_are_refused_before_the_first_step(data, us, tmp_path, more, message):
    with pytest.raises(RunError, match=message):
        train(settings(data, tmp_path / "run", *more), us)
    assert not steps(tmp_path / "run")


def test_replicas_that_do_not_divide_the_processes_are_refused():
    with pytest.raises(RunError, match="--replicas 2 does not divide 1 processes"), team(replicas=2):
        pass


def test_a_loss_that_is_no_number_ends_the_run_and_says_how_to_look(data, us, tmp_path, monkeypatch):
    def broken(logits, targets):
        return logits.sum() * math.nan, None

    monkeypatch.setattr("trainer.loop.loss_sum", broken)
    with pytest.raises(RunError, match=rf"the loss of step 1 is nan.*trainer\.order --data {data} --run .* --at 1"):
        train(settings(data, tmp_path / "run", "--checkpoint-every", "1"), us)
    assert checkpoints.latest(tmp_path / "run") is None


def test_processes_that_disagree_are_told_so(us):
    two = dataclasses.replace(us, world=1)
    two.same("a", what="the data set")  # alone, nobody disagrees


def test_bf16_products_learn_too(data, us, tmp_path):
    run = tmp_path / "run"
    train(settings(data, run, "--precision", "bf16", "--lr", "3e-3"), us)
    found = [line["loss"] for line in steps(run)]
    assert found[-1] < 0.9 * found[0]
    model, _ = build(settings(data, run), config_for(settings(data, run), open_data(str(data)), us), us)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_pieces_of_rows_train_like_short_rows(data, us, tmp_path):
    train(settings(data, tmp_path / "run", "--steps", "3", "--seq-len", "16", "--eval-every", "3"), us)
    assert [line["tokens"] for line in steps(tmp_path / "run")] == [128, 256, 384]


def test_batches_are_of_the_split_that_is_named(data):
    shards = open_data(str(data), verify="off")
    assert set(shards.rows("train")) == set(shards.rows("validation")) == {"web", "wiki"}
    assert Batches.__dataclass_fields__["split"].type == "str"


def test_a_checkpoint_is_exported_and_transformers_loads_it(data, us, tmp_path):
    """With the logits that the weights in training gave; a tokenizer of another digest is refused."""
    from transformers import AutoModelForCausalLM

    run, tokenizer = tmp_path / "run", tmp_path / "tokenizer.json"
    tokenizer.write_text("{}")
    digest = xxhash.xxh3_128_hexdigest(b"{}")
    manifest = tmp_path / "data/manifest.json"
    shutil.copytree(data.parent, manifest.parent)
    manifest.write_text(data.read_text().replace("0" * 32, digest))
    with pytest.raises(RunError, match=r"no complete checkpoint\. Train first"):
        export_run(["--run", str(run), "--output", str(tmp_path / "model")])
    train(settings(manifest, run, "--steps", "5", "--checkpoint-every", "3"), us)
    with pytest.raises(RunError, match="Complete are those of steps: 3, 5"):
        export_run(["--run", str(run), "--output", str(tmp_path / "model"), "--step", "4"])
    with pytest.raises(RunError, match=r"tokenizer/tokenizer.json: No such file.*--tokenizer"):
        export_run(["--run", str(run), "--output", str(tmp_path / "model")])
    export_run(["--run", str(run), "--output", str(tmp_path / "model"), "--tokenizer", str(tokenizer)])
    given = settings(manifest, run)
    shards = open_data(str(manifest), verify="off")
    model, adam = build(given, config_for(given, shards, us), us)
    checkpoints.restore(checkpoints.latest(run), model, adam)
    tokens = torch.arange(3, 35)[None]
    with torch.no_grad():
        theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "model")(tokens).logits
        torch.testing.assert_close(model(tokens), theirs, rtol=1e-4, atol=1e-4)
    tokenizer.write_text("{ }")
    with pytest.raises(RunError, match=f"the run's tokenizer is {digest}"):
        export_run(["--run", str(run), "--output", str(tmp_path / "model"), "--tokenizer", str(tokenizer)])
