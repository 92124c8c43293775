"""A process that sends what a worker has encoded to many who watch."""
