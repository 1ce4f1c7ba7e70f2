"""Commands and ports of pods by the official client: words as JSON on stdin, what came of each as JSON on stdout."""

import json
import sys
import time
from contextlib import suppress
from typing import Any

from kubernetes.client import CoreV1Api
from kubernetes.config import new_client_from_config
from kubernetes.stream import portforward, stream

PATIENCE_SECONDS = 60


def run(api: CoreV1Api, namespace: str, asked: dict[str, Any]) -> dict[str, Any]:
    """A command, with its input, which is closed behind it."""
    tty = asked.get("tty", False)
    options = {"stdin": True, "stdout": True, "stderr": not tty, "tty": tty, "command": asked["command"]}
    call = api.connect_get_namespaced_pod_exec
    found = stream(call, asked["pod"], namespace, binary=True, _preload_content=False, **options)
    if "data" in asked:
        found.write_stdin(asked["data"].encode())
    found.close_channel(0)
    found.run_forever(timeout=PATIENCE_SECONDS)
    return {"out": found.read_channel(1).decode(), "err": found.read_channel(2).decode(), "code": found.returncode}


def connect(api: CoreV1Api, namespace: str, asked: dict[str, Any]) -> dict[str, Any]:
    """One line to a port, and the line that comes back; or what the port's error says."""
    call = api.connect_get_namespaced_pod_portforward
    found = portforward(call, asked["pod"], namespace, ports=str(asked["port"]))
    one = found.socket(asked["port"])
    data = ""
    with suppress(OSError):  # refused before
        one.sendall(asked["data"].encode())
        data = one.recv(1000).decode()
    until = time.monotonic() + PATIENCE_SECONDS
    while not data and found.error(asked["port"]) is None and time.monotonic() < until:
        time.sleep(0.05)
    return {"data": data, "error": found.error(asked["port"])}


def main() -> None:
    """Ask, and answer."""
    words = json.load(sys.stdin)
    found = []
    for asked in words["asked"]:
        api = CoreV1Api(new_client_from_config(words["kubeconfig"]))
        found.append((run if "command" in asked else connect)(api, words["namespace"], asked))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
