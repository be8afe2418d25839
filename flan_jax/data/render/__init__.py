"""From fields to examples: templates, options, examples before the question, caps."""
