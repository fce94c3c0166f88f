"""Files: every format that is read or written, checked where it is read. The only place of other programs' axes."""
