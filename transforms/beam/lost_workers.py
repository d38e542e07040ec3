"""Tells a Flink TaskManager that a worker it talks to is dead, where it would wait for it.

Beam's TaskManager side notices a torn control stream at once, but a bundle that it has begun waits 3 minutes for the
worker's data stream (`GrpcDataService`, Beam 2.62), which a worker opens at its first bundle. A data stream that opens
and ends at once ends the waiting: the bundle fails, and Flink starts the task again with another worker.
"""

from __future__ import annotations

from typing import Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.runners.worker.worker_id_interceptor import WorkerIdInterceptor

MOST_IDS = 256
"""Numbers that are tried: a TaskManager counts its workers and what it gives them to do together, from 1 in each job.
Dedupe's graph takes some 20 for each slot, and the first of them is enough."""
RPC_S = 10


def hang_up(control: str, worker: str) -> bool:
    """Opens and ends a data stream in the name of `worker` (`FACTORY-NUMBER`), if its TaskManager has given it anything
    to do. Whether it had; an address that does not answer has not."""
    with grpc.insecure_channel(control) as plain:
        channel = grpc.intercept_channel(plain, WorkerIdInterceptor(worker))
        try:
            address = _data_address(beam_fn_api_pb2_grpc.BeamFnControlStub(channel), worker.rpartition("-")[0])
        except grpc.RpcError:
            return False
    if not address:
        return False
    with grpc.insecure_channel(address) as plain:
        channel = grpc.intercept_channel(plain, WorkerIdInterceptor(worker))
        try:
            for _ in beam_fn_api_pb2_grpc.BeamFnDataStub(channel).Data(iter(()), timeout=RPC_S):
                pass
        except grpc.RpcError:
            pass  # it was told, or has gone itself
    return True


def _data_address(stub: Any, factory: str) -> str:
    """Where the TaskManager takes data, as the first bundle descriptor that it has names it; or nothing."""
    for number in range(1, MOST_IDS):
        request = beam_fn_api_pb2.GetProcessBundleDescriptorRequest(process_bundle_descriptor_id=f"{factory}-{number}")
        try:
            descriptor = stub.GetProcessBundleDescriptor(request, timeout=RPC_S)
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise
            continue  # no such descriptor: the number is another thing's
        for transform in descriptor.transforms.values():
            if transform.spec.urn in ("beam:runner:source:v1", "beam:runner:sink:v1"):
                port = beam_fn_api_pb2.RemoteGrpcPort.FromString(transform.spec.payload)
                return str(port.api_service_descriptor.url)
    return ""
