"""A webhook to look at: prints what is posted to it, a line of what it is and then all of it.

    python webhook.py 8515

For trying things out; it listens on loopback only.
"""

import argparse
import json
from http.server import BaseHTTPRequestHandler, HTTPServer


class Webhook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        event = body.get("event", {})
        print("ticket:", body.get("action"), event.get("recipient"), event.get("category"))
        print(json.dumps(body, indent=2), flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """What was posted says enough."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("port", type=int, help="on loopback; 0 is any")
    server = HTTPServer(("127.0.0.1", parser.parse_args().port), Webhook)
    print(f"listening on http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()
