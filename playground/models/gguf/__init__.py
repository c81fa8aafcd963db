"""Reading GGUF files: the format in which llama.cpp keeps models."""
