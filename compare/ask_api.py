"""Asks the API of a centre in turn for what a watch floor asks, and says how long the answers took.

    python3 ask_api.py URL TOKEN SECONDS
"""

import http.client
import sys
import time
from urllib.parse import urlsplit

PATHS = [
    "/api/v1/incidents?state=open&order=priority&limit=200",
    "/api/v1/incidents",
    "/api/v1/detections?limit=100",
    "/api/v1/sources",
    "/api/v1/status",
]
ASKED_A_SECOND = 50


def main():
    url, token, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    took = {path: [] for path in PATHS}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for path in PATHS:
            began = time.monotonic()
            connection.request("GET", path, headers={"authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            body = answer.read()
            took[path].append(time.monotonic() - began)
            if answer.status != 200:
                sys.exit(f"{path}: {answer.status} {body[:200]}")
            time.sleep(1 / ASKED_A_SECOND)
    for path, times in [*took.items(), ("all of them", sum(took.values(), []))]:
        times = sorted(1000 * each for each in times)
        print(
            f"{path}: {len(times)} times, median {times[len(times) // 2]:.1f} ms, "
            f"p99 {times[len(times) * 99 // 100]:.1f} ms, at most {times[-1]:.1f} ms"
        )


if __name__ == "__main__":
    main()
