"""A run: what is asked, one lane's part in it, its figures and its record."""
