"""One prompt to several local inference engines at once, with truthful figures."""

__version__ = "0.1.0"
