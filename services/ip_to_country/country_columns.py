"""The columns of logs.ip_country."""

import pyarrow as pa

from optimus.service import described_schema

IP_COUNTRY_SCHEMA = described_schema(
    ("ip", pa.string(), "The text of logs.clickstream.ip, as delivered."),
    ("address", pa.string(), "The first public address in it; null when there is none."),
    ("country", pa.string(), "ISO 3166 code; null when no database knows the address."),
    ("subdivision", pa.string(), "ISO 3166-2 code without the country: QLD, ENG."),
    ("city", pa.string(), "English name."),
    ("database", pa.string(), "The database that told the country, else the first asked."),
    ("database_built", pa.timestamp("us", "UTC"), "When that database was built."),
)
