"""The router's version: of the package, the command line, log lines, metrics and a release."""

VERSION = "0.1.0"
