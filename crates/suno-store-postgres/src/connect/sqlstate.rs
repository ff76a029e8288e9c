//! What each class of the server's errors means: what to do, and what the user is told.
//!
//! One table for the whole store. An error without a code is a lost connection.

use std::fmt;

use suno_callback::StoreErrorKind;
use tokio_postgres::error::DbError;

/// What to do after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// The transaction had no effect and was in the way of another: repeat it a few times.
    Repeat,
    /// A lock was not granted in time: repeat once.
    RepeatOnce,
    /// The prepared statements are no longer valid: forget them and repeat once.
    Forget,
    /// The server has become read-only, so that nothing was done: use new connections and repeat once.
    Replace,
    /// The server ends connections: use new ones. The effect is unknown.
    Reconnect,
    /// Report the error. The connection can be used again.
    Fail,
}

/// What an error means.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meaning {
    pub(super) action: Action,
    pub(super) kind: StoreErrorKind,
    advice: &'static str,
    /// Whether the server's message only names objects and settings, never contents.
    is_shown: bool,
}

/// SQLSTATE or its first two characters, what to do, the kind, whether the message is shown, and advice.
/// The first row that fits counts.
#[rustfmt::skip]
const TABLE: &[(&str, Action, StoreErrorKind, bool, &str)] = {
    use Action::{Fail, Forget, Reconnect, Repeat, RepeatOnce, Replace};
    use StoreErrorKind::{Corrupt, Full, ReadOnly, Refused, Unavailable};
    &[
    ("40P01", Repeat, Unavailable, false, "it was chosen to end a deadlock, again and again"),
    ("40001", Repeat, Unavailable, false, "concurrent transactions were in its way, again and again"),
    ("40003", Fail, Unavailable, false, "it is unknown whether the transaction was committed"),
    ("40", Fail, Unavailable, false, "the transaction was rolled back"),
    ("55P03", RepeatOnce, Unavailable, false, "a lock was not released in time; look for long transactions in pg_stat_activity"),
    ("55", Fail, Unavailable, true, "the server cannot do this in its present state"),
    ("25006", Replace, Unavailable, false, "the server is read-only: it may have become a replica, or default_transaction_read_only is on"),
    ("25", Fail, Unavailable, false, "the transaction had failed or was ended by a limit"),
    ("26000", Forget, Unavailable, false, "prepared statements disappear: behind a pooler in transaction mode, turn named statements off"),
    ("42P05", Forget, Unavailable, false, "prepared statements of other sessions appear: behind a pooler in transaction mode, turn named statements off"),
    ("08", Reconnect, Unavailable, true, "the connection was lost or refused"),
    ("57014", Fail, Unavailable, false, "the statement was cancelled, by statement_timeout or by an operator"),
    ("57P03", Reconnect, Unavailable, false, "the server is starting, stopping or recovering"),
    ("57", Reconnect, Unavailable, true, "the server or an operator ended the connection"),
    ("53100", Fail, Full, false, "the disk of the server is full"),
    ("53300", Fail, Unavailable, true, "the server has no connection left; lower with_connections or raise max_connections"),
    ("53", Fail, Unavailable, true, "the server lacks a resource"),
    ("58", Fail, Unavailable, false, "the server's operating system reported an error; look into the server's log"),
    ("XX001", Fail, Corrupt, false, "the server reports damaged data; look into its log"),
    ("XX002", Fail, Corrupt, false, "the server reports a damaged index; look into its log"),
    ("28P01", Fail, Unavailable, false, "the server rejects the user or the password"),
    ("28", Fail, Unavailable, true, "the server does not admit this user, database, address or encryption; look into pg_hba.conf"),
    ("3D", Fail, Unavailable, true, "the database does not exist"),
    ("42501", Fail, ReadOnly, true, "the role lacks a privilege"),
    ("42", Fail, Corrupt, true, "a table or function of the store is missing or was changed"),
    ("3F", Fail, Corrupt, true, "the schema of the store is missing"),
    ("0A", Fail, Unavailable, true, "the server does not support this"),
    ("22", Fail, Refused, false, "a value is out of range or malformed"),
    ("23", Fail, Refused, false, "a value breaks a constraint"),
    ("54", Fail, Refused, false, "a value or a statement exceeds a limit of the server"),
    ]
};

/// For codes that are in no row.
const OTHER: Meaning = Meaning {
    action: Action::Fail,
    kind: StoreErrorKind::Unavailable,
    advice: "the server reported an error; look into its log",
    is_shown: false,
};

