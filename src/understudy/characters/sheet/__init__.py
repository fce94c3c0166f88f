"""Other pictures of a character sheet, from behind, the side or free views: the depth, the back and the sides."""
