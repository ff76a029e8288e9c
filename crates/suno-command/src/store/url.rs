//! The URL of a store, and the passwords in it, which are never shown.

use std::borrow::Cow;
use std::str::FromStr;

/// The schemes of PostgreSQL, which libpq knows.
const POSTGRES: [&str; 2] = ["postgres://", "postgresql://"];
/// The text that is shown instead of a password.
const HIDDEN: &str = "…";
/// The parameters of a URL that are secret.
const SECRET_PARAMETERS: [&str; 2] = ["password", "sslpassword"];

/// A store as it is written in an option.
#[derive(PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) enum StoreUrl {
    /// A file.
    Sqlite(String),
    /// A server, with the whole URL.
    Postgres(String),
}

impl FromStr for StoreUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if POSTGRES.iter().any(|scheme| text.starts_with(scheme)) {
            return Ok(Self::Postgres(text.to_owned()));
        }
        match text.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() => Ok(Self::Sqlite(path.to_owned())),
            _ => Err(
                "it must be written as sqlite:FILE, such as sqlite:suno.db, or as \
                 postgres://USER@HOST/DATABASE",
            ),
        }
    }
}

/// Returns whether a URL of PostgreSQL contains a password.
pub(super) fn has_password(url: &str) -> bool {
    matches!(without_passwords(url), Cow::Owned(_))
}

/// Replaces the passwords of the URLs of PostgreSQL in a text.
pub(crate) fn without_passwords(text: &str) -> Cow<'_, str> {
    let secrets = secrets(text);
    if secrets.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut end = 0;
    for (from, to) in secrets {
        shown.push_str(&text[end..from]);
        shown.push_str(HIDDEN);
        end = to;
    }
    shown.push_str(&text[end..]);
    Cow::Owned(shown)
}

/// Returns the places of the passwords in a text, in their order.
fn secrets(text: &str) -> Vec<(usize, usize)> {
    let mut secrets = Vec::new();
    let mut from = 0;
    while let Some((start, scheme)) = next_url(&text[from..]) {
        let authority = from + start + scheme.len();
        let end = text[authority..].find(char::is_whitespace);
        let end = end.map_or(text.len(), |length| authority + length);
        let url = &text[authority..end];
        let query = url.find('?').unwrap_or(url.len());
        // The last one: a password may contain "@" or "/" that should have been escaped.
        if let Some(at) = url[..query].rfind('@')
            && let Some(colon) = url[..at].find(':')
            && colon + 1 < at
        {
            secrets.push((authority + colon + 1, authority + at));
        }
        let mut place = query;
        for parameter in url[query..].split_inclusive(['?', '&']) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = value.trim_end_matches('&');
            if SECRET_PARAMETERS.contains(&name) && !value.is_empty() {
                let start = authority + place + name.len() + 1;
                secrets.push((start, start + value.len()));
            }
            place += parameter.len();
        }
        from = end;
    }
    secrets
}

/// Returns the place and the scheme of the first URL of PostgreSQL in a text.
fn next_url(text: &str) -> Option<(usize, &'static str)> {
    let found = POSTGRES
        .iter()
        .filter_map(|scheme| Some((text.find(scheme)?, *scheme)));
    found.min_by_key(|(start, _)| *start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_decides_the_kind_of_store() {
        let sqlite = "sqlite:/var/lib/suno.db".parse();
        assert_eq!(sqlite, Ok(StoreUrl::Sqlite("/var/lib/suno.db".to_owned())));
        for url in ["postgres://h/d", "postgresql:///d?host=%2Ftmp"] {
            assert_eq!(url.parse(), Ok(StoreUrl::Postgres(url.to_owned())));
        }
        for text in [
            "",
            "suno.db",
            "sqlite:",
            "mysql://h/d",
            "postgres:h",
            "host=h dbname=d",
        ] {
            assert!(text.parse::<StoreUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn passwords_are_found_wherever_a_url_may_have_them() {
        for (text, shown) in [
            ("postgres://u:canary@h/d", "postgres://u:…@h/d"),
            (
                "postgresql://u:can%40ary@h:1,i:2/d",
                "postgresql://u:…@h:1,i:2/d",
            ),
            ("postgres://u:can/ary@h@h/d?a=b", "postgres://u:…@h/d?a=b"),
            ("postgres://:canary@h", "postgres://:…@h"),
            (
                "postgres://u@h/d?password=canary&a=b",
                "postgres://u@h/d?password=…&a=b",
            ),
            (
                "postgres://h?a=b&sslpassword=canary",
                "postgres://h?a=b&sslpassword=…",
            ),
            (
                "'postgres://u:canary@h/d' or postgres://v:canary@h/e",
                "'postgres://u:…@h/d' or postgres://v:…@h/e",
            ),
        ] {
            assert_eq!(without_passwords(text), shown);
            assert!(has_password(text), "{text}");
        }
    }

    #[test]
    fn a_url_without_a_password_is_shown_as_it_is() {
        for text in [
            "postgres://u@h:5432/d?application_name=a@b",
            "postgres://u:@h/d",
            "postgres://h:5432,i:5432/d?password=",
            "sqlite:a:b@c",
            "mail a:b@c.example",
        ] {
            assert_eq!(without_passwords(text), text);
            assert!(!has_password(text), "{text}");
        }
    }
}
