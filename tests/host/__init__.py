"""A team's own project with settings that Chatflow would never choose."""
