"""State: leases with fencing, file and batch ledger, watermark, daily job. Knows of the KV store alone."""

from fc_connect.state.batches import BatchRecord, BatchState
from fc_connect.state.files import FileRecord, FileStatus, Plan
from fc_connect.state.jobs import DailyJob, JobTracker, TrackedBatch, TrackedJob
from fc_connect.state.lease import Lease, LockInfo
from fc_connect.state.owner import Owner
from fc_connect.state.replay import ReplayGuard
from fc_connect.state.service import StateService
from fc_connect.state.transfer import TransferSummary, export_state, import_state
from fc_connect.state.watermark import SyncState

__all__ = [
    "BatchRecord",
    "BatchState",
    "DailyJob",
    "FileRecord",
    "FileStatus",
    "JobTracker",
    "Lease",
    "LockInfo",
    "Owner",
    "Plan",
    "ReplayGuard",
    "StateService",
    "SyncState",
    "TrackedBatch",
    "TrackedJob",
    "TransferSummary",
    "export_state",
    "import_state",
]
