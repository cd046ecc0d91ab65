"""The endpoints of the AI SDK: what its DefaultChatTransport calls."""
