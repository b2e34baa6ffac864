"""The public interface for channel plugins, under the name that it has wherever the router is installed.

In a checkout and in the Lambda function, `router` is the same interface. In the wheel there is no `router`: setup.py
puts its modules into this package, because other distributions have a top-level package of that name too.
"""

from router import *  # noqa: F403 - the same names, whatever they are
from router import __all__ as __all__
