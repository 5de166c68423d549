"""What nodes do themselves for workflows: the jobs of a map."""
