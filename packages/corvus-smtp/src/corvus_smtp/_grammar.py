"""Productions of RFC 5321 §4.1.2 and §4.1.3, widened by RFC 6531 §3.3, each above its expression.

All expressions are over octets, possessive where they repeat, and unambiguous: a mismatch costs
one pass.  Octets from 0x80 up are admitted wherever UTF8-non-ascii may stand; that they are UTF-8
is checked where they are decoded, and that SMTPUTF8 was asked for where the command is judged.
"""

from __future__ import annotations

import re
from typing import Final

#   atext = ALPHA / DIGIT / "!" / "#" / ... / "~"                    ; RFC 5322 §3.2.3
#   atext =/ UTF8-non-ascii                                           ; RFC 6531 §3.3
ATEXT: Final = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-]"
#   Dot-string = Atom *("."  Atom)
DOT_STRING: Final = ATEXT + rb"++(?:\." + ATEXT + rb"++)*+"
#   Quoted-string  = DQUOTE *QcontentSMTP DQUOTE
#   quoted-pairSMTP  = %d92 %d32-126
#   qtextSMTP      = %d32-33 / %d35-91 / %d93-126
QUOTED_STRING: Final = rb'"(?:[\x20-\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\x20-\x7e])*+"'
#   sub-domain = Let-dig [Ldh-str]          ; at most 63 octets (RFC 1035 §2.3.4)
#   sub-domain =/ U-label                   ; RFC 6531 §3.3
SUB_DOMAIN: Final = rb"[A-Za-z0-9\x80-\xff][A-Za-z0-9\x80-\xff-]{0,62}+(?<!-)"
#   Domain = sub-domain *("." sub-domain)
DOMAIN: Final = SUB_DOMAIN + rb"(?:\." + SUB_DOMAIN + rb")*+"
#   address-literal  = "[" ( IPv4-address-literal / IPv6-address-literal / ... ) "]"
#   Whether the numbers are an address is left to `ipaddress`.  General-address-literal is not
#   modelled: no tag but IPv6 has ever been registered.
ADDRESS_LITERAL: Final = rb"\[(?:IPv6:[0-9A-Fa-f:.]{2,45}+|[0-9.]{7,15}+)\]"
#   Mailbox = Local-part "@" ( Domain / address-literal )
MAILBOX: Final = (
    rb"(?:(?P<dotted>" + DOT_STRING + rb")|(?P<quoted>" + QUOTED_STRING + rb"))"
    rb"@(?P<domain>" + DOMAIN + rb"|" + ADDRESS_LITERAL + rb")"
)
#   A-d-l = At-domain *( "," At-domain )     ; "Note that this form, the so-called "source
#   At-domain = "@" Domain                   ;  route", MUST BE accepted, SHOULD NOT be
#                                            ;  generated, and SHOULD be ignored."
SOURCE_ROUTE: Final = rb"@" + DOMAIN + rb"(?:,@" + DOMAIN + rb")*+:"
#   Path = "<" [ A-d-l ":" ] Mailbox ">"
PATH: Final = rb"<(?:" + SOURCE_ROUTE + rb")?" + MAILBOX + rb">"

#   esmtp-param   = esmtp-keyword ["=" esmtp-value]
#   esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
#   esmtp-value   = 1*(%d33-60 / %d62-126)       ; any CHAR excluding "=", SP, and controls
#   ...             =/ UTF8-non-ascii             ; RFC 6531 §3.3
# "=" is admitted in values: AUTH=<> needs none, but base64 ENVIDs of old clients hold it.
ESMTP_KEYWORD: Final = rb"[A-Za-z0-9][A-Za-z0-9-]*+"
ESMTP_VALUE: Final = rb"[\x21-\x7e\x80-\xff]++"
ESMTP_PARAM: Final = rb"(" + ESMTP_KEYWORD + rb")(?:=(" + ESMTP_VALUE + rb"))?"

mailbox: Final = re.compile(MAILBOX)
path: Final = re.compile(PATH)
esmtp_param: Final = re.compile(ESMTP_PARAM)
domain: Final = re.compile(DOMAIN)
address_literal: Final = re.compile(ADDRESS_LITERAL)
dot_string: Final = re.compile(DOT_STRING)
