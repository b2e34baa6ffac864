"""What no event says: services that run too few tasks, and runs that never came. Judgements, without the pipeline."""
