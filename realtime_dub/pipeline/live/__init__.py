"""The live loop: paced by asyncio, worked by named threads."""
