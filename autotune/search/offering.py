"""What a device of this machine offers to a search: from its facts, and what a model allows."""

from collections.abc import Mapping, Sequence

from autotune.domain.hardware import Hardware
from autotune.domain.inspection import DeviceFacts, native_of
from autotune.space.devices import is_meta, kind_of, members_of
from autotune.space.offer import Offer, Ways

_UNTOLD_STREAMS = 4
_MOST_GPU_STREAMS = 4


def offer_of(
    device: str,
    hardware: Hardware,
    *,
    precisions: Mapping[str, Sequence[str]] | None = None,
    why_no_batch: str = "",
    cap_ms: float | None = None,
    ways: Ways | None = None,
) -> Offer:
    """What a device offers, with what is known of a model.

    Args:
        device: as the runtime calls it, or a device that stands for others.
        hardware: of this machine.
        precisions: by device, those that may be used without being asked for; without it, what the
            devices say that they compute natively.
        why_no_batch: why batches are not offered; empty where a batch is right, or where there is
            no model to ask.
        cap_ms: on the latency of a request.
        ways: in which the workload may be served.
    """
    facts = facts_of(device, hardware.devices)
    trusted = (precisions or {}).get(device)
    native = native_of(device, facts.capabilities if facts else ())
    is_cpu = kind_of(device).names == ("CPU",)
    members = members_of(device) if is_meta(device) else ()
    return Offer(
        device=device,
        cpus=hardware.cpus,
        cores=hardware.cores,
        sockets=hardware.sockets,
        core_types=hardware.core_types,
        most_streams=hardware.cpus if is_cpu else min(most_streams(facts), _most_worth(device)),
        least_requests=facts.requests[0] if facts and facts.requests else 1,
        most_requests=facts.requests[1] if facts and facts.requests else None,
        precisions=tuple(native if trusted is None else trusted),
        may_batch=not why_no_batch,
        why_no_batch=why_no_batch,
        max_batch=facts.max_batch if facts else None,
        best_batch=facts.best_batch if facts else None,
        tiles=facts.tiles if facts else None,
        cap_ms=cap_ms,
        ways=ways or Ways(),
        kind=facts.kind if facts else "",
        properties=facts.properties if facts else {},
        members=tuple(
            offer_of(
                member,
                hardware,
                precisions=precisions,
                why_no_batch=why_no_batch,
                cap_ms=cap_ms,
                ways=ways,
            )
            for member in members
        ),
    )


def facts_of(device: str, devices: Mapping[str, DeviceFacts]) -> DeviceFacts | None:
    """What is known of a device, which may be called ``GPU`` and stand there as ``GPU.0``."""
    return devices.get(device) or devices.get(f"{device}.0")


def most_streams(facts: DeviceFacts | None) -> int:
    """That a device can have; four where it does not tell."""
    return facts.streams[-1] if facts and facts.streams else _UNTOLD_STREAMS


def _most_worth(device: str) -> int:
    """A GPU's range goes far beyond what makes it faster."""
    return _MOST_GPU_STREAMS if kind_of(device).names == ("GPU",) else 2**16
