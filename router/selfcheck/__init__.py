"""How the router watches itself."""
