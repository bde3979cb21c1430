"""Every word heard is in exactly one final, in order, whatever comes when."""

from hypothesis import given, settings
from hypothesis import strategies as st

from asr.emission import Emission, Emitter

Step = tuple[str, int]

steps = st.lists(
    st.tuples(
        st.sampled_from(["cut", "heard", "speak", "pause", "silence", "interim"]), st.integers(0, 5)
    ),
    max_size=60,
)


def never(_text: str) -> bool:
    return False


def due(emitter: Emitter, silence_s: float = 0.0, speaking: bool = False) -> Emission | None:
    return emitter.due(speaking=speaking, silence_s=silence_s, is_backchannel=never)


@settings(max_examples=100, deadline=None)
@given(steps)
def test_every_piece_is_in_one_final_in_order(script: list[Step]) -> None:
    emitter = Emitter(language="en", final_after_s=0.4)
    waiting: list[int] = []
    cuts = 0
    finals: list[str] = []
    for what, which in [*script, ("drain", 0)]:
        speaking, silence_s = what in ("speak", "cut", "interim"), 1.0 if what == "silence" else 0.1
        if what == "cut":
            emitter.cut(cuts)
            waiting.append(cuts)
            cuts += 1
        elif what == "heard" and waiting:
            piece = waiting.pop(which % len(waiting))
            emitter.heard(piece, f"p{piece}")
        elif what == "interim":
            emitter.overheard("maybe")
        elif what == "drain":
            for piece in waiting:
                emitter.heard(piece, f"p{piece}")
            silence_s = 1.0
        emission = due(emitter, silence_s, speaking)
        if emission is not None and emission.kind == "final":
            assert emitter.recognising == 0
            finals.append(emission.text)
    assert " ".join(finals).split() == [f"p{i}" for i in range(cuts)]
    assert not emitter.unfinished


def test_a_pause_gives_one_preflight_and_the_final_has_its_text() -> None:
    emitter = Emitter(language="en", final_after_s=0.4)
    emitter.cut(0)
    assert due(emitter, 0.25) is None
    emitter.heard(0, "yes")
    assert due(emitter, 0.3) == Emission("preflight", "yes")
    assert due(emitter, 0.35) is None
    assert due(emitter, 0.4) == Emission("final", "yes")
    assert due(emitter, 0.5) is None


def test_the_same_words_twice_are_two_finals() -> None:
    emitter = Emitter(language="en", final_after_s=0.4)
    for piece in range(2):
        emitter.cut(piece)
        emitter.heard(piece, "yes")
        assert due(emitter, 1.0) == Emission("final", "yes")


def test_interims_hold_what_was_heard_and_what_is_being_said() -> None:
    emitter = Emitter(language="en", final_after_s=0.4)
    emitter.cut(0)
    emitter.heard(0, "I built")
    emitter.overheard("a booking")
    assert due(emitter, speaking=True) == Emission("interim", "I built a booking")
    assert due(emitter, speaking=True) is None


def test_a_lost_piece_leaves_no_gap_and_no_empty_final() -> None:
    emitter = Emitter(language="en", final_after_s=0.4)
    emitter.cut(0)
    emitter.heard(0, "")
    assert not emitter.unfinished
    assert due(emitter, 1.0) is None


def test_chinese_is_joined_without_spaces() -> None:
    emitter = Emitter(language="zh", final_after_s=0.4)
    for piece, text in enumerate(["我在银行", "工作过三年。"]):
        emitter.cut(piece)
        emitter.heard(piece, text)
    assert due(emitter, 1.0) == Emission("final", "我在银行工作过三年。")


def test_a_backchannel_is_told_once_silence_shows_it_was_one() -> None:
    emitter = Emitter(language="en", final_after_s=0.4)
    emitter.cut(0)
    emitter.heard(0, "mm-hmm")
    told = [
        emitter.due(speaking=False, silence_s=s, is_backchannel=lambda text: text == "mm-hmm")
        for s in (0.3, 0.5, 0.6)
    ]
    assert told == [None, Emission("backchannel", "mm-hmm"), None]
