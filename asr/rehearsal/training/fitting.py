"""The loop: seeded batch by batch, so that a run that was stopped goes on as if it had not been.

The schedule counts steps, not minutes: the same command on the same shards makes the same weights
on the same machine with the same torch. A step has some batches whose gradients are averaged. On a
CPU each has a thread: they wait for one another once a step, and not in every product.
"""

from __future__ import annotations

import copy
import json
import logging
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asr.rehearsal.training.losses import Batch, Losses, losses
from asr.rehearsal.training.material import Material
from asr.rehearsal.training.model import Micro, Shape

logger = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
WARM_UP = 0.04
WEIGHT_DECAY = 0.02
AVERAGED = 0.998
"""How much of the averaged weights stays at each step, once there were enough of them."""


@dataclass(frozen=True)
class Plan:
    """How long and how strongly: `warm_up` of the steps until the full `rate`; `heads_only` first
    steps in which a warm start trains its new heads alone; `parts` batches in a step; `helpers`:
    whether times and phonemes help, or the text is learnt alone."""

    seed: int
    steps: int
    rate: float
    warm_up: float = WARM_UP
    heads_only: int = 0
    log_every: int = 20
    save_every: int = 50
    parts: int = 2
    helpers: bool = True

    def rate_at(self, step: int) -> float:
        """Up in a line, down in half a cosine to a hundredth."""
        done = step / self.steps
        if done < self.warm_up:
            return self.rate * (done + 1e-4) / self.warm_up
        late = (done - self.warm_up) / (1 - self.warm_up)
        return self.rate * (0.5 * (1 + math.cos(math.pi * late)) * 0.99 + 0.01)


class Fit:
    """A model on its way, with the average of its weights, which is what is exported."""

    def __init__(self, model: Micro, plan: Plan, folder: Path, device: str = "cpu") -> None:
        self.plan, self.step = plan, 0
        self._folder, self._device = folder, device
        self._model = model.to(device).train()
        self._average = copy.deepcopy(self._model).eval()
        self._learning = [p for p in model.parameters() if p.requires_grad]
        self._body = {id(p) for p in model.model.parameters()}
        self._optimizer = torch.optim.AdamW(
            [
                {
                    "params": [p for p in self._learning if p.dim() > 1],
                    "weight_decay": WEIGHT_DECAY,
                },
                {"params": [p for p in self._learning if p.dim() < 2], "weight_decay": 0.0},
            ],
            lr=plan.rate,
            betas=(0.9, 0.98),
            fused=device.startswith("cuda"),
        )
        folder.mkdir(parents=True, exist_ok=True)

    def run(self, material: Material, workers: int = 0) -> None:
        """To the plan's last step, from wherever it is; `workers` processes make the batches."""
        began = time.monotonic()
        batches = material.batches(self.plan.seed, self.step * self.plan.parts, workers)
        with ThreadPoolExecutor(self.plan.parts) as pool:
            while self.step < self.plan.steps:
                found = self._take([next(batches) for _ in range(self.plan.parts)], pool)
                if self.step % self.plan.log_every == 0:
                    self._log(found, time.monotonic() - began)
                if self.step % self.plan.save_every == 0:
                    self.save()
        self.save()

    def _take(self, parts: Sequence[Batch], pool: ThreadPoolExecutor) -> Losses:
        found = list(pool.map(self._gradients, parts))
        for at, parameter in enumerate(self._learning):
            parameter.grad = _mean([gradients[at] for _, gradients in found])
            if self.step < self.plan.heads_only and id(parameter) in self._body:
                parameter.grad = None
        self._learn()
        self.step += 1
        return found[0][0]

    def _gradients(self, batch: Batch) -> tuple[Losses, Sequence[Tensor | None]]:
        found = losses(self._model, batch.to(self._device))
        done = self.step / self.plan.steps
        total = found.total(done) if self.plan.helpers else found.text
        return found, torch.autograd.grad(total, self._learning, allow_unused=True)

    def _learn(self) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = self.plan.rate_at(self.step)
        torch.nn.utils.clip_grad_norm_(self._learning, 1.0)
        self._optimizer.step()
        kept = min(AVERAGED, (self.step + 1) / (self.step + 20))
        averages, current = list(self._average.parameters()), list(self._model.parameters())
        with torch.no_grad():
            torch._foreach_lerp_(averages, current, 1 - kept)

    def _log(self, found: Losses, seconds: float) -> None:
        line = {"step": self.step, "of": self.plan.steps, **found.numbers(), "s": round(seconds)}
        logger.info("%s", json.dumps(line))
        with (self._folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def save(self) -> None:
        """Under its name only once it is whole: it may be killed at any moment."""
        state: dict[str, Any] = {
            "plan": asdict(self.plan),
            "shape": asdict(self._model.shape),
            "step": self.step,
            "model": self._model.state_dict(),
            "average": self._average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        partial = self._folder / f"{CHECKPOINT}.partial"
        torch.save(state, partial)
        partial.rename(self._folder / CHECKPOINT)

    def resume(self) -> None:
        """From the folder's checkpoint, if there is one.

        A plan of more steps goes on as well: the rate rises again to what is due at that step, a
        warm restart (Loshchilov and Hutter 2017). Raises `ValueError` if anything else differs.
        """
        path = self._folder / CHECKPOINT
        if not path.exists():
            return
        state = torch.load(path, map_location=self._device, weights_only=True)
        same = state["plan"] | {"steps": self.plan.steps} == asdict(self.plan)
        fits = state["shape"] == asdict(self._model.shape) and state["step"] <= self.plan.steps
        if not (same and fits):
            raise ValueError(f"{path} is of another plan. Delete it, or give the options it had.")
        self.step = state["step"]
        self._model.load_state_dict(state["model"])
        self._average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        logger.info("going on at step %d", self.step)


def _mean(gradients: Sequence[Tensor | None]) -> Tensor | None:
    if len(gradients) == 1:
        return gradients[0]
    present = [gradient for gradient in gradients if gradient is not None]
    return sum(present[1:], present[0]) / len(gradients) if present else None


def averaged(path: Path) -> Micro:
    """The model of a checkpoint, as it is exported."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    model = Micro(Shape(**state["shape"]))
    model.load_state_dict(state["average"])
    return model.eval()
