"""One file a command: its arguments, its checks, and what it prints."""
