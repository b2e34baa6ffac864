"""Facts about an alert that its event does not hold."""
