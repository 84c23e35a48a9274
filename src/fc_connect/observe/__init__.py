"""What a run tells about itself: logs, correlation ids, progress events. Events go out; nothing comes in."""

from fc_connect.observe.correlation import correlate, current_correlation_id
from fc_connect.observe.logs import configure_logging, mask_secrets, printable, printable_json
from fc_connect.observe.progress import (
    BatchConfirmed,
    BatchSent,
    Event,
    FileFinished,
    FileMapped,
    FileSkipped,
    FileStarted,
    Listener,
    Listeners,
    RunFinished,
    RunStarted,
)

__all__ = [
    "BatchConfirmed",
    "BatchSent",
    "Event",
    "FileFinished",
    "FileMapped",
    "FileSkipped",
    "FileStarted",
    "Listener",
    "Listeners",
    "RunFinished",
    "RunStarted",
    "configure_logging",
    "correlate",
    "current_correlation_id",
    "mask_secrets",
    "printable",
    "printable_json",
]
