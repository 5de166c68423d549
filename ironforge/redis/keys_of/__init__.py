"""Parts of the keys of a namespace that `keys` alone puts together."""
