"""The stages of a recast: what each reads, makes and depends on, and the files between them."""
