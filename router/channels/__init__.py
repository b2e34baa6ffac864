"""Channels: plugins, their configuration, secrets, HTTP, rate limits and health."""
