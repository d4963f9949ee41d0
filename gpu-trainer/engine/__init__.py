"""Graft's training engine: arrays and a JSON spec in, JSON lines and artifacts out. It never sees a caller's raw bytes."""
