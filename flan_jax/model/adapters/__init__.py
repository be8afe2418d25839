"""Parameter-efficient tuning: what stands beside a projection's kernel."""
