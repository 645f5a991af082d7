"""The traffic lab: a small network in namespaces that records labelled captures of real programs.

Not part of the installed product; run from a checkout with ``python -m lab``.
"""
