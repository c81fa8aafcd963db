"""What the user reads about a hub's failure: a sentence and a fix for each code of a child process.

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

_PROXY_FIX = (
    "Check HTTPS_PROXY and HTTP_PROXY (http://user:password@host:port) and NO_PROXY; "
    "a SOCKS proxy needs the Python package socksio (pip install socksio)."
)
_OTHER_MODEL = "Choose another model, or another revision (org/name@revision)."

SENTENCES: dict[Code, tuple[str, str]] = {
    "offline": (
        "HF_HUB_OFFLINE switches the hub off, and {absent}.",
        "Unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE to fetch it.",
    ),
    "gated-without-token": (
        "{repo} is gated: its authors ask you to accept their terms first.",
        "Accept them at {page}, create an access token at {tokens}, set HF_TOKEN to it and start "
        "again.",
    ),
    "gated-without-access": (
        "{repo} is gated, and the account of your Hugging Face token has no access.",
        "Accept the terms at {page} with that account (approval may take time), and let the token "
        "read gated repositories; then start again.",
    ),
    "bad-token": (
        "{host} does not accept your Hugging Face token.",
        "Set HF_TOKEN to a valid one from {tokens}, or log out (hf auth logout) and unset "
        "HF_TOKEN: public models need none.",
    ),
    "no-repository": (
        "There is no model “{repo}” at {host}, or it is private.",
        "Check the name; for a private model set HF_TOKEN to a token from {tokens} that may read "
        "it.",
    ),
    "no-revision": (
        "{repo} has no revision “{revision}”.",
        "Choose a branch, a tag or a commit that {page} has.",
    ),
    "disabled": ("{host} has disabled {repo}.", "Choose another model."),
    "too-many-requests": (
        "{host} has received too many requests from this address.",
        "Start again in some minutes; with HF_TOKEN set the limit is higher.",
    ),
    "server-fault": (
        "{host} reports an internal fault ({detail}).",
        "Start again later; what has been fetched is kept.",
    ),
    "refused": (
        "{host} refuses to deliver {repo} ({detail}).",
        "Check HF_ENDPOINT, and that your Hugging Face token, if any, may read the model.",
    ),
    "not-a-hub": (
        "The answer of {host} is not that of a Hugging Face hub.",
        "Check HF_ENDPOINT and the network: a proxy, or the login page of a public network, may "
        "intercept the connection.",
    ),
    "bad-endpoint": (
        "The address in HF_ENDPOINT cannot be used.",
        "Set it to https://host, or unset it for huggingface.co.",
    ),
    "bad-proxy-setting": ("The setting of the network's proxy cannot be used.", _PROXY_FIX),
    "proxy-login": ("The network's proxy requires a user name and a password.", _PROXY_FIX),
    "proxy-refused": ("The network's proxy refuses the connection.", _PROXY_FIX),
    "bad-certificate": (
        "The certificate of {host} is signed by nobody whom this computer trusts.",
        "If a company's proxy inspects the traffic, set SSL_CERT_FILE to its certificates.",
    ),
    "unreachable": (
        "{host} cannot be reached, and {absent}.",
        "Check the network connection and the proxy settings (HTTPS_PROXY), then start again; "
        "what has been fetched is kept.",
    ),
    "damaged": (
        "{detail} of {repo} arrived damaged: it is not the file that the hub announced.",
        "Start again to fetch it anew; if that does not help, a proxy or a mirror alters it.",
    ),
    "no-folder": ("{repo} has no folder “{folder}” at the revision {revision}.", _OTHER_MODEL),
    "no-files": ("{repo} holds no files at the revision {revision}.", _OTHER_MODEL),
    "no-config": (
        "{detail} is not a model: it has no config.json.",
        "Choose a repository that holds a whole model.",
    ),
    "gguf-only": (
        "{detail} holds its weights as GGUF files, of which one is enough.",
        "Download one GGUF file and give its path.",
    ),
    "pickles-only": (
        "{detail} holds its weights as pickles only, which could run code when they are read.",
        "Choose a repository with safetensors weights.",
    ),
    "no-weights": (
        "{detail} holds no weights that an engine here reads (model.safetensors).",
        "Choose a language model with safetensors weights.",
    ),
    "long-path": (
        "The path of the model's files is too long for Windows.",
        r"Set HF_HOME to a short folder, such as C:\hf, or enable long paths in Windows.",
    ),
    "cache-unusable": (
        "The Hugging Face cache cannot be used: {detail}.",
        "Make the folder writable, or set HF_HOME to another one.",
    ),
    "cache-read-only": (
        "The Hugging Face cache cannot be changed: {detail}.",
        "Check that {cache} can be written.",
    ),
    "being-fetched": (
        "A program is fetching {detail}.",
        "Wait until it has ended, or stop it, and remove the model again.",
    ),
    "not-removed": (
        "Part of the model could not be removed from the Hugging Face cache: {detail} is left.",
        "Close the programs that use it and remove it again, or delete the folder yourself.",
    ),
}


def explain(report: JsonObject, remote: Remote) -> PreparationError:
    """The error that a child reported about `remote` (see `diagnosis.report`)."""
    endpoint, cache = report["endpoint"], report["cache"]
    if report["error"] == "disk-full":
        return failures.disk_full(Path(cache), report["bytes_missing"], remote.title, "HF_HOME")
    message, fix = SENTENCES[report["error"]]
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
