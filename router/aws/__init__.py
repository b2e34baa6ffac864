"""AWS clients and the router's own queues."""
