//! Tests of the settings: what is read, what is rejected, and that no password is shown.

use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::host::{Host, HostName};
use super::settings::{SslMode, Target};
use super::{PasswordSource, PostgresConfig, Secret};

fn parsed(text: &str) -> PostgresConfig {
    PostgresConfig::parse(text).unwrap()
}

fn rejected(text: &str) -> String {
    PostgresConfig::parse(text).unwrap_err().to_string()
}

fn tcp(name: &str, port: u16) -> Host {
    Host {
        name: HostName::Tcp(name.to_owned()),
        address: None,
        port,
    }
}

#[test]
fn a_url_and_words_mean_the_same() {
    let url = parsed(
        "postgresql://suno:p%40ss%2Fword@db1:5433,db2,[::1]:5434/app?sslmode=disable&connect_timeout=7&application_name=a%20b",
    );
    let words = parsed(
        r"host=db1,db2,::1 port=5433,,5434 user = suno password='p@ss/word' dbname=app sslmode=disable connect_timeout=7 application_name='a b'",
    );
    assert_eq!(url.settings, words.settings);
    assert_eq!(
        url.settings.hosts,
        [tcp("db1", 5433), tcp("db2", 5432), tcp("::1", 5434)]
    );
    assert_eq!(url.settings.ssl_mode, SslMode::Disable);
    assert_eq!(url.settings.connect_timeout, Duration::from_secs(7));
    assert_eq!(
        url.settings.password,
        PasswordSource::Text(Secret::new("p@ss/word"))
    );
    assert_eq!(
        url.to_string(),
        "postgres://suno@db1:5433,db2:5432,[::1]:5434/app"
    );
}

#[test]
fn what_is_not_said_has_a_default() {
    let settings = parsed("").settings;
    assert_eq!(settings.hosts, [tcp("localhost", 5432)]);
    assert_eq!(settings.ssl_mode, SslMode::Prefer);
    assert_eq!(settings.target, Target::ReadWrite);
    assert_eq!(settings.application_name, "suno");
    assert_eq!(settings.password, PasswordSource::None);
    assert_eq!(settings.tcp_user_timeout, Duration::from_secs(5));
    assert_eq!(
        settings.keepalives,
        Some((Duration::from_secs(10), Duration::from_secs(5), 3))
    );
}

#[test]
fn a_socket_is_named_in_the_host_of_a_url_or_in_a_setting() {
    for text in [
        "postgres://%2Frun%2Fpg/app",
        "postgres:///app?host=/run/pg",
        "host=/run/pg dbname=app",
    ] {
        let settings = parsed(text).settings;
        assert_eq!(settings.hosts[0].name, HostName::Unix("/run/pg".into()));
        assert_eq!(settings.database.as_deref(), Some("app"));
    }
}

#[test]
fn quotes_and_backslashes_protect_what_follows() {
    let settings = parsed(r"password='it\'s \\ 1' user=a\ b dbname=''").settings;
    assert_eq!(
        settings.password,
        PasswordSource::Text(Secret::new(r"it's \ 1"))
    );
    assert_eq!(settings.user.as_deref(), Some("a b"));
    assert_eq!(settings.database, None);
}

#[test]
fn an_address_saves_the_look_up_and_the_name_is_what_a_certificate_must_name() {
    let settings = parsed("host=db.example.org hostaddr=10.0.0.7").settings;
    assert_eq!(settings.hosts[0].address, Some("10.0.0.7".parse().unwrap()));
    let alone = parsed("hostaddr=10.0.0.7").settings;
    assert_eq!(alone.hosts[0].name, HostName::Tcp("10.0.0.7".to_owned()));
}

#[test]
fn a_variable_counts_only_where_the_text_says_nothing() {
    let variable = |name: &str| match name {
        "PGHOST" => Some("from-variable".to_owned()),
        "PGUSER" => Some("someone".to_owned()),
        "PGPASSFILE" => Some("/etc/pgpass".to_owned()),
        _ => None,
    };
    let config = PostgresConfig::parse_with_environment("host=here", variable).unwrap();
    assert_eq!(config.settings.hosts, [tcp("here", 5432)]);
    assert_eq!(config.settings.user.as_deref(), Some("someone"));
    assert_eq!(
        config.settings.password,
        PasswordSource::Passfile(PathBuf::from("/etc/pgpass"))
    );
    assert_eq!(parsed("host=here").settings.user, None);
}

