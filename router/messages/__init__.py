"""The text of a notification, in the reader's language."""
