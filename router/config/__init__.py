"""`alert-router.toml`: reading, checking, and what it matches."""
