"""From tasks to batches: registry, sources and rendering, the token store, and the plan of what is packed."""
