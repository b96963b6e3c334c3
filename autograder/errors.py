"""The error that every command turns into one sentence and exit status 2."""


class KitError(ValueError):
    """Something the user gave cannot be used; the message says what was wrong and what would be right."""


class SubmissionError(KitError):
    """Why a submission cannot be graded, in one sentence."""
