"""Enrichment: facts about an alert that its event does not contain."""
