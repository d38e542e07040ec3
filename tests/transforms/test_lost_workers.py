"""A TaskManager that waits for a dead worker's data stream gets one that ends."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc, beam_runner_api_pb2

from transforms.beam.lost_workers import MOST_IDS, hang_up


class TaskManager(beam_fn_api_pb2_grpc.BeamFnControlServicer, beam_fn_api_pb2_grpc.BeamFnDataServicer):
    """Has given out one thing to do, `given`, whose data goes through its own port."""

    def __init__(self, given):
        self.given, self.asked, self.streams, self.ended = given, [], [], threading.Event()

    def GetProcessBundleDescriptor(self, request, context):
        self.asked.append(request.process_bundle_descriptor_id)
        if self.asked[-1] != self.given:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not found")
        port = beam_fn_api_pb2.RemoteGrpcPort()
        port.api_service_descriptor.url = self.address
        return beam_fn_api_pb2.ProcessBundleDescriptor(id=self.given, transforms={
            "compute": beam_runner_api_pb2.PTransform(spec=beam_runner_api_pb2.FunctionSpec(urn="beam:transform:x:v1")),
            "read": beam_runner_api_pb2.PTransform(spec=beam_runner_api_pb2.FunctionSpec(
                urn="beam:runner:source:v1", payload=port.SerializeToString())),
        })

    def Data(self, requests, context):
        self.streams.append(dict(context.invocation_metadata())["worker_id"])
        assert list(requests) == []
        self.ended.set()
        yield from ()


def started(given):
    manager, server = TaskManager(given), grpc.server(ThreadPoolExecutor(8))
    beam_fn_api_pb2_grpc.add_BeamFnControlServicer_to_server(manager, server)
    beam_fn_api_pb2_grpc.add_BeamFnDataServicer_to_server(manager, server)
    manager.address = f"localhost:{server.add_insecure_port('localhost:0')}"
    server.start()
    return manager, server


@pytest.mark.parametrize("number", [1, 5, MOST_IDS - 1])
def test_its_data_stream_opens_and_ends(number):
    manager, server = started(f"3-{number}")
    assert hang_up(manager.address, "3-1")
    assert manager.ended.is_set()
    assert manager.streams == ["3-1"]
    assert manager.asked == [f"3-{n}" for n in range(1, number + 1)]
    server.stop(None).wait()


@pytest.mark.parametrize("given", ["", "4-5", f"3-{MOST_IDS}"])
def test_nothing_to_do_is_no_stream(given):
    manager, server = started(given)
    assert not hang_up(manager.address, "3-1")
    assert manager.streams == []
    server.stop(None).wait()


def test_one_that_is_gone_is_not_told():
    manager, server = started("3-1")
    server.stop(None).wait()
    assert not hang_up(manager.address, "3-1")
