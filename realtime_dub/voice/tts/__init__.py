"""Speech by a synthesiser that needs no training: of a script, live or for a film."""
