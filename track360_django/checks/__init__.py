"""
System checks. Each message says what is wrong with the settings, where, and how to correct it.

No check stops the host.

    E001 TRACK360 is not a dict
    E002 unknown key
    E003 wrong type or range
    E004 BASE_URL missing
    E005 BASE_URL malformed
    E006 BRAND_TOKEN missing
    E007 BRAND_TOKEN can't be a header
    E008 not one of the choices
    E009 function that can't be imported
    E010 middleware missing
    E011 middleware before SessionMiddleware
    E012 TIME_ZONE unknown
    E013 product without PRODUCT_FIELD
    E014 two declarations with the same ids
    E015 path of a declaration
    E016 condition of a declaration
    E017 declaration without a name
    E018 path of CUSTOMER_ID
    E019 day's total without a name
    E020 day's total without rows()
    E021 entry of CURRENCIES
    E022 dated_by is not a column of dates
    E023 on_reverse is not an event name
    E024 two declarations with the same reversals
    E025 two brands with the same host
    E026 entry of HOSTS is not a host name
    E027 resolver without hosts
    E028 name of a brand can't be a key
    E029 two brands with the same token
    W001 plain http
    W002 middleware behind another that may answer first
    W003 unknown attribute
    W004 path of CUSTOMER_FIELDS
    W005 KPI reported per event and per day
    W006 window longer than bodies are kept
    W007 event name not in EVENTS
    W008 currency with another number of decimal places than in ISO 4217
    W009 rows without an age
    W010 several brands without a resolver
    W011 brand without hosts
    W012 host without a brand
    W013 setting of the whole project in a brand
    W014 middleware listed twice
    W015 pages are cached before the middleware has marked them
"""

from track360_django.checks.brands import check_brands
from track360_django.checks.configured import check_settings
from track360_django.checks.declared import check_declarations
from track360_django.checks.middlewares import check_middleware

__all__ = ["check_brands", "check_declarations", "check_middleware", "check_settings"]
