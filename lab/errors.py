"""What can go wrong in the lab, each with a sentence for the person at the keyboard."""

from __future__ import annotations


class LabError(Exception):
    """Anything the lab reports instead of a stack trace."""


class MissingPrivilegeError(LabError):
    """The lab was started without root or without CAP_NET_ADMIN and CAP_SYS_ADMIN."""


class MissingProgramError(LabError):
    """A program that a scenario runs is not installed."""


class CommandError(LabError):
    """A command inside the lab ended badly or took too long."""


class ServerError(LabError):
    """A server of the lab did not come up."""


class CaptureError(LabError):
    """The mirror lost packets or did not record."""


class LabelError(LabError):
    """Labels and packets do not agree."""
