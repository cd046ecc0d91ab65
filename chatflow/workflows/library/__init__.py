"""The workflows that come with Chatflow."""
