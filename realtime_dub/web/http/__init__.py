"""The server's doors: what is asked of it over HTTP, by whom, how often, and what everybody is answered."""
