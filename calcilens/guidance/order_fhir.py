"""An order as a FHIR R4 ServiceRequest: a draft and a proposal, never an order that counts."""

from __future__ import annotations

from typing import Any

from calcilens.guidance.order import NOTICE, SCOPE, Order, said
from calcilens.guidance.order_text import told
from calcilens.vocabulary import FHIR_SYSTEMS, Code

_IMAGING = Code("363679005", "SCT", "Imaging procedure")


def service_request(order: Order) -> dict[str, Any]:
    """Return the content of a ServiceRequest.

    Its subject is a contained Patient of whom only the sex is said; a system that sends it puts its
    own reference there.
    """
    return {
        "resourceType": "ServiceRequest",
        "contained": [{"resourceType": "Patient", "id": "patient", **_gender(order)}],
        "status": "draft",
        "intent": "proposal",
        "category": [{"coding": [_coding(_IMAGING)]}],
        "code": {
            "coding": [_coding(order.procedure), _coding(order.protocol_code)],
            "text": order.title,
        },
        "orderDetail": [{"text": line} for line in said((*order.protocol, *order.questions))],
        "subject": {"reference": "#patient"},
        "reasonCode": [{"text": line} for line in (order.question, *said(order.reasons))],
        **_site(order),
        "note": [{"text": line} for line in _notes(order)],
    }


def _notes(order: Order) -> list[str]:
    asked = [f"Question to the referrer: {line}" for line in said(order.missing)]
    known = [f"Known: {line}" for line in (order.patient, *told(order))]
    return [NOTICE, *known, *asked, *said(order.notes), SCOPE]


def _gender(order: Order) -> dict[str, str]:
    return {"gender": order.sex} if order.sex else {}


def _site(order: Order) -> dict[str, Any]:
    if order.region is None:
        return {}
    # Codings of one concept must mean the same: the side stands in its text alone.
    return {"bodySite": [{"coding": [_coding(order.region)], "text": order.place}]}


def _coding(code: Code) -> dict[str, str]:
    return {"system": FHIR_SYSTEMS[code.scheme], "code": code.value, "display": code.meaning}
