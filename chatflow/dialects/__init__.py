"""Wire encodings of the event log: pure functions from event rows to frames."""
