"""Errors that a user can cause; all others are defects and keep their traceback."""

from lstm_bench.masking import mask_text


class LstmBenchError(Exception):
    """Base of the errors that end a command with one message and exit code 2.

    The message has the place, what was expected, what was found and what to do, with
    passwords masked.
    """

    def __str__(self) -> str:
        """Return the message without passwords."""
        return mask_text(super().__str__())


class SuiteError(LstmBenchError):
    """A suite file, or an override of it, is not valid."""


class DatasetError(LstmBenchError):
    """A dataset is missing, damaged or not the expected one."""


class UnfitDataError(DatasetError):
    """The data can be read, but nothing can be learned from them as they are."""


class QuantityError(UnfitDataError):
    """Labels that should be classes are numbers that may be a quantity."""


class LeakError(DatasetError):
    """A part of the data depends on values that come after it."""


class TrackingError(LstmBenchError):
    """The MLflow or Optuna store cannot be reached, read or written."""


class StoredError(TrackingError):
    """A run, a trial or a file in a store was not written by this program."""


class OutputError(LstmBenchError):
    """A file or folder that the command writes cannot be written."""


class ExportError(LstmBenchError):
    """A model cannot be exported to a format, or would compute something else."""


class PublishError(LstmBenchError):
    """A study, or one of its files, cannot be published."""


class TrialFailed(LstmBenchError):
    """One training failed in an expected way; the sweep continues.

    The loss is not finite, or memory is exhausted. The message is the run's
    ``failure_reason``.
    """
