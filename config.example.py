"""Settings: copy this file to config.py and change what differs. All are optional.

Each one can be given in the environment as well, where it wins: OPTIMUS_<NAME>, lists as
JSON. Relative paths start at the folder of ingestor.py. './ingestor.py check' says what is
wrong with them.
"""

import os

# Folders that hold data packages: clickstream_logs/ and database_state/.
DATA_PATHS = ["data"]

# Take only tracking logs whose name starts with this, such as 'uqx-edx-'.
CLICKSTREAM_PREFIX = ""

# Take only database dumps and courses whose name starts with this.
DBSTATE_PREFIX = ""

# Folders where deliveries arrive as edX sends them: package zips, .gpg logs.
DELIVERY_PATHS = []

# One of DATA_PATHS, that deliveries are unpacked to; blank: the first.
PUBLISH_PATH = None

# Group that unpacked files are given to; blank: the daemon's own.
PUBLISH_GROUP = ""

# Rights of unpacked files, in octal; folders get an x wherever files get an r.
PUBLISH_MODE = "0640"

# Unpack logs to .log; False keeps them as .log.gz, a tenth of it.
UNPACK_LOGS = True

# Folder of GnuPG's keys; blank: that of the daemon's user.
GPG_HOME = None

# File with the passphrase of the key; blank: none, or gpg-agent knows it.
GPG_PASSPHRASE_FILE = None

# Where deliveries are fetched from, as s3://bucket/prefix.
S3_SOURCES = []

# URL of another store that speaks S3; blank: Amazon's.
S3_ENDPOINT = ""

# Seconds between two looks at S3_SOURCES.
S3_INTERVAL = 3600

# A course whose table loses more than this share of its rows is held back.
MAX_DROP = 0.2

# Services that do not run, by folder name or original spelling.
IGNORE_SERVICES = []

# Where queue, logs, locks, rejects and fetched deliveries live.
STATE_PATH = "var"

# The folder of Parquet files that queries read.
LAKE_PATH = "var/lake"

# Where CSV files and samples of learners are written.
EXPORT_PATH = "var/exports"

# Where JSON for the web is written.
WWW_PATH = "www"

# MySQL or MariaDB server of queue and tables; blank: SQLite, no tables.
SQL_HOST = ""

# Its port.
SQL_PORT = 3306

# The account on it.
SQL_USERNAME = ""

# The account's password.
SQL_PASSWORD = ""

# Unix socket of the server, used instead of host and port.
SQL_SOCKET = None

# File of the authorities that vouch for the server; with it TLS is used.
SQL_TLS_CA = None

# Course tables as the original wrote them: text, null as the word NULL.
MYSQL_LEGACY_TEXT = True

# Tables of the dumps that stay out of MySQL, in the lake alone.
MYSQL_LEAVE_OUT = []

# MongoDB of events and forums: host, host:port or mongodb:// URI; blank: none.
MONGO_HOST = ""

# Files ingested at the same time.
WORKERS = os.cpu_count()

# Seconds between two full looks at the data folders.
SCAN_INTERVAL = 300

# Seconds a file must rest unchanged before it is read.
SETTLE_SECONDS = 10.0

# Tries before an item that fails for unknown reasons rests.
MAX_ATTEMPTS = 5

# Seconds without progress after which a worker is replaced.
STALL_SECONDS = 600

# Seconds that running files get to stop by themselves.
STOP_TIMEOUT = 8.0

# A file with over 100 rejects and more than this share fails, until accepted.
MAX_REJECT_SHARE = 0.05

# Certificate statuses that count as certified in person_course.
CERTIFIED_STATUSES = ["downloadable", "audit_passing"]

# Export all of the contact list each time; False: what changed since the last.
EMAILCRM_FULL_EXPORT = True

# Course runs that extract_sample makes a small package of, by database name.
SAMPLE_COURSES = []

# Learners in such a sample.
SAMPLE_SIZE = 100

# Share of them that earned a certificate; blank: as in the course run.
SAMPLE_PASSING = None

# Another number draws other learners.
SAMPLE_SEED = 1

# Secret of 16 characters or more; with it samples hold pseudonyms alone.
PSEUDONYM_KEY = ""

# A country .mmdb file; else services/ip_to_country/lib/ is looked through.
GEOIP_COUNTRY_DB = None

# A city .mmdb file; else services/ip_to_country/lib/ is looked through.
GEOIP_CITY_DB = None

# The address the REST API listens on.
API_HOST = "127.0.0.1"

# The port of the REST API.
API_PORT = 8850
