"""Lanes: an engine on a device at a precision, with its worker, memory and tokenizer."""
