"""What Chatflow is measured beside: the least that could do the same, and what others use."""