/// What the loss of a connection means.
pub(super) const LOST: Meaning = Meaning {
    action: Action::Reconnect,
    kind: StoreErrorKind::Unavailable,
    advice: "the connection to the server was lost",
    is_shown: false,
};

/// Returns what an error of the server means.
pub(super) fn meaning(err: &DbError) -> Meaning {
    of_code(err.code().code(), err.routine())
}

fn of_code(code: &str, routine: Option<&str>) -> Meaning {
    // "cached plan must not change result type": the table was altered. Only the routine tells it from
    // features that are missing; the message is translated.
    if code == "0A000" && routine == Some("RevalidateCachedQuery") {
        return Meaning {
            action: Action::Forget,
            advice: "the tables of the store were altered",
            ..OTHER
        };
    }
    // "cannot set transaction read-write mode during recovery": a pooler has led to a replica.
    let code = match (code, routine) {
        ("0A000", Some("call_bool_check_hook")) => "25006",
        _ => code,
    };
    TABLE
        .iter()
        .find(|(prefix, ..)| code.starts_with(prefix))
        .map_or(OTHER, |&(_, action, kind, is_shown, advice)| Meaning {
            action,
            kind,
            advice,
            is_shown,
        })
}

/// An error of the server without contents of rows.
#[derive(Debug)]
pub(super) struct ServerError {
    code: String,
    advice: &'static str,
    message: Option<String>,
}

impl ServerError {
    pub(super) fn new(err: &DbError) -> Self {
        let meaning = meaning(err);
        Self {
            code: err.code().code().to_owned(),
            advice: meaning.advice,
            message: meaning.is_shown.then(|| err.message().to_owned()),
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.advice, self.code)?;
        match &self.message {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ServerError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_its_action_and_kind() {
        use Action::{Fail, Forget, Reconnect, Repeat, RepeatOnce, Replace};
        use StoreErrorKind::{Corrupt, Full, ReadOnly, Refused, Unavailable};
        for (code, action, kind) in [
            ("40P01", Repeat, Unavailable),
            ("40001", Repeat, Unavailable),
            ("40002", Fail, Unavailable),
            ("55P03", RepeatOnce, Unavailable),
            ("26000", Forget, Unavailable),
            ("42P05", Forget, Unavailable),
            ("0A000", Fail, Unavailable),
            ("25006", Replace, Unavailable),
            ("25P02", Fail, Unavailable),
            ("25P03", Fail, Unavailable),
            ("57P01", Reconnect, Unavailable),
            ("57P02", Reconnect, Unavailable),
            ("57P03", Reconnect, Unavailable),
            ("57P05", Reconnect, Unavailable),
            ("08006", Reconnect, Unavailable),
            ("57014", Fail, Unavailable),
            ("53100", Fail, Full),
            ("53200", Fail, Unavailable),
            ("53300", Fail, Unavailable),
            ("42501", Fail, ReadOnly),
            ("42P01", Fail, Corrupt),
            ("3F000", Fail, Corrupt),
            ("22021", Fail, Refused),
            ("23505", Fail, Refused),
            ("54000", Fail, Refused),
            ("28P01", Fail, Unavailable),
            ("XX001", Fail, Corrupt),
            ("XX000", Fail, Unavailable),
            ("ZZ999", Fail, Unavailable),
        ] {
            let meaning = of_code(code, None);
            assert_eq!((meaning.action, meaning.kind), (action, kind), "{code}");
        }
        let altered = of_code("0A000", Some("RevalidateCachedQuery"));
        assert_eq!(altered.action, Forget);
        let in_recovery = of_code("0A000", Some("call_bool_check_hook"));
        assert_eq!(in_recovery.action, Replace);
    }

    #[test]
    fn messages_that_may_quote_a_row_are_not_shown() {
        for code in ["22P02", "23505", "54000", "P0001", "XX000", "28P01"] {
            assert!(!of_code(code, None).is_shown, "{code}");
        }
    }

    /// A row after its class would never be found.
    #[test]
    fn no_row_of_the_table_is_hidden_by_an_earlier_one() {
        for (at, (prefix, ..)) in TABLE.iter().enumerate() {
            let first = TABLE
                .iter()
                .position(|(other, ..)| prefix.starts_with(other));
            assert_eq!(first, Some(at), "{prefix}");
        }
    }
}
