"""For all tests: a property holds however busy the machine is."""

from hypothesis import settings

settings.register_profile("whole", deadline=None)
settings.load_profile("whole")
