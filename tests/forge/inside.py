"""Pagure's web server, its worker and its database: runs as root in a chroot of its own.

What it knows lies in `/srv`, which is a folder of the tests; `users.json` names the users, each
with a password, and `tokens.json`, written last, their API tokens.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

SRV = Path("/srv")


def main(port: int) -> None:
    """Serve on a port of the loopback interface, for ever."""
    os.environ["PAGURE_CONFIG"] = str(SRV / "pagure.cfg")
    os.environ["PYTHONPATH"] = str(SRV)  # for what keeps Python's warnings out of hooks' words
    redis = ("redis-server", "--port", "0", "--unixsocket", SRV / "redis", "--save", "")
    subprocess.Popen(redis, cwd=SRV)
    worker = ("celery", "--app", "pagure.lib.tasks", "worker", "--concurrency", "1")
    subprocess.Popen(worker, cwd=SRV)
    tokens = people(json.loads((SRV / "users.json").read_text()))

    from pagure.flask_app import create_app
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", port, mended(create_app()), threaded=True)
    (SRV / "tokens.json").write_text(json.dumps(tokens))
    server.serve_forever()


def people(passwords: dict[str, str]) -> dict[str, str]:
    """Make the database and its users; return their tokens, which may do all that users may."""
    from pagure.config import config
    from pagure.lib import login, model, model_base, query

    model.create_tables(config["DB_URL"], None, acls=config["ACLS"])
    session = model_base.create_session(config["DB_URL"])
    tokens = {}
    for name, password in passwords.items():
        mail = f"{name}@example.com"
        user = query.set_up_user(session, name, name.title(), mail)
        user.password = login.generate_hashed_value(password)
        end = date.today() + timedelta(days=30)  # noqa: DTZ011 - Pagure's own day
        acls = list(config["USER_ACLS"])
        tokens[name] = query.add_token_to_user(session, None, acls, name, end).id
    session.commit()
    session.close()
    return tokens


def mended(app: Any) -> Any:
    """Mend the headers of Git over HTTP, which Pagure 5.14 hands to today's Werkzeug as bytes."""

    def serve(environ: Any, start: Any) -> Any:
        def begin(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            told = [(name, text(value)) for name, value in headers]
            return start(status, told, *rest)

        return app(environ, begin)

    return serve


def text(value: str) -> str:
    return value[2:-1] if value.startswith("b'") else value


if __name__ == "__main__":
    main(int(sys.argv[1]))
