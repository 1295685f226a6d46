"""Errors a user can cause; everything else is a defect and keeps its traceback."""

from lstm_bench.masking import mask_text


class LstmBenchError(Exception):
    """Base of the errors that end a command with one message and exit code 2.

    The message names the place, what was expected, what was found and what to do;
    passwords in it are masked.
    """

    def __str__(self) -> str:
        """Return the message without passwords."""
        return mask_text(super().__str__())


class SuiteError(LstmBenchError):
    """A suite file, or an override of it, is not valid."""


class DatasetError(LstmBenchError):
    """A dataset is missing, damaged or not what it claims to be."""


class TrackingError(LstmBenchError):
    """The MLflow or Optuna store cannot be reached, read or written."""


class StoredError(TrackingError):
    """A run, a trial or a file of a store is not what this program writes there."""


class OutputError(LstmBenchError):
    """A file or folder that the command should write cannot be written."""


class PublishError(LstmBenchError):
    """A study, or a file about it, is not fit to be published."""


class TrialFailed(LstmBenchError):
    """One training failed in a way that the sweep expects; the sweep goes on.

    Non-finite loss or memory exhausted. The message is the run's
    ``failure_reason``.
    """


class TrialTaken(LstmBenchError):
    """Another process has taken a training over: this one sent no heartbeat."""


class TrialPruned(LstmBenchError):
    """One training was stopped early because its curve does not look promising."""
