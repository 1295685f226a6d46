"""Errors a user can cause; everything else is a defect and keeps its traceback."""


class LstmBenchError(Exception):
    """Base of the errors that end a command with one message and exit code 2.

    The message says where, what was expected, what came and what to do.
    """


class SuiteError(LstmBenchError):
    """A suite file, or an override of it, is not valid."""


class DatasetError(LstmBenchError):
    """A dataset is missing, damaged or not what it claims to be."""


class TrackingError(LstmBenchError):
    """The MLflow or Optuna store cannot be reached, read or written."""


class OutputError(LstmBenchError):
    """A file or folder that the command should write cannot be written."""


class PublishError(LstmBenchError):
    """A study, or a file about it, is not fit to be published."""


class TrialFailed(LstmBenchError):
    """One training failed in a way that the sweep expects; the sweep goes on.

    Non-finite loss or memory exhausted. The message is the run's
    ``failure_reason``.
    """


class TrialPruned(LstmBenchError):
    """One training was stopped early because its curve does not look promising."""
