"""Which example stands where: rates, order, packing and position, from lengths alone; and the loader that reads it."""
