"""Where pictures and voices come from: one file per kind, and the table that names them."""
