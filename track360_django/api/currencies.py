"""
ISO 4217: the current currencies and those withdrawn since 2000, with the places of their amounts after the point.

Plain data. Nothing here uses Django or the API.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

# Source: ISO 4217, List One as published on 2026-01-01, by minor unit. Codes without a minor unit are left out (metals,
# drawing rights, bond market units, XTS, XXX): customers don't pay with them, and they have no number of places.
_CURRENT: Final[Mapping[int, str]] = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """
        AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW
        CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF
        IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK
        MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP
        SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG
        YER ZAR ZMW ZWG
    """,
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
# Source: ISO 4217, List Three: withdrawn in 2000 or later, with their former minor unit. A backfill may contain them.
_WITHDRAWN: Final[Mapping[int, str]] = {
    0: "ADP BEF BYB BYR ESP GRD ITL LUF MGF PTE TPE TRL",
    2: """
        AFA ANG AON AOR ATS AYM AZM BGL BGN CHC CSD CUC CYP DEM ECS ECV EEK FIM FRF GHC GHP HRK IEP LTL LVL MRO MTL
        MZM NLG ROL RUR SDD SIT SKK SLL SRG STD TJR TMM USS VEB VEF YUM ZMK ZWD ZWL ZWN ZWR
    """,
}

# Code -> places after the point.
MINOR_UNITS: Final[Mapping[str, int]] = MappingProxyType(
    {
        code: places
        for group in (_WITHDRAWN, _CURRENT)
        for places, codes in group.items()
        for code in codes.split()
    }
)
