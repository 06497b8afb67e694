"""Names of before the reader and the writer."""

from autotune.storage.identity import Identity
from autotune.storage.sessions import SessionRow, session_of_row
from autotune.storage.writer import StudyWriter as StudyStore

__all__ = ["Identity", "SessionRow", "StudyStore", "session_of_row"]
