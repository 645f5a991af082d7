"""One router per part of the contracts."""
