"""A short rehearsal by telephone: the plan's file and the candidate's."""

from __future__ import annotations

from pathlib import Path

from ruamel.yaml import YAML

from server.rehearsal.run import shipped_plan

UNJUDGED = ("problem_solving", "clarity", "logic")
"""By the one scored question that is left."""
CANDIDATE = """
voice: {name: en-us+m1, rate: 155}
answers:
  warm_up:
    - barge_in_s: 0.8
      steps: [{hold: 0.5}]
    - steps: [{say: In my free time I enjoy hiking and cooking.}, {key: "#"}]
  experience:
    - steps: [{key: "*"}]
    - steps:
        - say: I worked as a software engineer for five years.
        - say: I used Python and testing every day.
        - drop: 0.5
        - say: In my last job I built a payment system for a bank.
demands: [by_telephone, repeat_key, finish_key, rejoin, hold]
"""


def short(folder: Path) -> tuple[Path, Path]:
    """The shipped plan with one question for practice and one that counts; who answers them."""
    plan = shipped_plan("rehearsal_en.yaml").model_dump(mode="json", exclude_unset=True)
    stages = {stage["id"]: stage for stage in plan["stages"]}
    stages["work"]["questions"] = stages["work"]["questions"][:1]
    plan["stages"] = [stages[name] for name in ("practice", "work", "closing")]
    plan["rubrics"] = plan["rubrics"][:1]
    plan |= {"plan_id": "short", "dimension_weights": dict.fromkeys(UNJUDGED, 0)}
    files = folder / "short.yaml", folder / "candidate.yaml"
    with files[0].open("w", encoding="utf-8") as out:
        YAML(typ="safe").dump(plan, out)
    files[1].write_text(CANDIDATE, encoding="utf-8")
    return files
