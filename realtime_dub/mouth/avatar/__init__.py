"""avatar: one trained person, whole pictures of them for any voice (docs/avatar-motion.md)."""
