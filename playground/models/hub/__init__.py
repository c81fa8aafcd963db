"""Models on a Hugging Face hub and in the user's own cache."""
