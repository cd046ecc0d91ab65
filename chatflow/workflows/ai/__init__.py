"""The models that respond to prompts, over pydantic-ai; ``AI_MODEL`` names the one to call.

pydantic-ai takes a second to import. So importing this package doesn't import it: the modules that
need it, which are ``calls`` and those that it imports, are imported by the first call.
"""
