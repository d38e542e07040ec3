"""A worker pool on one loopback address, that of one TaskManager's "machine":  worker_pool.py ADDRESS PORT

Beam's own command listens on every interface; this one is its servicer, bound to the address given. Task managers
number their workers alike, so each needs a pool of its own, as it has where each is a machine.
"""

from __future__ import annotations

import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer, kill_process_gracefully


def serve(address: str, port: int) -> None:
    servicer = BeamFnExternalWorkerPoolServicer(use_process=True, data_buffer_time_limit_ms=-1)
    server = grpc.server(ThreadPoolExecutor(16))
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(servicer, server)
    if not server.add_insecure_port(f"{address}:{port}"):
        sys.exit(f"{address}:{port} is taken")
    server.start()
    print("ready", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    for process in list(servicer._worker_processes.values()):
        kill_process_gracefully(process)
    server.stop(None)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    serve(sys.argv[1], int(sys.argv[2]))
