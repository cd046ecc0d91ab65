"""What OpenAI's own clients call, and all that are told the address of "an OpenAI"."""
