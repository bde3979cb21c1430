"""The figures of a run: words, times, latencies. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from agent import events as ev
from server.rehearsal import check, words


def of(run: check.Run, report_after_s: float, wall_s: float) -> dict[str, Any]:
    """Everything the summary shows; `latency` is what `latency.json` holds."""
    errors = check.word_errors(run)
    times = [abs(error) for _, error in check.time_errors(run) if error is not None]
    return {
        "wall_s": round(wall_s, 1),
        "report_after_s": round(report_after_s, 2),
        "words": errors.words,
        "word_error_rate": round(errors.rate, 4),
        "deletions": errors.deletions,
        "normaliser": words.NORMALISER,
        "worst_time_error_s": round(max(times), 3) if times else None,
        "quotes": check.quote_count(run.report),
        "events": len(run.events),
        "packets_lost": packets_lost(run),
        "longest_answer_s": round(longest_answer(run.events), 1),
        "latency": latency(run, report_after_s),
    }


def packets_lost(run: check.Run) -> str:
    """Of the candidate's sound, as the server counted them."""
    measured = run.of(ev.AudioMeasured)
    lost = sum(event.lost for event in measured)
    return f"{lost} of {lost + sum(event.packets for event in measured)}"


def latency(run: check.Run, report_after_s: float) -> dict[str, Any]:
    """Milliseconds by turn and in all, as the events have them."""
    end_of_turn = {
        turn.turn_id: turn.end_of_turn_delay
        for turn in run.of(ev.TurnSettled)
        if turn.end_of_turn_delay is not None
    }
    reply = {
        move.turn_id: move.reply_delay
        for move in run.of(ev.MoveHeard)
        if move.turn_id is not None and move.reply_delay is not None
    }
    both = [end_of_turn[turn] + reply[turn] for turn in end_of_turn if turn in reply]
    return {
        "end_of_turn_ms": percentiles(list(end_of_turn.values())),
        "reply_ms": percentiles(list(reply.values())),
        "gap_ms": percentiles(both),
        "turns": [
            {
                "turn_id": turn,
                "end_of_turn_ms": _ms(end_of_turn.get(turn)),
                "reply_ms": _ms(reply.get(turn)),
            }
            for turn in dict.fromkeys([*end_of_turn, *reply])
        ],
        "report_after_s": round(report_after_s, 2),
    }


def percentiles(seconds: Sequence[float]) -> dict[str, float | int | None]:
    """p50, p95 (nearest rank) and worst, in milliseconds."""
    if not seconds:
        return {"p50": None, "p95": None, "worst": None, "n": 0}
    ordered = sorted(seconds)
    p95 = ordered[max(0, -(-95 * len(ordered) // 100) - 1)]
    return {
        "p50": _ms(statistics.median(ordered)),
        "p95": _ms(p95),
        "worst": _ms(ordered[-1]),
        "n": len(ordered),
    }


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def longest_answer(events: Sequence[ev.Event]) -> float:
    """Seconds from the first to the last sound of one turn."""
    spans: dict[str, tuple[float, float]] = {}
    for event in events:
        if isinstance(event, ev.SegmentHeard) and event.source == "spoken" and event.text:
            first, last = spans.get(event.turn_id, (event.t0, event.t1))
            spans[event.turn_id] = (min(first, event.t0), max(last, event.t1))
    return max((last - first for first, last in spans.values()), default=0.0)


def table(summary: Mapping[str, Any]) -> Table:
    shown = Table("figure", "value", title="Rehearsal")
    for name, value in summary.items():
        if name != "latency":
            shown.add_row(name.replace("_", " "), str(value))
    for name in ("end_of_turn_ms", "reply_ms", "gap_ms"):
        found = summary["latency"][name]
        text = f"p50 {found['p50']}  p95 {found['p95']}  worst {found['worst']}  n {found['n']}"
        shown.add_row(name.replace("_", " "), text)
    return shown
