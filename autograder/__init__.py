"""Building, releasing and grading of problem sets. A check declares itself with `declare`; a notebook calls `check`; an instructor calls `grade`."""

import sys
from importlib import import_module

# jsonschema, behind nbformat, can check IRIs with this; no notebook holds one, and its import compiles a grammar: two seconds of every command.
sys.modules.setdefault("rfc3987_syntax", None)

__version__ = "0.1.0"
_HOME = {"check": "checking", "declare": "checking", "grade": "grading"}


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'autograder' has no attribute '{name}'; it exports {', '.join(_HOME)}")
    return getattr(import_module(f"autograder.{_HOME[name]}"), name)
