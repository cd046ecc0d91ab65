"""Names in the schemas of forms, and in complaints about answers."""

# The field for complaints about the form as a whole.
WHOLE = "data"
# A schema's key for the order of its fields.
ORDER = "x-order"
