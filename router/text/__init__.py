"""What text for people may contain: visible characters, no secrets, and the names of subjects."""
