"""What each path answers: parse, call one verb, answer."""
