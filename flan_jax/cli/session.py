"""What several commands need opened: the config, the tokenizer and form, the stores, the model on its mesh.

config name ──► Config ──► tokenizer, form ──► stores (prepared when missing)
                    └────► mesh ──► model parts ──► checkpoint's tuned weights
"""
