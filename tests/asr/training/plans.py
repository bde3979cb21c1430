"""The plans that come with Viva, for these tests."""

from importlib.resources import files

from ruamel.yaml import YAML

from agent.plan import Plan


def load(name: str) -> Plan:
    source = files("prompts") / "plans" / f"{name}.yaml"
    return Plan.model_validate(YAML(typ="safe").load(source.read_text(encoding="utf-8")))
