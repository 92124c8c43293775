"""The file loop: the same stages on a virtual clock, and enrolment."""
