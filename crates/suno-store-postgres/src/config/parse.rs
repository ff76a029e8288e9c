//! A URL or a `key=value` text as pairs of names and values.
//!
//! Errors show no piece of the text: where it is malformed, any piece may belong to the password.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use super::ConfigError;

/// Values by the names of libpq's settings.
pub(super) type Pairs = BTreeMap<String, String>;

/// The largest text of settings, in bytes.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// libpq's environment variables with the settings that they stand for.
pub(super) const VARIABLES: &[(&str, &str)] = &[
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGDATABASE", "dbname"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGPASSFILE", "passfile"),
    ("PGSERVICE", "service"),
    ("PGOPTIONS", "options"),
    ("PGAPPNAME", "application_name"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLNEGOTIATION", "sslnegotiation"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGSSLCRL", "sslcrl"),
    ("PGSSLCRLDIR", "sslcrldir"),
    ("PGSSLSNI", "sslsni"),
    ("PGSSLMINPROTOCOLVERSION", "ssl_min_protocol_version"),
    ("PGSSLMAXPROTOCOLVERSION", "ssl_max_protocol_version"),
    ("PGREQUIRESSL", "requiressl"),
    ("PGREQUIREPEER", "requirepeer"),
    ("PGREQUIREAUTH", "require_auth"),
    ("PGGSSENCMODE", "gssencmode"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGCLIENTENCODING", "client_encoding"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
    ("PGLOADBALANCEHOSTS", "load_balance_hosts"),
];

const ENCODE: &str = "in a URL, the user and the password end at the first '@' and must not contain '/', '?' or '@' as such: write %2F, %3F and %40";
const ENCODING: &str = "the URL contains a '%' that is not followed by two hexadecimal digits, or an encoded byte that is not UTF-8: write %25 for '%'";

const AFTER_PASSWORD: &str = "an unknown setting follows the password: put a password with spaces in single quotes; in a URL, write %26 for '&' and %20 for a space";

/// Returns the settings of a text.
pub(super) fn pairs(text: &str) -> Result<Pairs, ConfigError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(ConfigError::new(format!(
            "the settings of the connection have more than {TEXT_BYTES_MAX} bytes"
        )));
    }
    if text.contains('\0') {
        return Err(ConfigError::new("the settings contain a NUL byte"));
    }
    let text = text.trim();
    match text
        .strip_prefix("postgres://")
        .or_else(|| text.strip_prefix("postgresql://"))
    {
        Some(rest) => of_url(rest),
        None => of_words(text),
    }
}

/// Reads what follows `postgres://`: `[user[:password]@][host[:port],…][/dbname][?name=value&…]`.
fn of_url(text: &str) -> Result<Pairs, ConfigError> {
    let end = text.find(['/', '?']).unwrap_or(text.len());
    let (authority, rest) = text.split_at(end);
    // An '@' after the authority means that the password has a '/' or '?' as such: then what
    // looks like a host is a piece of it.
    if authority.matches('@').count() > 1 || rest.contains('@') {
        return Err(ConfigError::new(ENCODE));
    }
    let mut pairs = Pairs::new();
    let hosts = match authority.split_once('@') {
        Some((credentials, hosts)) => {
            let (user, password) = match credentials.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (credentials, None),
            };
            insert(&mut pairs, "user", user)?;
            if let Some(password) = password {
                insert(&mut pairs, "password", password)?;
            }
            hosts
        }
        None => authority,
    };
    of_hosts(&mut pairs, hosts)?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if let Some(name) = path.strip_prefix('/') {
        if name.contains('/') {
            return Err(ConfigError::new(ENCODE));
        }
        insert(&mut pairs, "dbname", name)?;
    }
    let mut has_password = false;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| ConfigError::new("a setting after '?' in the URL has no '='"))?;
        let name = match decoded(name)?.as_str() {
            // As JDBC writes it; libpq knows it too.
            "ssl" if value == "true" => {
                pairs.insert("sslmode".to_owned(), "require".to_owned());
                continue;
            }
            // After a password with '&' as such, its rest looks like a name.
            name if has_password && !super::names::is_known(name) => {
                return Err(ConfigError::new(AFTER_PASSWORD));
            }
            name => name.to_owned(),
        };
        has_password |= name == "password";
        pairs.insert(name, decoded(value)?);
    }
    Ok(pairs)
}

