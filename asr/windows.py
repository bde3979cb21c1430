"""Which window is right for a model, as `viva models check` has measured it: kept beside it."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path

logger = logging.getLogger(__name__)

FILE = "viva-check.json"
SHORTEST_S, LONGEST_S = 5.0, 30.0


def recorded_floors(model_dir: Path) -> Mapping[str, float]:
    """The shortest window of each language that was measured; empty where none was.

    A record that cannot be used costs time, and no start: it is named in the log, and left aside.
    """
    file = model_dir / FILE
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        if record["bytes"] != (model_dir / "model.bin").stat().st_size:
            raise ValueError("it was made for another model")
        found = {str(one["language"]): one["floor_s"] for one in record["languages"]}
        floors = {language: float(s) for language, s in found.items() if s is not None}
        if not all(SHORTEST_S <= s <= LONGEST_S for s in floors.values()):
            raise ValueError("a window is not of 5 to 30 s")
        return floors
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as e:
        logger.warning("%s is not used: %s. Measure again: viva models check", file, e)
        return {}
