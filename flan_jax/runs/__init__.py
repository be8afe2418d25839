"""What commands do, without printing: configs, texts, models and stores opened, answers, audits, weights fetched."""
