"""The classifier: a Deep Q-Network that names flows by their 78 features.

Nothing here is imported with the package, so that a command line that does not classify never loads PyTorch.
"""
