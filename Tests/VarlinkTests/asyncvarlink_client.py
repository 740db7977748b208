"""Calls a certification server through asyncvarlink: plain, typed, more, oneway and errors.

Usage: asyncvarlink_client.py SOCKET. Prints "passed" and exits 0, or raises.
"""

import asyncio
import sys

from asyncvarlink import (
    GenericVarlinkErrorReply,
    VarlinkClientProtocol,
    VarlinkInterface,
    VarlinkMethodCall,
    connect_unix_varlink,
    varlinkmethod,
)
from asyncvarlink.serviceerrors import (
    ExpectedMore,
    InterfaceNotFound,
    InvalidParameter,
    MethodNotFound,
)
from asyncvarlink.serviceinterface import VarlinkServiceInterface

NAME = "org.varlink.certification"


class Certification(VarlinkInterface, name=NAME):
    """The typed view of two methods; the rest is called by hand."""

    @varlinkmethod(return_parameter="client_id")
    def Start(self) -> str: ...

    @varlinkmethod(return_parameter="bool")
    def Test01(self, *, client_id: str) -> bool: ...


async def call(protocol, method, parameters, **flags):
    reply, _ = await protocol.call(VarlinkMethodCall(method, parameters, **flags))
    assert reply.error is None, reply
    return reply.parameters


async def expect(protocol, error, method, parameters):
    reply, _ = await protocol.call(VarlinkMethodCall(method, parameters))
    assert reply.error == error.name, (reply.error, error.name)
    return reply.parameters


async def certify(protocol):
    service = protocol.make_proxy(VarlinkServiceInterface)
    info = await service.GetInfo()
    assert info["interfaces"] == ["org.varlink.service", NAME], info
    description = await service.GetInterfaceDescription(interface=NAME)
    assert "method Test10" in str(description), description
    try:
        await service.GetInterfaceDescription(interface="org.nope")
        raise AssertionError("org.nope was found")
    except InterfaceNotFound as error:
        assert error.p_interface == "org.nope"

    proxy = protocol.make_proxy(Certification)
    client = (await proxy.Start())["client_id"]
    reply = await proxy.Test01(client_id=client)
    for number in range(2, 10):
        reply = await call(
            protocol, f"{NAME}.Test0{number}", {**reply, "client_id": client}
        )
    replies = []
    request = VarlinkMethodCall(
        f"{NAME}.Test10", {**reply, "client_id": client}, more=True
    )
    async for part, _ in protocol.call_more(request):
        assert part.error is None, part
        replies.append(part.parameters["string"])
    assert replies == [f"Reply number {n}" for n in range(1, 11)], replies
    await protocol.call(
        VarlinkMethodCall(
            f"{NAME}.Test11",
            {"client_id": client, "last_more_replies": replies},
            oneway=True,
        )
    )
    reply = await call(protocol, f"{NAME}.End", {"client_id": client})
    assert reply == {"all_ok": True}, reply


async def errors(protocol):
    await expect(protocol, MethodNotFound, f"{NAME}.Nope", {})
    await expect(protocol, InterfaceNotFound, "org.nope.Nope", {})
    found = await expect(protocol, InvalidParameter, f"{NAME}.Test01", {"client_id": 5})
    assert found["parameter"] == "client_id", found
    assert found["reason"] == "expected a string, found an integer", found
    try:
        await protocol.make_proxy(Certification).Test01(client_id="unknown")
        raise AssertionError("an unknown client was accepted")
    except GenericVarlinkErrorReply as error:
        assert error.name == f"{NAME}.ClientIdError", error
    client = (await call(protocol, f"{NAME}.Start", {}))["client_id"]
    mytype = {
        "object": {},
        "enum": "two",
        "struct": {"first": 1, "second": "2"},
        "array": [],
        "dictionary": {},
        "stringset": {},
        "interface": {"anon": {"foo": True, "bar": False}},
    }
    await expect(
        protocol, ExpectedMore, f"{NAME}.Test10", {"client_id": client, "mytype": mytype}
    )


async def pipelined(protocol):
    replies = await asyncio.gather(
        *(call(protocol, f"{NAME}.Start", {}) for _ in range(50))
    )
    assert len({reply["client_id"] for reply in replies}) == 50


async def main():
    transport, protocol = await connect_unix_varlink(VarlinkClientProtocol, sys.argv[1])
    async with asyncio.timeout(20):
        await certify(protocol)
        await errors(protocol)
        await pipelined(protocol)
    transport.close()
    print("passed")


asyncio.run(main())
