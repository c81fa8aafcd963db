"""What the user reads about a hub's failure: the sentence and the fix of its code, filled in.

No text of another program is among the values: it could hold a token, a signed address or a proxy's
password.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from playground.errors import PreparationError
from playground.models import failures
from playground.models.hub.errors import Code
from playground.models.hub.files import Remote
from playground.workers.subprocesses import JsonObject


def explain(report: JsonObject, remote: Remote) -> PreparationError:
    """The error that a child reported about `remote` (see `diagnosis.report`)."""
    endpoint, cache = report["endpoint"], report["cache"]
    code = Code[report["error"]]
    if code is Code.DISK_FULL:
        return failures.disk_full(Path(cache), report["bytes_missing"], remote.title, "HF_HOME")
    message, fix = code.value
    values = {
        "repo": remote.repo,
        "revision": remote.revision,
        "folder": remote.folder,
        "host": urlsplit(endpoint).netloc or "The Hugging Face hub",
        "page": f"{endpoint}/{remote.repo}",
        "tokens": f"{endpoint}/settings/tokens",
        "cache": cache,
        "absent": _absent(report["absent"], remote, cache),
        "detail": report["detail"],
    }
    return PreparationError(message.format(**values), fix.format(**values))


def _absent(names: Sequence[str], remote: Remote, cache: str) -> str:
    """What the cache lacks; `names` is empty if the cache knows nothing of the model."""
    if not names:
        return f"{remote.repo} is not in the cache ({cache})"
    more = len(names) - 1
    others = f" and {more} more file{'s' if more > 1 else ''}" if more else ""
    verb = "are" if more else "is"
    return f"{names[0]}{others} of {remote.repo} {verb} not in the cache ({cache})"
