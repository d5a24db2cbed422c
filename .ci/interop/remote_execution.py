"""Runs an exported action on a remote execution engine and compares what it leaves.

    remote_execution.py ACTION ARTIFACT

ACTION is what `counterseal export` wrote, ARTIFACT the file that assembling the same recipe gave. The
engine, `buildbox-casd` with `buildbox-run`, comes with the Python package BuildStream, whose generated
messages are used, too; it needs bubblewrap. It is started on the loopback interface with
a store of its own and ended again. Exit code 0: the engine's output is the artifact, byte for byte.

Remote Execution API v2: FindMissingBlobs is left out, since the store is empty.
"""

import hashlib
import importlib.util
import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path

import grpc

# Of the package only the engine and the messages are used: without its own beginning, which loads
# much else.
_package = types.ModuleType("buildstream")
_package.__path__ = importlib.util.find_spec("buildstream").submodule_search_locations
sys.modules["buildstream"] = _package

from buildstream._protos.build.bazel.remote.execution.v2 import (  # noqa: E402
    remote_execution_pb2 as api,
    remote_execution_pb2_grpc as services,
)

# What one message may hold, with room for what is around it (the protocol's default is 4 MiB).
BATCH_BYTES = 3 << 20
# The user that the action is inside, and, where root starts the engine, the one that the engine is:
# neither root nor without the right to make user namespaces.
USER = "1000"
NOBODY = 65534
PATH = "/usr/bin:/bin:/usr/sbin:/sbin"
SECONDS = 120


def main():
    action_directory, artifact = map(Path, sys.argv[1:])
    engine = Path(_package.__path__[0]) / "subprojects" / "buildbox"
    with tempfile.TemporaryDirectory() as work:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        log_path, store = Path(work) / "log", Path(work) / "store"
        store.mkdir()
        ordinarily = []
        if os.geteuid() == 0:
            os.chmod(work, 0o755)
            os.chown(store, NOBODY, NOBODY)
            ids = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            ordinarily = ["setpriv", *ids]
        with log_path.open("wb") as log:
            casd = subprocess.Popen(
                [
                    *ordinarily, engine / "buildbox-casd", f"--bind={address}",
                    f"--buildbox-run={engine / 'buildbox-run'}", "--jobs=1", store,
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={"PATH": PATH, "HOME": str(store), "TMPDIR": str(store)},
            )
        try:
            made = execute(address, action_directory, artifact.name)
        except (grpc.RpcError, grpc.FutureTimeoutError, Failed) as error:
            sys.stderr.write(log_path.read_text(errors="replace")[-4000:])
            sys.exit(f"error: {error}")
        finally:
            casd.terminate()
            casd.wait(timeout=30)
    expected = digest(artifact.read_bytes()).hash
    print(f"the engine's:    sha256:{made}\nassembled here:  sha256:{expected}")
    sys.exit(made != expected)


class Failed(Exception):
    """The action did not run as it should; the text is for a person."""


def execute(address, directory, name):
    """Uploads and runs the action; the digest of its output of this name."""
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout=SECONDS)
        store = services.ContentAddressableStorageStub(channel)
        tree = Tree()
        root = tree.add(directory)
        command = tree.message(api.Command(
            arguments=["./counterseal-launch", "action.json"],
            output_paths=["out"],
            platform=properties(),
        ))
        action = tree.message(api.Action(
            command_digest=command, input_root_digest=root, do_not_cache=True, platform=properties(),
        ))
        tree.upload(store)
        request = api.ExecuteRequest(action_digest=action, skip_cache_lookup=True)
        started = time.monotonic()
        operation = None
        for operation in services.ExecutionStub(channel).Execute(request, timeout=SECONDS):
            pass
        response = api.ExecuteResponse()
        if operation is None or not operation.response.Unpack(response):
            raise Failed(f"the engine did not run it: {operation}")
        result = response.result
        print(f"executed by the engine in {time.monotonic() - started:.1f} s, "
              f"exit code {result.exit_code}")
        if response.status.code or result.exit_code:
            said = result.stderr_raw
            if result.stderr_digest.size_bytes:
                said = read(store, result.stderr_digest)
            raise Failed(f"{response.status.message}\n{said.decode(errors='replace')}")
        return output(store, result, name)


def output(store, result, name):
    for tree in result.output_directories:
        found = api.Tree.FromString(read(store, tree.tree_digest))
        for folder in (found.root, *found.children):
            for file in folder.files:
                if file.name == name:
                    content = read(store, file.digest)
                    return hashlib.sha256(content).hexdigest()
    raise Failed(f"the engine's result holds no {name}: {result}")


def read(store, wanted):
    request = api.BatchReadBlobsRequest(digests=[wanted])
    [answer] = store.BatchReadBlobs(request, timeout=SECONDS).responses
    if answer.status.code:
        raise Failed(f"reading {wanted.hash}: {answer.status.message}")
    return answer.data


def properties():
    names = ("unixGID", "unixUID")
    return api.Platform(properties=[api.Platform.Property(name=name, value=USER) for name in names])


def digest(content):
    return api.Digest(hash=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


class Tree:
    """Blobs to upload, by their digests."""

    def __init__(self):
        self.blobs = {}

    def blob(self, content):
        key = digest(content)
        self.blobs[key.hash] = content
        return key

    def message(self, message):
        return self.blob(message.SerializeToString(deterministic=True))

    def add(self, path):
        """A directory with all below it."""
        found = api.Directory()
        for entry in sorted(os.scandir(path), key=lambda entry: os.fsencode(entry.name)):
            if entry.is_symlink():
                found.symlinks.add(name=entry.name, target=os.readlink(entry.path))
            elif entry.is_dir():
                found.directories.add(name=entry.name, digest=self.add(entry.path))
            else:
                mode = entry.stat().st_mode
                key = self.blob(Path(entry.path).read_bytes())
                found.files.add(name=entry.name, digest=key, is_executable=bool(mode & stat.S_IXUSR))
        return self.message(found)

    def upload(self, store):
        batch, size = [], 0
        for key, content in self.blobs.items():
            if batch and size + len(content) > BATCH_BYTES:
                self.send(store, batch)
                batch, size = [], 0
            batch.append((key, content))
            size += len(content)
        self.send(store, batch)

    @staticmethod
    def send(store, batch):
        request = api.BatchUpdateBlobsRequest()
        for key, content in batch:
            entry = request.requests.add(data=content)
            entry.digest.CopyFrom(api.Digest(hash=key, size_bytes=len(content)))
        for answer in store.BatchUpdateBlobs(request, timeout=SECONDS).responses:
            if answer.status.code:
                raise Failed(f"storing {answer.digest.hash}: {answer.status.message}")


if __name__ == "__main__":
    main()
