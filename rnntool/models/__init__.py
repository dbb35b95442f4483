"""Layers put together for a task.

P(target | source) = encoder → link → decoder → output; a language model is a decoder and an output alone.
"""
