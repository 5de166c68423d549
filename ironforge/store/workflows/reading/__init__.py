"""Looking at workflows: their nodes, what undoes these, and lists."""
