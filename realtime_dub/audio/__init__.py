"""Sound: resampling, drift correction, feature front ends (streaming equals offline)."""
