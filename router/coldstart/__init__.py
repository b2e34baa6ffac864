"""Everything in the function that exists only to make a cold start faster.

A cold start is the time from the start of the process to the answer to its first event: some 205 ms when these were
measured. A trick stays only if it saves at least 5 ms. Each figure is of one trick alone; they do not add up. (b) was
measured in interleaved runs, as `make bench` does, when the trick was added. (i) was counted for this list: the
instructions of a whole cold start with and without the trick, at 5.1 million per millisecond; reading fewer files saves
more on top.

    saves       trick, where it is, and what happens if it fails

    half   (b)  Bytecode in the package and in the layer, because Lambda's file system is read-only.
                layer/build.py, layer/compile_function.py. Python compiles every module instead.
    80 ms  (b)  One botocore session for all clients; 80 ms per further session.
                router/aws/clients.py.
    50 ms  (b)  Service models with the function's own operations only, without documentation; also saves 12 MB.
                layer/build.py, botocore_session.py. botocore reads its own models instead.
    35 ms  (b)  Regular expressions, and the methods of named tuples and dataclasses, compiled when the package is made.
                layer/precompile.py, precompiled.py, imported first by router/__init__.py. Python compiles them.
    30 ms  (b)  NamedTuples as internal types: Python makes them faster than dataclasses. Measured before the methods of
                both were compiled with the package. All of router/.
    30 ms  (b)  No search through the directories of botocore's 440 services.
                botocore_session.py. botocore searches again, or the stock session is used, with a warning.
    20 ms  (b)  botocore without boto3, which imports S3 transfers and multiprocessing.
                router/aws/clients.py.
    20 ms  (b)  A list of the plugins in the layer.
                layer/build.py, router/channels/plugins.py. All installed packages are searched instead.
    20 ms  (b)  CA certificates in a directory, from which OpenSSL reads only the one that it needs.
                layer/ca_directory.py, tls.py. certifi's file is read instead.
    16 ms  (b)  One TLS context for all connections; 16 ms per further connection.
                tls.py, botocore_session.py. botocore loads the bundle for each connection; a test fails.
    15 ms  (b)  The SQS client is made at its first call, which is rarely in the first event.
                lazy_client.py.
    11 ms  (i)  Only those of botocore's event handlers that the function's services need, one in ten.
                botocore_session.py. The stock session is used, with a warning; a test fails if a handler is missing.
     9 ms  (b)  Silences are read in a thread while the rest is created; with realistic delays of DynamoDB.
                router/config/silences.py. They are read with the first event instead.
     7 ms  (b)  The bytecode of some 210 modules in two files, and found without a search of the path.
                In the same tables. Python compiles each module from its source.
     7 ms  (i)  No garbage collection while the function starts, from the first import on.
                garbage_collection.py, imported first by router/__init__.py; router/handler.py ends the pause.
   5.5 ms  (i)  botocore without its writer of docstrings, which imports a parser of HTML.
                botocore_session.py. The writer is imported; a test fails.

Removed, because they saved less than 5 ms (i): passing the credentials of the environment to botocore (0.8 ms); UTC
without `zoneinfo` (1.7); imports of rarely used modules inside functions (1.7); Powertools' metrics without its Logger,
and a Logger that is made with the first line (together 4.0); a thread that loads the certificates (nothing, since they
are in a directory).
"""
