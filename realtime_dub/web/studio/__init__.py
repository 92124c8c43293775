"""Sessions, the rooms that they meet in, and what is kept for them: uploads, banks, recordings."""