#[test]
fn what_is_not_supported_is_rejected_with_its_name() {
    for (text, words) in [
        ("options='-c x=1'", "options"),
        ("service=prod", "service"),
        ("require_auth=scram-sha-256", "require_auth"),
        ("requirepeer=postgres", "requirepeer"),
        ("sslcrl=/crl", "sslcrl"),
        ("krbsrvname=pg", "krbsrvname"),
        ("colour=red", "colour"),
        ("postgres://h/db?colour=red", "colour"),
        ("sslmode=maybe", "sslmode"),
        ("sslmode=verify-ca", "sslrootcert"),
        ("channel_binding=require", "sslmode"),
        ("sslnegotiation=direct", "sslnegotiation"),
        ("sslcert=/a", "sslkey"),
        ("connect_timeout=soon", "connect_timeout"),
        ("connect_timeout=61", "60"),
        ("target_session_attrs=standby", "target_session_attrs"),
        ("client_encoding=LATIN1", "client_encoding"),
        ("gssencmode=require", "gssencmode"),
        ("port=0", "port"),
        ("port=1,2", "port"),
        ("host=a,b hostaddr=10.0.0.1", "hostaddr"),
        ("hostaddr=a", "hostaddr"),
        ("host='a b'", "host"),
        ("host=@abstract", "host"),
        ("user", "="),
        ("user='a", "quote"),
        ("postgres://[::1/db", "]"),
        ("postgres://h/%zz", "%25"),
        ("postgres://h/%00", "NUL"),
        ("postgres://h/db?user", "="),
        (
            "ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2",
            "above",
        ),
    ] {
        let message = rejected(text);
        assert!(message.contains(words), "{text}: {message}");
    }
}

#[test]
fn a_schema_must_be_a_name_that_the_server_keeps_whole() {
    for (name, is_good) in [
        ("suno", true),
        ("Ünï \"quoted\"", true),
        ("", false),
        (&"x".repeat(63), true),
        (&"x".repeat(64), false),
        ("a\0b", false),
        ("pg_temp", false),
    ] {
        let result = parsed("").with_schema(name).check();
        assert_eq!(result.is_ok(), is_good, "{name:?}");
    }
}

#[test]
fn a_line_of_a_password_file_is_found_by_host_port_database_and_user() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pgpass");
    std::fs::write(
        &path,
        "# a comment\nother:*:*:*:wrong\ndb:5432:app:suno:with\\:colon\\\\\n*:*:*:*:last\n",
    )
    .unwrap();
    let source = PasswordSource::Passfile(path.clone());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let others = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(&path, others).unwrap();
        let message = source.read(&tcp("db", 5432), "app", "suno").unwrap_err();
        assert!(message.contains("chmod 600"), "{message}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let read = |port, user| source.read(&tcp("db", port), "app", user).unwrap();
    assert_eq!(read(5432, "suno"), Some(Secret::new("with:colon\\")));
    assert_eq!(read(5433, "suno"), Some(Secret::new("last")));
}

#[test]
fn a_file_is_a_password_without_the_line_break_at_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    let source = PasswordSource::File(path.clone());
    let read = || source.read(&tcp("db", 5432), "app", "suno");
    assert!(read().unwrap_err().contains("cannot be read"));
    for (contents, password) in [("pw\n", "pw"), ("pw\r\n", "pw"), (" p w \n\n", " p w \n")] {
        std::fs::write(&path, contents).unwrap();
        assert_eq!(read().unwrap(), Some(Secret::new(password)));
    }
    std::fs::write(&path, "\n").unwrap();
    assert!(read().unwrap_err().contains("empty"));
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "\\'");
    format!("'{escaped}'")
}

/// Pieces of a password that a message could not contain by accident.
fn password() -> impl Strategy<Value = String> {
    let pieces = prop::collection::vec("[QZX]{6}", 1..4);
    (pieces, prop::collection::vec("[@:/%?#&= ,'\\\\\\[\\]]", 3)).prop_map(|(pieces, marks)| {
        pieces
            .into_iter()
            .zip(marks)
            .map(|(piece, mark)| piece + &mark)
            .collect()
    })
}

proptest! {
    #[test]
    fn a_password_is_read_as_it_was_written(password in password()) {
        let url = parsed(&format!("postgres://u:{}@h/db", encoded(&password)));
        let words = parsed(&format!("host=h user=u dbname=db password={}", quoted(&password)));
        prop_assert_eq!(&url.settings, &words.settings);
        let expected = PasswordSource::Text(Secret::new(password.clone()));
        prop_assert_eq!(&url.settings.password, &expected);
        let shown = format!("{url} {url:?} {:?}", url.settings);
        prop_assert!(!shown.contains(&password), "{}", shown);
    }

    /// Also where the password was not encoded or quoted, so that the text is malformed.
    #[test]
    fn no_piece_of_a_password_is_shown(password in password(), bad in "[a-z]{0,3}") {
        for text in [
            format!("postgres://u:{password}@h/db"),
            format!("postgres://u:{password}@h:{bad}/db?{bad}=1"),
            format!("postgres://h/db?password={password}&sslmode={bad}"),
            format!("password={password} sslmode={bad} host=h"),
            format!("host=h {bad}=1 password='{password}' user=u"),
            format!("host=h password={password}"),
        ] {
            let shown = match PostgresConfig::parse(&text) {
                Ok(config) => format!("{config} {config:?}"),
                Err(err) => format!("{err} {err:?}"),
            };
            for piece in password.split(|c: char| !c.is_ascii_uppercase()) {
                prop_assert!(piece.is_empty() || !shown.contains(piece), "{}", shown);
            }
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "(postgres://)?[a-z@:/%?&=' \\\\,\\[\\]0-9]{0,60}") {
        drop(PostgresConfig::parse(&text));
    }
}
