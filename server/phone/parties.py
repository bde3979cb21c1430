"""Who is at the other end, from what a SIP header says: cleaned and bounded. Pure.

A From header is a stranger's text: it may have markup in it, quotes, %-escapes, control characters
that turn a line of the log round, no user at all, or sixty thousand characters.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from server.phone.bridge import Party

LONGEST = 64
_READ = 2048  # characters; what stands behind them cannot matter
_MARKUP = str.maketrans("", "", '<>&"`\\')
_URI = re.compile(r"(?:sips?|tel):(?:(?P<user>[^@]*)@)?(?P<rest>[^@]*)", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(r"\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]+")
ANONYMOUS = frozenset({"anonymous", "unavailable", "unknown", "restricted", "private"})
"""Users that PBXs write in place of a number that is withheld (RFC 3323: `anonymous`)."""


def clean(text: str, longest: int = LONGEST) -> str:
    """Printable text in one line, without the characters of markup."""
    kept = "".join(c if c.isprintable() else " " for c in text[:_READ].translate(_MARKUP))
    return " ".join(kept.split())[:longest].rstrip()


def party(uri: object, display: object = "") -> Party:
    """Of a SIP or tel URI and a display name; whatever is wrong with them, something is given."""
    found = _URI.match(uri[:_READ]) if isinstance(uri, str) else None
    name = clean(_unquoted(display)) if isinstance(display, str) else ""
    if found is None:
        return Party(display=name)
    user, rest = found["user"], found["rest"]
    if user is None and found[0][:4].lower() == "tel:":
        user, rest = rest, ""
    host = _HOST.match(rest)
    return Party(_user(user or ""), host[0][:LONGEST] if host else "", name)


def _user(raw: str) -> str:
    """Without its parameters and password, and with its escapes undone once."""
    plain = unquote_to_bytes(re.split("[;:]", raw, maxsplit=1)[0]).decode("utf-8", "replace")
    user = clean(plain)
    return "" if user.lower() in ANONYMOUS else user


def _unquoted(display: str) -> str:
    text = display[:_READ].strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    return re.sub(r"\\(.)", r"\1", text)
