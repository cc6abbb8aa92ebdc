"""Answers questions about security descriptors with Samba's own code.

Reads one JSON object per line, writes one per line:
  {"descriptor": HEX, "sids": [..], "privileges": [..], "desired": N}  ->  {"granted": N} or {"status": N}
  {"descriptor": HEX}                                                   ->  {"sddl": TEXT}
  {"sddl": TEXT}                                                        ->  {"descriptor": HEX}
What Samba refuses to read gives {"error": TEXT}.

Needs python3-samba; run with /usr/bin/python3.
"""
import json
import sys

from samba import NTSTATUSError, security
from samba.dcerpc import security as sec
from samba.ndr import ndr_pack, ndr_unpack

DOMAIN = sec.dom_sid("S-1-5-21-1-2-3")
PRIVILEGES = {"SECURITY": sec.SEC_PRIV_SECURITY, "TAKE_OWNERSHIP": sec.SEC_PRIV_TAKE_OWNERSHIP}


def check(descriptor, question):
    token = sec.token()
    sids = [sec.dom_sid(sid) for sid in question["sids"]]
    token.sids = sids
    # Not len(token.sids): that reads 0, and everything is denied.
    token.num_sids = len(sids)
    for privilege in question["privileges"]:
        token.set_privilege(PRIVILEGES[privilege])
    try:
        return {"granted": security.access_check(descriptor, token, question["desired"])}
    except NTSTATUSError as error:
        return {"status": error.args[0] & 0xFFFFFFFF}


def answer(question):
    if "sddl" in question:
        descriptor = sec.descriptor.from_sddl(question["sddl"], DOMAIN)
        return {"descriptor": ndr_pack(descriptor).hex()}
    descriptor = ndr_unpack(sec.descriptor, bytes.fromhex(question["descriptor"]))
    if "desired" in question:
        return check(descriptor, question)
    return {"sddl": descriptor.as_sddl(DOMAIN)}


for line in sys.stdin:
    try:
        result = answer(json.loads(line))
    except (TypeError, ValueError, RuntimeError) as error:
        result = {"error": str(error)}
    print(json.dumps(result, separators=(",", ":")))
