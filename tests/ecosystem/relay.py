"""Command that the conformance suite starts per scenario: hands it to a runtime that is up already, and waits.

``python -I -S relay.py SOCKET URL``: a few milliseconds, where a runtime of its own would take seconds.
"""

import json
import os
import socket
import sys

path, url = sys.argv[1:]
scenario = {
    "scenario": os.environ["MCP_CONFORMANCE_SCENARIO"],
    "context": json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}")),
    "url": url,
}
with socket.socket(socket.AF_UNIX) as line:
    line.connect(path)
    line.sendall(json.dumps(scenario).encode() + b"\n")
    said = line.makefile().read()
sys.stdout.write(said)
sys.exit(0 if said.startswith("ok") else 1)
