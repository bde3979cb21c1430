import io

from rich.console import Console

from server.rehearsal.view import View

STATE = {"type": "state", "state": "speaking", "stage": "Your work", "question": 2, "questions": 8}


def caption(speaker: str, text: str, *, final: bool = True) -> dict[str, object]:
    return {"type": "caption", "speaker": speaker, "text": text, "final": final}


def shown(*messages: dict[str, object], terminal: bool = False) -> str:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=100)
    with View(console, "Rehearsal", lambda: ["barge in"]) as view:
        for message in messages:
            view.feed(message)
        view.note("the network is lost")
    return screen.getvalue()


def test_without_a_terminal_each_final_caption_is_one_plain_line() -> None:
    lines = shown(
        STATE,
        caption("interviewer", "What is", final=False),
        caption("interviewer", "What is [your] role?"),
        caption("candidate", "I am a nurse."),
    ).splitlines()
    assert [line.split(maxsplit=2)[1:] for line in lines] == [
        ["stage", "Your work"],
        ["interviewer", "What is [your] role?"],
        ["candidate", "I am a nurse."],
        ["rehearsal", "the network is lost"],
    ]


def test_a_terminal_shows_where_the_interview_stands_and_what_is_to_come() -> None:
    screen = shown(STATE, caption("interviewer", "What is your role?"), terminal=True)
    for text in ("Your work", "2 of 8", "speaking", "What is your role?", "to come: barge in"):
        assert text in screen


def test_an_empty_or_strange_message_is_no_line() -> None:
    assert shown(caption("candidate", ""), {"type": "news"}, {}).count("\n") == 1
