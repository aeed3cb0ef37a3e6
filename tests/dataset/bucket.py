"""A server that speaks S3 on this machine: moto's, in a process of its own, which checks who asks."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import boto3

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_SERVER = """
import sys
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(*server.get_host_and_port(), flush=True)
sys.stdin.read()
"""
PAGE = 10
"""Keys that a listing has at a time."""
_POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
BUCKET = "pictures"


class Store:
    """The server.

    Args:
        address: Of it.
        log: A line for each request.

    Attributes:
        environment: What leads a program there, with a key that is let in.
    """

    def __init__(self, address: str, log: Path) -> None:
        self.address, self._log = address, log
        self.environment = _environment(address, "nobody", "asks yet")
        self._client = self.client("s3")
        self._client.create_bucket(Bucket=BUCKET)
        iam = self.client("iam")
        iam.create_user(UserName="reader")
        iam.put_user_policy(UserName="reader", PolicyName="all", PolicyDocument=_POLICY)
        key = iam.create_access_key(UserName="reader")["AccessKey"]
        self.environment = _environment(address, key["AccessKeyId"], key["SecretAccessKey"])
        self._client = self.client("s3")
        text = {"Content-Type": "text/plain"}
        urlopen(Request(f"{address}/moto-api/reset-auth", b"0", text)).close()  # noqa: S310 - from now on keys count

    def client(self, service: str) -> Any:
        """Of boto3, which shares no code with s3fs but botocore's."""
        return boto3.client(
            service,
            endpoint_url=self.address,
            region_name="us-east-1",
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
        )

    def put(self, files: Mapping[str, bytes]) -> None:
        """Objects by their keys."""
        for key, data in files.items():
            self._client.put_object(Bucket=BUCKET, Key=key, Body=data)

    @contextmanager
    def requests(self) -> Iterator[list[str]]:
        """What is asked for meanwhile: ``GET /pictures/a.jpg``."""
        before, found = self._log.stat().st_size, list[str]()
        yield found
        lines = self._log.read_bytes()[before:].decode().splitlines()
        found += [line.split('"')[1].rpartition(" HTTP")[0] for line in lines if '"' in line]


def _environment(address: str, key: str, secret: str) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_ENDPOINT_URL": address,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


@contextmanager
def serving(folder: Path) -> Iterator[Store]:
    """Start the server, and stop it afterwards.

    Args:
        folder: Where its log goes.
    """
    log = folder / "requests.log"
    with (
        log.open("wb") as stream,
        subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            env=os.environ | {"MOTO_S3_DEFAULT_MAX_KEYS": str(PAGE)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            host, port = process.stdout.readline().split()
            yield Store(f"http://{host}:{port}", log)
        finally:
            process.kill()
