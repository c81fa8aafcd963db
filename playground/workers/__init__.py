"""The child processes of this program: how they are started, watched and ended."""
