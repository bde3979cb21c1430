"""The whole run in little: every step, an interruption, a warm start. Needs torch."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is in the dependency group `training`")

import torch

from asr import rehearsal
from asr.rehearsal.training import __main__ as command
from asr.rehearsal.training import examples, fitting, losses, warm_start, weights
from asr.rehearsal.training.material import Material, Mix
from asr.rehearsal.training.model import Micro, Shape
from asr.rehearsal.training.tokens import FILE, Tokens
from asr.whisper import Whisper

PLAN = fitting.Plan(seed=1, steps=4, rate=1e-3, log_every=2, save_every=1)


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    return Tokens.load(rehearsal.MODEL_DIR / FILE)


@pytest.fixture(scope="module")
def heard() -> list[examples.Example]:
    return [examples.training_example(seed) for seed in range(8)]


def material(heard: list[examples.Example], tokens: Tokens) -> Material:
    return Material(heard, tokens, labels(heard), Mix(1500))


def labels(heard: list[examples.Example]) -> list[str]:
    return sorted({label for one in heard for label in one.phonemes})


def tiny(heard: list[examples.Example], tokens: Tokens) -> Micro:
    torch.manual_seed(3)
    return Micro(Shape(64, 1, 2, tokens.size, len(labels(heard))))


def test_the_command_goes_from_templates_to_an_evaluated_folder(tmp_path: Path) -> None:
    work = tmp_path / "work"
    command.main(["--small", "--work", str(work), "--threads", "1"])
    assert (work / "evaluation.json").exists()
    Whisper(work / "model", device="cpu").decode(np.zeros(16_000, np.float32), language="en")
    written = (work / "model" / "model.bin").read_bytes()
    command.main(["train", "export", "--small", "--work", str(work), "--threads", "1"])
    assert (work / "model" / "model.bin").read_bytes() == written


def test_a_run_that_was_stopped_ends_with_the_same_weights(
    heard: list[examples.Example], tokens: Tokens, tmp_path: Path
) -> None:
    whole = fitting.Fit(tiny(heard, tokens), PLAN, tmp_path / "whole")
    whole.run(material(heard, tokens))

    class Killed(Exception):
        pass

    class Stopped(fitting.Fit):
        def save(self) -> None:
            super().save()
            if self.step == 2:
                raise Killed

    with pytest.raises(Killed):
        Stopped(tiny(heard, tokens), PLAN, tmp_path / "cut").run(material(heard, tokens))
    again = fitting.Fit(tiny(heard, tokens), PLAN, tmp_path / "cut")
    again.resume()
    assert again.step == 2
    again.run(material(heard, tokens))
    one, other = (fitting.averaged(tmp_path / n / fitting.CHECKPOINT) for n in ("whole", "cut"))
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_processes_make_the_same_batches_in_the_same_order(
    heard: list[examples.Example], tokens: Tokens
) -> None:
    made = material(heard, tokens)
    alone = list(itertools.islice(made.batches(1, 2), 4))
    helped = list(itertools.islice(made.batches(1, 2, workers=2), 4))
    for one, other in zip(alone, helped, strict=True):
        assert torch.equal(one.features, other.features)
        assert torch.equal(one.tokens, other.tokens)
        assert torch.equal(one.itself.allowed, other.itself.allowed)
        assert all(map(torch.equal, one.points, other.points))


def test_another_plan_does_not_go_on_from_this_checkpoint(
    heard: list[examples.Example], tokens: Tokens, tmp_path: Path
) -> None:
    fitting.Fit(tiny(heard, tokens), PLAN, tmp_path).save()
    for other in (replace(PLAN, rate=2e-3), replace(PLAN, seed=2)):
        with pytest.raises(ValueError, match="another plan"):
            fitting.Fit(tiny(heard, tokens), other, tmp_path).resume()


def test_a_plan_of_more_steps_goes_on_from_a_finished_one(
    heard: list[examples.Example], tokens: Tokens, tmp_path: Path
) -> None:
    fitting.Fit(tiny(heard, tokens), PLAN, tmp_path).run(material(heard, tokens))
    longer = fitting.Fit(tiny(heard, tokens), replace(PLAN, steps=6), tmp_path)
    longer.resume()
    assert longer.step == 4
    longer.run(material(heard, tokens))
    assert longer.step == 6
    shorter = fitting.Fit(tiny(heard, tokens), replace(PLAN, steps=5), tmp_path)
    with pytest.raises(ValueError, match="another plan"):
        shorter.resume()


def test_the_text_alone_teaches_nothing_to_the_heads_of_the_helpers(
    heard: list[examples.Example], tokens: Tokens, tmp_path: Path
) -> None:
    plan = warm_start.gentler(replace(PLAN, helpers=False))
    model = tiny(heard, tokens)
    fit = fitting.Fit(model, plan, tmp_path)
    fit.run(material(heard, tokens))
    assert plan.heads_only == 0
    assert all(parameter.grad is None for parameter in model.phonemes.parameters())
    assert model.model.encoder.conv1.weight.grad is not None


def test_the_losses_fall(heard: list[examples.Example], tokens: Tokens, tmp_path: Path) -> None:
    plan = fitting.Plan(seed=1, steps=15, rate=5e-3, log_every=100, save_every=100)
    fit = fitting.Fit(tiny(heard, tokens), plan, tmp_path)
    found: list[losses.Losses] = []
    take = fit._take

    def noted(*arguments: object) -> losses.Losses:
        found.append(take(*arguments))  # type: ignore[arg-type]
        return found[-1]

    fit._take = noted  # type: ignore[method-assign]
    fit.run(material(heard, tokens))
    first, last = found[0].numbers(), found[-1].numbers()
    assert all(last[name] < first[name] for name in ("text", "phoneme", "word"))


def test_a_warm_start_knows_what_the_old_checkpoint_knew(
    heard: list[examples.Example], tokens: Tokens
) -> None:
    model = Micro(Shape(128, 4, 3, tokens.size, len(labels(heard))))
    warm_start.load(model, rehearsal.MODEL_DIR, tokens)
    text = "I worked as a nurse for five years."
    one = examples.spoken_test(text, 1, "none", "clean")
    features, _ = losses.stacked([one.features], [np.zeros(1, np.int64)], None)
    prompt = [
        tokens.special(name) for name in ("startoftranscript", "en", "transcribe", "notimestamps")
    ]
    (read,) = model.eval().read(features, prompt, tokens.end)
    assert tokens.text(read) == text


def test_a_warm_start_of_another_shape_is_refused(
    heard: list[examples.Example], tokens: Tokens
) -> None:
    with pytest.raises(ValueError, match="another shape"):
        warm_start.load(tiny(heard, tokens), rehearsal.MODEL_DIR, tokens)


def test_a_new_token_begins_as_the_mean_of_its_pieces(tokens: Tokens) -> None:
    table = weights.read(rehearsal.MODEL_DIR)["model.decoder.embed_tokens.weight"]
    assert np.array_equal(warm_start.widened(table, tokens, tokens), table)


def test_padding_stands_for_all_of_the_thirty_seconds(
    heard: list[examples.Example], tokens: Tokens
) -> None:
    """A short batch is read as the whole window is, or training and engine would differ."""
    model = Micro(Shape(128, 4, 3, tokens.size, len(labels(heard))))
    warm_start.load(model, rehearsal.MODEL_DIR, tokens)
    one = max(heard, key=lambda example: example.frames if example.frames < 900 else 0)
    features, _ = losses.stacked([one.features], [np.zeros(1, np.int64)], None)
    window = torch.zeros(1, 80, 3000)
    window[:, :, : features.shape[2]] = features
    with torch.no_grad():
        short, _ = model.eval().model.encoder(features, torch.full((64,), 0.5))
        whole, _ = model.model.encoder(window, torch.full((64,), 0.5))
    positions = features.shape[2] // 2
    difference = (short[:, :positions] - whole[:, :positions]).abs().mean()
    assert difference < 0.1 * whole.std()
