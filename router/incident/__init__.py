"""The life of an incident: pure functions over frozen data. Nothing here reads a clock or calls AWS."""
