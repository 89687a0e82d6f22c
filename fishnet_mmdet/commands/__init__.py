"""The commands, one file each: arguments, checks, and what is printed. They compute nothing that a notebook could not call."""
