"""Makes a release: the archives, one static CloudFormation template, a bill of materials and checksums, in dist/.

`make release` runs it. Nothing here is shipped in the function.
"""
