"""What lies on disk after training: model files, resumable states, the run directory.

Everything is safetensors and JSON; nothing read here can carry code.  Everything is written whole or not at all, and is
durable before it is spoken of.
"""
