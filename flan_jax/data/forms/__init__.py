"""The shapes of users' files: each form says how its records become examples."""
