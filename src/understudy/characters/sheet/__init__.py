"""Other pictures of a character sheet, from behind and from the side: the depth, the back and the sides."""
