"""What makes a cold start faster, each part with its measured saving."""
