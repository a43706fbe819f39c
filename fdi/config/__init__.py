"""What a configuration is: typed keys, ranges, the parts that a `_target_` names, the identity of a
run. Only Hydra and the standard library; no torch.
"""


class Error(Exception):
    """What fdi raises for mistakes that a user can correct, and for runs that fail: the base of all
    its exceptions, with a message of one line.
    """


class Mistake(Error, ValueError):
    """A value, a name or data that do not fit; the message says which, and what to do."""
