"""How a service writes its log: a line of text or a JSON object, its own lines only.

Lines of libraries are left out, since they may quote a data set. For the same reason an exception
is told by its class and its place in the code, never by its message, and only the fields named here
are written.
"""

import json
import logging
import traceback
from datetime import UTC, datetime
from types import TracebackType

ExceptionInfo = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)

FIELDS = (
    *("action", "job_id", "attempt", "state", "lane", "study_instance_uid", "part"),
    *("destination", "delivery"),
)
"""What a line may carry beside its message: names of our own, UIDs and job ids."""


class JsonLines(logging.Formatter):
    """Formats a line as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in FIELDS:
            value = record.__dict__.get(name)
            if value is not None:
                line[name] = str(value)
        line["process"] = record.process
        line.update(_failure(record))
        return json.dumps(line, ensure_ascii=False)


class TextLines(logging.Formatter):
    """Formats a line as text."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatException(self, ei: ExceptionInfo) -> str:  # noqa: N802 - the library's name
        """Return where an exception was raised."""
        told = _told(ei[1])
        return f"{told['error']} at {told['at']}"


def set_up_logs(form: str) -> None:
    """Have what a service does logged to standard error.

    Parameters
    ----------
    form
        ``json`` or ``text``.
    """
    handler = logging.StreamHandler()
    handler.addFilter(lambda line: line.name.split(".")[0] in ("pipeline", "workers"))
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _failure(record: logging.LogRecord) -> dict[str, object]:
    """Return the exception of a line by its class and its place."""
    return _told(record.exc_info[1]) if record.exc_info else {}


def _told(problem: BaseException | None) -> dict[str, object]:
    """Return the class of an exception and where it was raised."""
    if problem is None:
        return {"error": "", "at": ""}
    frames = traceback.extract_tb(problem.__traceback__)
    at = f"{frames[-1].name}:{frames[-1].lineno}" if frames else ""
    return {"error": type(problem).__name__, "at": at}
