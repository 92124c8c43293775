"""The speech net: phonemes of any voice, as the motion net hears them."""
