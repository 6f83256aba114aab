#!/usr/bin/env python3
"""Has many clients ask `dp-sims serve` for images, and looks for answers that are lost or belong to others.

    tests/serve_load.py PROGRAM [--requests 2000] [--clients 16] [ARGUMENTS OF serve]

Each of 40 requests is first made alone, and its image remembered. Then all clients ask for them in an order of
their own, while one more client asks and goes away before the answer. Fails at an answer that is not that of its own
request, and where the memory of the program grows by more than 3 % after the first tenth of the requests. Prints
requests per second beside what the generator makes alone, as the program measured it at its start.
"""

import argparse
import hashlib
import http.client
import json
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

SEEDS = 20
GROWTH = 1.03


class Server:
    """The program on a free port."""

    def __init__(self, program, arguments):
        command = [program, "serve", "--bind", "127.0.0.1:0", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"http://([\d.]+):(\d+)", line)
        if not found:
            sys.exit(f"the program does not say where it is: {line!r}")
        self.host, self.port = found[1], int(found[2])

    def connect(self):
        return http.client.HTTPConnection(self.host, self.port, timeout=300)

    def json(self, path):
        connection = self.connect()
        connection.request("GET", path)
        return json.load(connection.getresponse())

    def figure(self, name):
        connection = self.connect()
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        return int(float(re.search(rf"^dp_sims_serve_{name} (\S+)$", text, re.M)[1]))

    def memory(self):
        """Resident memory in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


def generate(connection, job, maps):
    """Hash of the image of a job, a map and a seed."""
    index, seed = job
    headers = {"Content-Type": "application/octet-stream", "Accept": "image/png"}
    connection.request("POST", f"/v1/generate?seed={seed}", maps[index], headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200 or answer.headers["X-Seed"] != str(seed):
        raise RuntimeError(f"{job}: {answer.status} {answer.headers} {body[:200]!r}")
    return hashlib.sha256(body).hexdigest()


def goes_away(server, maps, ended):
    """Asks again and again, and never waits for the answer."""
    count = 0
    head = (f"POST /v1/generate?seed=1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
            f"Content-Length: {len(maps[0])}\r\n\r\n").encode()
    while not ended.is_set():
        with socket.create_connection((server.host, server.port)) as connection:
            connection.sendall(head + maps[0])
            time.sleep(0.02)
        count += 1
        time.sleep(0.2)
    print(f"went away {count} times; the program made none of {server.figure('skipped_total')} of these images")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=16)
    options, arguments = parser.parse_known_args()
    server = Server(options.program, arguments)
    try:
        load(server, options)
    finally:
        server.process.send_signal(signal.SIGTERM)
        code = server.process.wait(60)
    if code:
        sys.exit(f"the program ended with {code}")


def load(server, options):
    model = server.json("/v1/model")
    pixels = model["height"] * model["width"]
    chance = random.Random(1)
    maps = [bytes([1]) * pixels, chance.randbytes(pixels).translate(bytes(i % model["classes"] for i in range(256)))]
    jobs = [(index, seed) for index in range(len(maps)) for seed in range(SEEDS)]
    alone = server.connect()
    expected = {job: generate(alone, job, maps) for job in jobs}
    if len(set(expected.values())) != len(jobs):
        sys.exit("different requests have the same image, so that this tells nothing")
    alone_ms = server.json("/v1/model")["milliseconds_per_image"]

    lock, faults, memory = threading.Lock(), [], {}
    left = options.requests

    def client(number):
        nonlocal left
        chance, connection = random.Random(number), server.connect()
        while True:
            with lock:
                if left == 0:
                    return
                left -= 1
                if left == options.requests * 9 // 10:
                    memory["first"] = server.memory()
            job = chance.choice(jobs)
            try:
                if generate(connection, job, maps) != expected[job]:
                    faults.append(f"{job}: the image of another request")
            except Exception as error:
                faults.append(f"{job}: {error!r}")
                connection = server.connect()

    ended = threading.Event()
    leaver = threading.Thread(target=goes_away, args=(server, maps, ended))
    clients = [threading.Thread(target=client, args=(number,)) for number in range(options.clients)]
    start = time.monotonic()
    for thread in [leaver, *clients]:
        thread.start()
    for thread in clients:
        thread.join()
    seconds = time.monotonic() - start
    memory["last"] = server.memory()
    ended.set()
    leaver.join()
    first, last = memory["first"], memory["last"]
    rate = options.requests / seconds
    print(f"{options.requests} requests of {options.clients} clients in {seconds:.1f} s: {rate:.1f} a second; "
          f"alone the generator makes {1000 / alone_ms:.1f}")
    print(f"memory {first / 2**20:.1f} MiB after a tenth, {last / 2**20:.1f} MiB in the end")
    if last > first * GROWTH:
        faults.append("memory grows")
    for fault in faults[:10]:
        print(fault)
    if faults:
        sys.exit(f"{len(faults)} faults")


if __name__ == "__main__":
    main()
