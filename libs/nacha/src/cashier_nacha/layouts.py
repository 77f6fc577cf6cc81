"""The records of the format, column by column, as the public NACHA file layout has them."""

from typing import Final

from cashier_nacha.layout import layout

FILE_HEADER: Final = layout(
    "file_header",
    """
    1 record_type constant 1
    2 priority_code constant 01
    10 destination text
    10 origin text
    6 created_on date
    4 created_at optional_digits
    1 modifier text
    3 record_size constant 094
    2 blocking_factor constant 10
    1 format_code constant 1
    23 destination_name text
    23 origin_name text
    8 reference_code text
    """,
)
BATCH_HEADER: Final = layout(
    "batch_header",
    """
    1 record_type constant 5
    3 service_class digits
    16 company_name text
    20 discretionary text
    10 company_id text
    3 entry_class text
    10 description text
    6 descriptive_date text
    6 effective_on date
    3 settlement_day optional_digits
    1 originator_status text
    8 odfi digits
    7 number number
    """,
)
IAT_BATCH_HEADER: Final = layout(
    "iat_batch_header",
    """
    1 record_type constant 5
    3 service_class digits
    16 iat_indicator text
    2 exchange_indicator text
    1 exchange_reference_indicator text
    15 exchange_reference text
    2 destination_country text
    10 company_id text
    3 entry_class text
    10 description text
    3 origin_currency text
    3 destination_currency text
    6 effective_on date
    3 settlement_day optional_digits
    1 originator_status text
    8 odfi digits
    7 number number
    """,
)
ENTRY: Final = layout(
    "entry",
    """
    1 record_type constant 6
    2 transaction_code digits
    8 rdfi digits
    1 check_digit digits
    17 account text
    10 amount number
    15 individual_id text
    22 individual_name text
    2 discretionary text
    1 has_addenda number
    15 trace digits
    """,
)
IAT_ENTRY: Final = layout(
    "iat_entry",
    """
    1 record_type constant 6
    2 transaction_code digits
    8 rdfi digits
    1 check_digit digits
    4 addenda_count number
    13 reserved_1 reserved
    10 amount number
    35 account text
    2 reserved_2 reserved
    1 gateway_screening text
    1 secondary_screening text
    1 has_addenda number
    15 trace digits
    """,
)
# Types 02, 05 and 10 to 18: what they say is the sender's; the last columns differ by type.
ADDENDA: Final = layout(
    "addenda",
    """
    1 record_type constant 7
    2 type_code digits
    91 text verbatim
    """,
)
RETURN: Final = layout(
    "return",
    """
    1 record_type constant 7
    2 type_code constant 99
    3 code text
    15 original_trace digits
    6 date_of_death date
    8 original_rdfi digits
    44 text text
    15 trace digits
    """,
)
IAT_RETURN: Final = layout(
    "iat_return",
    """
    1 record_type constant 7
    2 type_code constant 99
    3 code text
    15 original_trace digits
    6 date_of_death date
    8 original_rdfi digits
    10 original_amount number
    34 text text
    15 trace digits
    """,
)
DISHONORED: Final = layout(
    "dishonored_return",
    """
    1 record_type constant 7
    2 type_code constant 99
    3 code text
    15 original_trace digits
    6 reserved_1 reserved
    8 original_rdfi digits
    3 reserved_2 reserved
    15 return_trace digits
    3 return_settlement_day optional_digits
    2 return_code digits
    21 text text
    15 trace digits
    """,
)
CONTESTED: Final = layout(
    "contested_return",
    """
    1 record_type constant 7
    2 type_code constant 99
    3 code text
    15 original_trace digits
    6 returned_on date
    8 original_rdfi digits
    3 original_settlement_day optional_digits
    15 return_trace digits
    3 return_settlement_day optional_digits
    2 return_code digits
    15 dishonored_trace digits
    3 dishonored_settlement_day optional_digits
    2 dishonored_code digits
    1 reserved_1 reserved
    15 trace digits
    """,
)
CHANGE: Final = layout(
    "notification_of_change",
    """
    1 record_type constant 7
    2 type_code constant 98
    3 code text
    15 original_trace digits
    6 reserved_1 reserved
    8 original_rdfi digits
    29 corrected text
    15 reserved_2 reserved
    15 trace digits
    """,
)
REFUSED_CHANGE: Final = layout(
    "refused_change",
    """
    1 record_type constant 7
    2 type_code constant 98
    3 code text
    15 original_trace digits
    6 reserved_1 reserved
    8 original_rdfi digits
    29 corrected text
    3 change_code text
    7 change_sequence digits
    5 reserved_2 reserved
    15 trace digits
    """,
)
BATCH_CONTROL: Final = layout(
    "batch_control",
    """
    1 record_type constant 8
    3 service_class digits
    6 entry_count number
    10 entry_hash number
    12 debits number
    12 credits number
    10 company_id text
    19 authentication text
    6 reserved_1 reserved
    8 odfi digits
    7 number number
    """,
)
FILE_CONTROL: Final = layout(
    "file_control",
    """
    1 record_type constant 9
    6 batch_count number
    6 block_count number
    8 entry_count number
    10 entry_hash number
    12 debits number
    12 credits number
    39 reserved_1 reserved
    """,
)
