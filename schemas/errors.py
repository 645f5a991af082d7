"""Every error the project raises on purpose.

::

    SpanwatchError
    ├── CaptureError            the capture cannot be read
    │   ├── CaptureNotFoundError
    │   ├── CaptureFormatError
    │   ├── CapturePermissionError
    │   ├── NoInterfaceError
    │   └── CaptureFilterError
    ├── WireError               a message on a topic cannot be understood
    ├── LogLineError            a line of a honeypot's log cannot be understood
    ├── BrokerError             Kafka cannot be started or reached
    │   └── PortTakenError
    ├── StoreError              ClickHouse refuses or cannot be reached
    │   └── MigrationError
    ├── BackupError             an archive of the store cannot be written or restored
    ├── SettingsError           a setting has a value that cannot work
    ├── FeaturesError           numbers are not the features of flows
    ├── FlowFileError           a file of labelled flows cannot be used
    ├── ModelError              a model bundle cannot be loaded
    ├── FirewallError           the firewall refuses or does not answer
    │   └── FirewallPermissionError
    ├── AddressRefusedError     an address that is none, or that is never blocked
    ├── ChildError              a program that does some work for us has failed
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


class CapturePermissionError(CaptureError):
    """The process may not capture from an interface."""


class NoInterfaceError(CaptureError):
    """There is no such interface, or it is down or of a kind that we do not read."""


class CaptureFilterError(CaptureError):
    """The capture filter is not one that libpcap understands."""


class WireError(SpanwatchError):
    """A message on a topic cannot be understood."""


class LogLineError(SpanwatchError):
    """A line of a honeypot's log cannot be understood; the sentence has neither capital nor full stop."""


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


class BackupError(SpanwatchError):
    """An archive of the store cannot be written or restored."""


class SettingsError(SpanwatchError):
    """A setting has a value that cannot work."""


class FeaturesError(SpanwatchError):
    """Numbers are not the features of flows as the classifier expects them."""


class FlowFileError(SpanwatchError):
    """A file of labelled flows cannot be used."""


class ModelError(SpanwatchError):
    """A model bundle cannot be loaded."""


class FirewallError(SpanwatchError):
    """The firewall refuses a change, or does not answer."""

    can_retry = True


class FirewallPermissionError(FirewallError):
    """The process may not change the firewall."""

    can_retry = False


class AddressRefusedError(SpanwatchError):
    """What was to be blocked is no address, or one that is never blocked."""


class ChildError(SpanwatchError):
    """A program that does some work for us has failed."""


class MissingProgramError(SpanwatchError):
    """A program that this command needs is not on the machine."""