/// Reads `host:port,host:port` of a URL into two lists.
fn of_hosts(pairs: &mut Pairs, text: &str) -> Result<(), ConfigError> {
    if text.is_empty() {
        return Ok(());
    }
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for one in text.split(',') {
        let (host, port) = match one.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']').ok_or_else(|| {
                    ConfigError::new("an IPv6 address in the URL has no ']' at its end")
                })?;
                (address, port.strip_prefix(':').unwrap_or(port))
            }
            None => one.split_once(':').unwrap_or((one, "")),
        };
        hosts.push(decoded(host)?);
        ports.push(port);
    }
    pairs.insert("host".to_owned(), hosts.join(","));
    if ports.iter().any(|port| !port.is_empty()) {
        pairs.insert("port".to_owned(), ports.join(","));
    }
    Ok(())
}

fn insert(pairs: &mut Pairs, name: &str, value: &str) -> Result<(), ConfigError> {
    if !value.is_empty() {
        pairs.insert(name.to_owned(), decoded(value)?);
    }
    Ok(())
}

/// Decodes `%41`. A `+` stays as it is, as in libpq.
fn decoded(text: &str) -> Result<String, ConfigError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            let digit = char::from(rest.next()?).to_digit(16)?;
            u8::try_from(digit).ok()
        };
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(ConfigError::new(ENCODING));
        };
        bytes.push(high << 4 | low);
    }
    let text = String::from_utf8(bytes).map_err(|_| ConfigError::new(ENCODING))?;
    if text.contains('\0') {
        return Err(ConfigError::new("the settings contain a NUL byte"));
    }
    Ok(text)
}

/// Reads `name=value name='value with spaces'`.
fn of_words(text: &str) -> Result<Pairs, ConfigError> {
    let mut pairs = Pairs::new();
    let mut rest = text.chars().peekable();
    loop {
        skip_spaces(&mut rest);
        if rest.peek().is_none() {
            return Ok(pairs);
        }
        let mut name = String::new();
        while let Some(c) = rest.next_if(|c| *c != '=' && !c.is_ascii_whitespace()) {
            name.push(c);
        }
        skip_spaces(&mut rest);
        if rest.next_if_eq(&'=').is_none() {
            return Err(ConfigError::new(
                "a word of the settings is not followed by '=': put values with spaces in single quotes, or write a URL that begins with postgres://",
            ));
        }
        skip_spaces(&mut rest);
        // After an unquoted password with a space, its rest looks like a name.
        if pairs.contains_key("password") && !super::names::is_known(&name) {
            return Err(ConfigError::new(AFTER_PASSWORD));
        }
        let value = value(&mut rest)?;
        pairs.insert(name, value);
    }
}

fn skip_spaces(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(char::is_ascii_whitespace).is_some() {}
}

/// Reads a value, which may be in single quotes; a backslash takes the next character as it is.
fn value(rest: &mut Peekable<Chars<'_>>) -> Result<String, ConfigError> {
    let is_quoted = rest.next_if_eq(&'\'').is_some();
    let mut value = String::new();
    while let Some(c) = rest.next() {
        match c {
            '\'' if is_quoted => return Ok(value),
            '\\' => value.extend(rest.next()),
            c if !is_quoted && c.is_ascii_whitespace() => return Ok(value),
            c => value.push(c),
        }
    }
    if is_quoted {
        return Err(ConfigError::new(
            "a value in the settings has no quote at its end",
        ));
    }
    Ok(value)
}
