"""The ground floor: clock, ids, timer table, redaction, logs and metrics. Uses no other room."""
