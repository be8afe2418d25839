"""What is read from and written to disk in other people's formats: weights, tokenizers, chat templates.

Data and model both stand on this room; it knows neither.
"""
