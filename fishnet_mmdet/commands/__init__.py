"""The commands: one file each, with its arguments, checks and printed text; what they compute is a function elsewhere."""
