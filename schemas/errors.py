"""Every error the project raises on purpose.

::

    SpanwatchError
    ├── CaptureError            the capture cannot be read
    │   ├── CaptureNotFoundError
    │   └── CaptureFormatError
    ├── WireError               a message on a topic cannot be understood
    ├── BrokerError             Kafka cannot be started or reached
    │   └── PortTakenError
    ├── StoreError              ClickHouse refuses or cannot be reached
    │   └── MigrationError
    ├── SettingsError           a setting has a value that cannot work
    └── MissingProgramError     a program the machine lacks, with how to install it
"""

from __future__ import annotations


class SpanwatchError(Exception):
    """Something the user can be told in one sentence.

    Attributes
    ----------
    can_retry : bool
        Whether the same call may succeed later without a change by the user.
    """

    can_retry: bool = False


class CaptureError(SpanwatchError):
    """The capture cannot be read."""


class CaptureNotFoundError(CaptureError):
    """There is no such capture file."""


class CaptureFormatError(CaptureError):
    """The bytes are not a capture file that we read."""


class WireError(SpanwatchError):
    """A message on a topic cannot be understood."""


class BrokerError(SpanwatchError):
    """Kafka cannot be started or reached."""

    can_retry = True


class PortTakenError(BrokerError):
    """Another program listens on a port that we need."""

    can_retry = False


class StoreError(SpanwatchError):
    """ClickHouse refuses a statement or cannot be reached."""

    can_retry = True


class MigrationError(StoreError):
    """The store's schema is not the one this version understands."""

    can_retry = False


class SettingsError(SpanwatchError):
    """A setting has a value that cannot work."""


class MissingProgramError(SpanwatchError):
    """A program that this command needs is not on the machine."""
