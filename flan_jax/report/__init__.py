"""What a run tells: tables and progress on the console, metrics as JSON lines and TensorBoard events."""
