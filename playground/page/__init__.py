"""The Gradio page: a folder for each tab, and what all tabs share."""
