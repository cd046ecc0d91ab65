"""The API's endpoints: parse, call one verb, answer."""
