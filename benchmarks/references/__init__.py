"""Common ways to send ECS alerts, for comparison. They are not examples to copy."""
