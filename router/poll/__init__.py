"""What no event reports: services that run too few tasks, and runs that did not start. Decides only; sends nothing."""
