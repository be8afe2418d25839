"""Where raw records come from: files, the web, TFDS, the hub, SeqIO, Python."""
