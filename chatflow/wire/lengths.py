"""How long what people send may be, in characters."""

MESSAGE_LENGTH = 4000
SESSION_ID_LENGTH = 255
WORKFLOW_LENGTH = 100
REASON_LENGTH = 1000
