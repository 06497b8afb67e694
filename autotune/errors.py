"""Every error a user can meet: what is wrong, the way out, and the exit code."""

EXIT_OK = 0
EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_NO_FEASIBLE = 3
EXIT_VERIFICATION = 4
EXIT_INTERRUPTED = 130


class AutotuneError(Exception):
    """Base of all expected errors; the command line prints the message and nothing else."""

    exit_code = EXIT_ERROR


class UsageError(AutotuneError):
    """An argument that can be seen to be wrong before anything is read."""

    exit_code = EXIT_USAGE


class SpecError(AutotuneError):
    """A study file that cannot be used; the message lists every fault in it."""

    exit_code = EXIT_USAGE


class ModelError(AutotuneError):
    """A model file that is missing, unreadable, changed, or needs a shape."""


class SourceError(AutotuneError):
    """Inputs of the user's own that are missing, broken, or do not fit the model."""


class InputCodeError(SourceError):
    """The study's own code failed; its folder is left, with the traceback in a log."""


class DeviceError(AutotuneError):
    """A device that this machine or runtime does not have."""


class StorageError(AutotuneError):
    """A study database that cannot be opened, read or written."""


class StudyMismatchError(AutotuneError):
    """The study was begun with another model, machine, runtime, goal or space."""


class BusyError(AutotuneError):
    """Another process holds the study or is measuring on this machine."""


class MachineFaultError(AutotuneError):
    """Measuring itself does not work here: workers keep failing for no configuration's fault."""
