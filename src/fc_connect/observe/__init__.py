"""What a run tells about itself: logs, correlation ids, progress events. Events go out; nothing comes in."""

from fc_connect.observe.correlation import correlate, current_correlation_id

__all__ = ["correlate", "current_correlation_id"]
