"""User models of a team's own: keys that are no numbers, and an e-mail address to sign in with."""
