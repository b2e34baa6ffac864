"""From an AWS event to a classified alert."""
