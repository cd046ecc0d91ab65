"""Applications built on Chatflow as anybody builds them: to read, to run and to take from."""
