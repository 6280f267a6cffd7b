"""What the workflows ask of GitHub's command line, kept as JSON in a file: ``$GH_STUB``."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

FILE = Path(os.environ["GH_STUB"])
VALUED = {"--method", "--field", "--jq", "--hostname", "--header", "--input"}


def main(args: list[str]) -> None:
    """Answer as far as the workflows and `mlv propose` go."""
    if not os.environ.get("GH_TOKEN"):
        sys.exit("gh: no token")
    if args[:2] == ["auth", "status"]:
        return
    options: dict[str, str] = {}
    rest = iter(args[1:])
    words = []
    for word in rest:
        if word in VALUED:
            options[word] = next(rest)
        elif not word.startswith("--"):
            words.append(word)
    [endpoint] = words
    forge = json.loads(FILE.read_text())
    answer(forge, options.get("--method", "GET"), endpoint, options)
    FILE.write_text(json.dumps(forge))


def say(document: object) -> None:
    """Answer in JSON."""
    json.dump(document, sys.stdout)


def answer(forge: dict[str, Any], method: str, endpoint: str, options: dict[str, str]) -> None:
    """Do what one call asks."""
    if "/pulls" in endpoint and method == "GET":
        say([])
    elif "/pulls" in endpoint:
        forge["pulls"].append(json.load(sys.stdin))
        say({"html_url": "https://forge.example/pull/1", "number": 1})
    elif "/actions/workflows/" in endpoint:
        sys.stdout.write(forge["deployed"])
    elif method == "GET":
        assert "github-actions[bot]" in options["--jq"]
        assert "mlv-review" in options["--jq"]
        for number, comment in enumerate(forge["comments"]):
            if comment.startswith("<!-- mlv-review -->"):
                sys.stdout.write(f"{number}\n")
    else:
        body = Path(options["--field"].removeprefix("body=@")).read_text()
        found = re.search(r"/comments/(\d+)$", endpoint)
        if method == "PATCH" and found:
            forge["comments"][int(found[1])] = body
        else:
            assert method == "POST"
            forge["comments"].append(body)


if __name__ == "__main__":
    main(sys.argv[1:])
