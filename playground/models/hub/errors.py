"""Why a hub's models cannot be fetched or removed: what the child processes report."""

from __future__ import annotations

from enum import Enum

_PROXY_FIX = (
    "Check HTTPS_PROXY and HTTP_PROXY (http://user:password@host:port) and NO_PROXY; "
    "a SOCKS proxy needs the Python package socksio (pip install socksio)."
)
_OTHER_MODEL = "Choose another model, or another revision (org/name@revision)."


class Code(Enum):
    """A failure, with the sentence and the fix for the user; `sentences.py` fills in the braces."""

    OFFLINE = (
        "HF_HUB_OFFLINE switches the hub off, and {absent}.",
        "Unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE to fetch it.",
    )
    GATED_WITHOUT_TOKEN = (
        "{repo} is gated: its authors ask you to accept their terms first.",
        "Accept them at {page}, create an access token at {tokens}, set HF_TOKEN to it and start "
        "again.",
    )
    GATED_WITHOUT_ACCESS = (
        "{repo} is gated, and the account of your Hugging Face token has no access.",
        "Accept the terms at {page} with that account (approval may take time), and let the token "
        "read gated repositories; then start again.",
    )
    BAD_TOKEN = (
        "{host} does not accept your Hugging Face token.",
        "Set HF_TOKEN to a valid one from {tokens}, or log out (hf auth logout) and unset "
        "HF_TOKEN: public models need none.",
    )
    NO_REPOSITORY = (
        "There is no model “{repo}” at {host}, or it is private.",
        "Check the name; for a private model set HF_TOKEN to a token from {tokens} that may read "
        "it.",
    )
    NO_REVISION = (
        "{repo} has no revision “{revision}”.",
        "Choose a branch, a tag or a commit that {page} has.",
    )
    DISABLED = ("{host} has disabled {repo}.", "Choose another model.")
    TOO_MANY_REQUESTS = (
        "{host} has received too many requests from this address.",
        "Start again in some minutes; with HF_TOKEN set the limit is higher.",
    )
    SERVER_FAULT = (
        "{host} reports an internal fault ({detail}).",
        "Start again later; what has been fetched is kept.",
    )
    REFUSED = (
        "{host} refuses to deliver {repo} ({detail}).",
        "Check HF_ENDPOINT, and that your Hugging Face token, if any, may read the model.",
    )
    NOT_A_HUB = (
        "The answer of {host} is not that of a Hugging Face hub.",
        "Check HF_ENDPOINT and the network: a proxy, or the login page of a public network, may "
        "intercept the connection.",
    )
    BAD_ENDPOINT = (
        "The address in HF_ENDPOINT cannot be used.",
        "Set it to https://host, or unset it for huggingface.co.",
    )
    BAD_PROXY_SETTING = ("The setting of the network's proxy cannot be used.", _PROXY_FIX)
    PROXY_LOGIN = ("The network's proxy requires a user name and a password.", _PROXY_FIX)
    PROXY_REFUSED = ("The network's proxy refuses the connection.", _PROXY_FIX)
    BAD_CERTIFICATE = (
        "The certificate of {host} is signed by nobody whom this computer trusts.",
        "If a company's proxy inspects the traffic, set SSL_CERT_FILE to its certificates.",
    )
    UNREACHABLE = (
        "{host} cannot be reached, and {absent}.",
        "Check the network connection and the proxy settings (HTTPS_PROXY), then start again; "
        "what has been fetched is kept.",
    )
    DAMAGED = (
        "{detail} of {repo} arrived damaged: it is not the file that the hub announced.",
        "Start again to fetch it anew; if that does not help, a proxy or a mirror alters it.",
    )
    NO_FOLDER = ("{repo} has no folder “{folder}” at the revision {revision}.", _OTHER_MODEL)
    NO_FILES = ("{repo} holds no files at the revision {revision}.", _OTHER_MODEL)
    NO_CONFIG = (
        "{detail} is not a model: it has no config.json.",
        "Choose a repository that holds a whole model.",
    )
    GGUF_ONLY = (
        "{detail} holds its weights as GGUF files, of which one is enough.",
        "Download one GGUF file and give its path.",
    )
    PICKLES_ONLY = (
        "{detail} holds its weights as pickles only, which could run code when they are read.",
        "Choose a repository with safetensors weights.",
    )
    NO_WEIGHTS = (
        "{detail} holds no weights that an engine here reads (model.safetensors).",
        "Choose a language model with safetensors weights.",
    )
    LONG_PATH = (
        "The path of the model's files is too long for Windows.",
        r"Set HF_HOME to a short folder, such as C:\hf, or enable long paths in Windows.",
    )
    CACHE_UNUSABLE = (
        "The Hugging Face cache cannot be used: {detail}.",
        "Make the folder writable, or set HF_HOME to another one.",
    )
    CACHE_READ_ONLY = (
        "The Hugging Face cache cannot be changed: {detail}.",
        "Check that {cache} can be written.",
    )
    BEING_FETCHED = (
        "A program is fetching {detail}.",
        "Wait until it has ended, or stop it, and remove the model again.",
    )
    NOT_REMOVED = (
        "Part of the model could not be removed from the Hugging Face cache: {detail} is left.",
        "Close the programs that use it and remove it again, or delete the folder yourself.",
    )
    DISK_FULL = ("", "")  # `failures.disk_full` has the sentences


class HubError(Exception):
    """A failure that `sentences.py` explains to the user.

    detail: the HTTP status, the file, the repository, the folder or the reason.
    """

    def __init__(self, code: Code, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code, self.detail = code, detail
