"""What is promised about the sentences for what servers refuse: the cause, the remedy, no value."""

import pymysql
import pytest
from pymongo.errors import ConfigurationError, OperationFailure, ServerSelectionTimeoutError

from optimus.errors import OutputUnavailableError, SettingsError
from optimus.servers import MongoServer, SqlServer

SECRET = "learner@example.org"
MYSQL = SqlServer("db.example.org", 3307, "optimus", "guess me")
MONGODB = MongoServer.at("mongodb://optimus:guess%20me@db.example.org:27018/?authSource=admin")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1021, "disk is full"),
        (1114, "disk is full"),
        (1045, "SQL_USERNAME and SQL_PASSWORD"),
        (1044, "Grant it"),
        (2013, "cannot be reached"),
        (1205, "tried again"),
        (9999, "OperationalError 9999"),
    ],
)
def test_an_error_of_mysql_is_told_with_its_remedy_and_never_with_a_value(code, words):
    with pytest.raises(OutputUnavailableError) as told, MYSQL.errors():
        raise pymysql.OperationalError(code, f"Something about '{SECRET}'")
    assert words in str(told.value)
    assert "db.example.org:3307" in str(told.value)
    assert SECRET not in str(told.value)
    assert "guess" not in str(told.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OperationFailure(SECRET, 14031), "disk is full"),
        (OperationFailure(SECRET, 18), "Mend MONGO_HOST"),
        (OperationFailure(SECRET, 13), "readWrite"),
        (OperationFailure(SECRET, 99), "error 99"),
        (ServerSelectionTimeoutError(SECRET), "cannot be reached"),
        (ConfigurationError(SECRET), "older than 5.0"),
    ],
)
def test_an_error_of_mongodb_is_told_with_its_remedy_and_never_with_a_value(error, words):
    with pytest.raises(OutputUnavailableError) as told, MONGODB.errors():
        raise error
    assert words in str(told.value)
    assert "db.example.org:27018" in str(told.value)
    assert SECRET not in str(told.value)
    assert "guess" not in str(told.value)


def test_no_secret_is_shown_where_a_server_is_printed():
    assert "guess" not in f"{MYSQL!r} {MONGODB!r} {MYSQL.place} {MONGODB.place}"


@pytest.mark.parametrize("host", ["localhost", "db:27018", "mongodb://a,b:27018/?replicaSet=r"])
def test_a_host_a_port_or_a_uri_will_do(host):
    assert MongoServer.at(host).place.startswith("MongoDB at ")


@pytest.mark.parametrize("host", ["mongodb://", "http://x", "a:port", "mongodb://u:p@ss@x:y"])
def test_what_is_none_of_these_is_a_wrong_setting(host):
    with pytest.raises(SettingsError, match="MONGO_HOST"):
        MongoServer.at(host)
