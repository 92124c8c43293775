"""The two loops, live and file, and the threads that they run. Everything heavy is imported when it is used."""
