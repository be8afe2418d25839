"""The device mesh, sharding rules, and several processes as one run."""
