"""Undetectable backdoors in machine learning and the defences against them: the reference implementation."""

__version__ = "0.1.0"
__edition__ = "full"  # a students' edition names its problem set here; the exercises of that set and of later ones are blank in it
