"""Pictures of workflows: where nodes stand, and text on a terminal."""
