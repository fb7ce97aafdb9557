"""The event loop and the process: yielding, pauses, garbage collection, signals, the log."""
