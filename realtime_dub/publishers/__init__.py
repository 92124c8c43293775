"""Where the dubbed picture and its sound go: one file per kind, and the table that names them."""
