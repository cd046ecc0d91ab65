"""The models that answer prompts, over pydantic-ai; ``AI_MODEL`` names the one that is asked.

pydantic-ai takes a second to import. So nothing here imports it when it is itself imported: the
modules that need it, which are those that ``asking`` brings along, are imported by the first call.
"""
