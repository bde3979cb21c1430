"""The recording as an answer, for the API and the desk: a player may ask for any part of it."""

from __future__ import annotations

import logging
import re

from fastapi.responses import FileResponse

from server.api.errors import ApiError
from server.api.parts import Parts

logger = logging.getLogger(__name__)
TYPES = {".ogg": "audio/ogg", ".wav": "audio/wav"}


async def recording(parts: Parts, interview_id: str, *, download: bool) -> FileResponse:
    """The whole interview so far; raises `ApiError`, `UnknownInterview`."""
    await parts.store.interview(interview_id)
    try:
        file = await parts.recordings.audio(interview_id)
    except OSError as error:
        logger.exception("The recording could not be put together")
        text = f"The recording cannot be put together: {error.strerror}."
        raise ApiError(507, "disk_full", text) from error
    if file is None:
        raise ApiError(404, "no_audio", "Nothing was recorded in this interview.")
    safe = re.sub(r"[^A-Za-z0-9_-]", "", interview_id)
    return FileResponse(
        file,
        media_type=TYPES.get(file.suffix, "application/octet-stream"),
        filename=f"interview-{safe}{file.suffix}",
        content_disposition_type="attachment" if download else "inline",
    )
