"""Small things of files and addresses: written whole, hashed, opened wherever they lie."""
