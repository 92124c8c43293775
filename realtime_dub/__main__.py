"""``python -m realtime_dub``."""

from realtime_dub.start import main

if __name__ == "__main__":
    main()
