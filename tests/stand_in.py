"""`rnntool` as shells in the tests run it: hands its command line and streams to the fork server, and takes the status.

    python -SE stand_in.py SOCKET [WORD]...

A process of its own that imported torch would take a second or more, and an example may run a dozen.
"""

import json
import os
import socket
import sys

with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
    connection.connect(sys.argv[1])
    socket.send_fds(connection, [b"."], [0, 1, 2])
    connection.sendall(json.dumps([sys.argv[2:], os.getcwd(), dict(os.environ)]).encode())
    connection.shutdown(socket.SHUT_WR)
    sys.exit(int(connection.recv(16)))
