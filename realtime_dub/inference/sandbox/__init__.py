"""Networks from elsewhere, each in a process of its own."""
