"""A file each: what a family's weights are called in Hugging Face's files."""
