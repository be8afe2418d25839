"""What leaked from evaluation into training, and what is in training twice."""
