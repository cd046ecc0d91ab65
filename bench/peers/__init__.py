"""Chatflow's peers: the least that could do the same, and the libraries that others use."""
