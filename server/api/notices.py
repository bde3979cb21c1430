"""Short sentences that a candidate's page shows, in the interview's language."""

from __future__ import annotations

from agent.plan import Language
from server.api.models import Notice

_TEXTS: dict[str, dict[Language, str]] = {
    "voice_microsoft": {
        "en": (
            "The interviewer's voice is made by Microsoft: the text that it speaks is sent there."
            " What you say is not."
        ),
        "zh": "面试官的语音由微软生成：面试官要说的文字会发送给微软，您说的话不会。",
    },
    "too_long": {
        "en": (
            "This answer is too long: at most 8000 characters at a time. Nothing of it was taken;"
            " shorten it, or send it in parts."
        ),
        "zh": "这段回答太长：每次最多 8000 个字符。内容尚未提交，请缩短或分段发送。",
    },
    "too_fast": {
        "en": "Too many messages at once. The last one was not taken; wait a second.",
        "zh": "消息发送过快，最后一条未被接收，请稍等一秒。",
    },
    "bad_message": {
        "en": "This message was not understood and was not taken.",
        "zh": "无法识别这条消息，未被接收。",
    },
    "not_live": {
        "en": "You are not connected to the interview. Join again; nothing was lost.",
        "zh": "您尚未连接到面试。请重新加入，内容不会丢失。",
    },
    "replaced": {
        "en": "The interview goes on in another window or on another device.",
        "zh": "面试已在另一个窗口或设备上继续。",
    },
    "failed": {
        "en": "Something went wrong here. Join again; what was heard is kept.",
        "zh": "系统出现问题。请重新加入，已听到的内容会保留。",
    },
}


def notice(code: str, language: Language) -> Notice:
    return Notice(code=code, text=_TEXTS[code][language])
