"""What a task is: pure data, checked when it is made; nothing here opens a file."""
