"""The parts of a network, each one concept: projections, attention, rotary positions, cache."""
