"""Whom messages go to: services by their apprise URL. The URLs are secrets: they are never logged, written or shown."""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass

import apprise

from api.notify_policy import Note
from infra.settings import Settings
from schemas.enums import Severity
from schemas.errors import SettingsError

log = logging.getLogger(__name__)

# What it logs of failures is taken up by ``send``; the rest may hold parts of URLs.
logging.getLogger("apprise").setLevel(logging.CRITICAL)

_OWN_SERVERS = frozenset({"json", "xml", "form", "mailto"})
"""URLs whose host is a server's name; elsewhere a token stands in its place."""

_PARTS = re.compile(r"[/?&=:@#,+ ]+")
_SECRET_LENGTH = 6
"""Shorter parts of a URL are words rather than secrets."""


@dataclass(frozen=True)
class Target:
    """One service.

    Parameters
    ----------
    key : str
        Names it in the state file: hash of the URL.
    shown : str
        What it is called in logs: nothing of the URL but the host of a server of one's own.
    """

    key: str
    shown: str
    _service: apprise.NotifyBase
    _secrets: tuple[str, ...]

    def send(self, note: Note) -> str:
        """Send a message; return why it failed, in words, or nothing when it did not.

        Blocks for some seconds at most: apprise bounds connecting and waiting by 4 s each.
        """
        kinds = {Severity.HIGH: apprise.NotifyType.FAILURE, Severity.MEDIUM: apprise.NotifyType.WARNING}
        kind = apprise.NotifyType.INFO
        if note.kind in ("new", "grown", "drift") and note.severity is not None:
            kind = kinds[note.severity]
        with apprise.LogCapture(level=logging.WARNING, name="apprise", fmt="%(message)s") as said:
            is_sent = self._service.notify(title=note.title, body=note.body, notify_type=kind)
            reason = _first_line(said.getvalue())
        for secret in self._secrets:
            reason = reason.replace(secret, "***")
        return "" if is_sent else reason or "it did not take the message"


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def target(url: str) -> Target:
    """Return the service of an apprise URL.

    Raises
    ------
    SettingsError
        It is none; the text does not repeat it.
    """
    service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if not isinstance(service, apprise.NotifyBase):
        schema = url.partition("://")[0] if "://" in url else ""
        named = f" It begins with {schema}://." if re.fullmatch(r"[a-z0-9+-]{1,20}", schema) else ""
        raise SettingsError(f"A notification URL is not one that apprise understands.{named}")
    key = hashlib.blake2b(url.encode(), digest_size=8).hexdigest()
    schema, _, rest = url.partition("://")
    is_own = schema.lower().removesuffix("s") in _OWN_SERVERS and service.host
    shown = f"{service.service_name} at {service.host}" if is_own else str(service.service_name)
    secrets = (part for part in _PARTS.split(rest) if len(part) >= _SECRET_LENGTH and part != service.host)
    return Target(key, shown, service, tuple(sorted(secrets, key=len, reverse=True)))


def urls_of(settings: Settings) -> list[str]:
    """Return the configured URLs."""
    return [url for url in re.split(r"[\s]+|,(?=\s*[a-z0-9+-]+://)", settings.notify_urls.get_secret_value()) if url]


def targets_of(settings: Settings) -> list[Target]:
    """Return the configured services; a URL that is not understood is logged, without it, and left out."""
    found = []
    for number, url in enumerate(urls_of(settings), 1):
        try:
            found.append(target(url))
        except SettingsError as error:
            log.error("SPANWATCH_NOTIFY_URLS, number %d: %s", number, error)  # noqa: TRY400 - a sentence, no trace
    return found
