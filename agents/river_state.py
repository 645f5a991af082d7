"""The state of River's statistics as JSON values, so that a snapshot holds no pickle.

River offers nothing but pickle to keep a statistic. A snapshot comes from a topic that others may be able to write to,
and a pickle can run code. So the few fields are written out. They are not part of River's public interface: a
snapshot therefore carries River's version and is not read by another one, and a test restores each statistic.
"""

from __future__ import annotations

import base64
from typing import Any

from river import drift, stats


def var_state(var: stats.Var) -> list[float]:
    """Return sum of weights, mean and sum of squared differences."""
    return [float(var.mean.n), float(var.mean.get()), float(var._S)]


def restore_var(state: list[float], factor: float = 1.0) -> stats.Var:
    """Return what ``var_state`` was taken of, all weights multiplied by ``factor``."""
    var = stats.Var()
    weight, var.mean._mean, squares = state
    var.mean.n, var._S = weight * factor, squares * factor
    return var


def _octets(compiled: Any) -> str:
    return base64.b64encode(compiled.__getstate__()).decode()


def ewmean_state(mean: stats.EWMean) -> list[Any]:
    """Return the fading factor and the compiled part's state."""
    return [mean.fading_factor, _octets(mean._ewmean)]


def restore_ewmean(state: list[Any]) -> stats.EWMean:
    """Return what ``ewmean_state`` was taken of."""
    mean = stats.EWMean(state[0])
    mean._ewmean.__setstate__(base64.b64decode(state[1]))
    return mean


def adwin_state(adwin: drift.ADWIN) -> list[Any]:
    """Return whether it has just raised an alarm, and the compiled part's state."""
    return [adwin.drift_detected, _octets(adwin._helper)]


def restore_adwin(state: list[Any]) -> drift.ADWIN:
    """Return what ``adwin_state`` was taken of."""
    adwin = drift.ADWIN()
    adwin._drift_detected = state[0]
    adwin._helper.__setstate__(base64.b64decode(state[1]))
    return adwin
