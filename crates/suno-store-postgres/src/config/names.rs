//! The names of settings.

/// Settings that are rejected, with the reason.
pub(super) const REJECTED: &[(&str, &str)] = &[
    (
        "options",
        "poolers drop or reject it; the store sets what it needs, and ALTER ROLE … SET sets the rest",
    ),
    (
        "service",
        "service files are not read; write the settings of the service here",
    ),
    (
        "servicefile",
        "service files are not read; write the settings of the service here",
    ),
    (
        "require_auth",
        "the client cannot restrict methods; channel_binding=require excludes all but SCRAM",
    ),
    (
        "requirepeer",
        "the owner of a Unix socket's server cannot be checked",
    ),
    ("requiressl", "it is obsolete; use sslmode"),
    (
        "sslcrl",
        "lists of revoked certificates are not read; trust fewer certificates with sslrootcert",
    ),
    (
        "sslcrldir",
        "lists of revoked certificates are not read; trust fewer certificates with sslrootcert",
    ),
    (
        "sslpassword",
        "encrypted keys cannot be read; protect the file of the key instead",
    ),
    ("krbsrvname", "Kerberos is not supported"),
    ("gsslib", "Kerberos is not supported"),
    ("gssdelegation", "Kerberos is not supported"),
    ("replication", "the store does not replicate"),
];

/// Settings that are accepted.
const KNOWN: &[&str] = &[
    "application_name",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "gssencmode",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "passfile",
    "password",
    "port",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcertmode",
    "sslcompression",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// Whether this program knows a setting, to accept or to reject it.
pub(super) fn is_known(name: &str) -> bool {
    KNOWN.contains(&name) || REJECTED.iter().any(|(rejected, _)| *rejected == name)
}
