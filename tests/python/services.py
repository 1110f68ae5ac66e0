"""Real HTTP APIs of PyPI that publish an OpenAPI document: `services.py NAME FOLDER`.

| name      | what                                        | document                          |
|-----------|---------------------------------------------|-----------------------------------|
| `books`   | a shelf made with FastAPI (see `books.py`)  | `/openapi.json`, OpenAPI 3.1      |
| `jupyter` | the files of Jupyter Server below FOLDER    | `/api/spec.yaml`, Swagger 2.0     |
| `kinto`   | the JSON store Kinto, in memory             | `/v1/__api__`, Swagger 2.0        |

They listen on 127.0.0.1:$PORT (0 or absent: any free port), print one line when they are ready,
`{"listening":"http://127.0.0.1:40123"}`, and end on SIGTERM.
"""

import json
import os
import signal
import socket
import sys

TOKEN = "open-sesame"


def listener() -> socket.socket:
    """A socket that takes connections already, so that nobody who reads the line comes too early."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", int(os.environ.get("PORT", "0"))))
    taken.listen(128)
    return taken


def announce(port: int) -> None:
    print(json.dumps({"listening": f"http://127.0.0.1:{port}"}), flush=True)


def books(_folder: str) -> None:
    import uvicorn
    from books import app

    taken = listener()
    announce(taken.getsockname()[1])
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[taken])


def kinto(_folder: str) -> None:
    from kinto import main
    from waitress.server import create_server

    memory = {f"kinto.{part}_backend": f"kinto.core.{part}.memory" for part in ("storage", "cache", "permission")}
    app = main(
        {},
        **memory,
        **{"kinto.userid_hmac_secret": TOKEN, "multiauth.policies": "basicauth", "kinto.paginate_by": "2"},
    )
    server = create_server(app, sockets=[listener()])
    announce(server.effective_port)
    server.run()


def jupyter(folder: str) -> None:
    from jupyter_server.serverapp import ServerApp

    # It chooses among ports that it is given, so it is given one that is free.
    free = listener()
    port = free.getsockname()[1]
    free.close()
    os.environ["JUPYTER_CONFIG_DIR"] = os.environ["JUPYTER_DATA_DIR"] = folder + "/.jupyter"
    os.environ["JUPYTER_RUNTIME_DIR"] = folder + "/.jupyter/runtime"
    app = ServerApp.instance()
    app.initialize([
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--ServerApp.open_browser=False",
        "--ServerApp.allow_root=True",
        "--ServerApp.log_level=ERROR",
        f"--ServerApp.root_dir={folder}",
        f"--IdentityProvider.token={TOKEN}",
    ])
    announce(port)
    app.start()


SERVICES = {"books": books, "jupyter": jupyter, "kinto": kinto}

if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in SERVICES:
        sys.exit(f"usage: {'|'.join(SERVICES)} FOLDER")
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    SERVICES[sys.argv[1]](sys.argv[2])
