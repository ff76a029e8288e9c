//! The schema of the store: its versions, and how processes that start together agree on one.

use std::time::Duration;

use suno_callback::{StoreError, StoreErrorKind};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};

use crate::begin::{BEGIN, LIMIT};
use crate::connect::{Connections, Error, Session};

/// The version of the schema that this program writes.
const VERSION: i32 = 2;
/// The oldest version whose programs can use this schema.
const OLDEST_READER: i32 = 1;
const V1: &str = concat!(
    include_str!("v1.sql"),
    include_str!("accept_v1.sql"),
    include_str!("claim_v1.sql")
);
const V2: &str = include_str!("v2.sql");
/// How often a process looks whether another one has made the schema, and how long it waits in between.
const TRIES_MAX: u32 = 100;
const PAUSE: Duration = Duration::from_millis(100);

const SERVER: &str = "
    SELECT current_setting('server_encoding'), pg_is_in_recovery(),
        to_regclass($1) IS NOT NULL, to_regnamespace($2) IS NOT NULL";
const SCHEMAS: &str = "
    SELECT nspname::text FROM pg_namespace
    WHERE left(nspname, length($1)) = $1
        AND to_regclass(quote_ident(nspname) || '.meta') IS NOT NULL
    ORDER BY 1";
const VERSIONS: &str = "SELECT version, oldest_reader FROM {schema}.meta";
const META: &str = "INSERT INTO {schema}.meta (version, oldest_reader) VALUES ($1, $2)";
const LOCK_META: &str = "SELECT version FROM {schema}.meta FOR UPDATE";
const SET_VERSION: &str = "UPDATE {schema}.meta SET version = $1";
/// Bodies are compressed faster, where the server can.
const COMPRESS: &str = "ALTER TABLE {schema}.body ALTER COLUMN raw SET COMPRESSION lz4";

/// What a process has found at the server.
enum Found {
    Nothing { has_schema: bool },
    Version { version: i32, oldest_reader: i32 },
}

/// Creates the schema, unless it is there. Any number of processes may do so at the same time.
///
/// Returns an error if the server or the schema cannot be used.
pub(crate) async fn prepare(connections: &Connections, schema: &str) -> Result<(), StoreError> {
    for _ in 0..TRIES_MAX {
        let found = connections
            .with(LIMIT, |session| find(session, schema))
            .await?;
        match found {
            Found::Version {
                version,
                oldest_reader,
            } => {
                check(version, oldest_reader)?;
                if version < VERSION {
                    connections.with(LIMIT, upgrade).await?;
                }
                return Ok(());
            }
            Found::Nothing { has_schema } => {
                let is_created = connections
                    .with(LIMIT, |session| create(session, has_schema))
                    .await?;
                if is_created {
                    compress(connections).await;
                    return Ok(());
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    let reason = "another process has been creating the schema for too long; look at its session";
    Err(StoreError::new(StoreErrorKind::Unavailable).with_source(reason))
}

/// Returns the schemas that hold a store and whose names begin with a text.
pub(crate) async fn with_prefix(session: Session, prefix: &str) -> Result<Vec<String>, Error> {
    let rows = session.query(SCHEMAS, &[(&prefix, Type::TEXT)]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

fn check(version: i32, oldest_reader: i32) -> Result<(), StoreError> {
    if oldest_reader > VERSION {
        let reason = format!(
            "its schema has version {version}; this program supports versions up to {VERSION}"
        );
        return Err(StoreError::new(StoreErrorKind::NewerVersion).with_source(reason));
    }
    if version < 1 {
        let reason = format!("its schema has version {version}, which no release has written");
        return Err(StoreError::new(StoreErrorKind::Corrupt).with_source(reason));
    }
    Ok(())
}

async fn find(session: Session, schema: &str) -> Result<Found, Error> {
    let name = format!("\"{}\"", schema.replace('"', "\"\""));
    let meta = format!("{name}.meta");
    let begun = session.batch(BEGIN);
    let parameters = [
        (
            &meta as &(dyn tokio_postgres::types::ToSql + Sync),
            Type::TEXT,
        ),
        (&name, Type::TEXT),
    ];
    let server = session.query(SERVER, &parameters);
    let (_, rows) = tokio::try_join!(biased; begun, server)?;
    let row = rows
        .first()
        .ok_or(Error::Damaged("the server has no settings"))?;
    let encoding: String = row.try_get(0)?;
    if !matches!(encoding.as_str(), "UTF8" | "SQL_ASCII") {
        return Err(Error::Refused(
            "the database has neither the encoding UTF8 nor SQL_ASCII; create one with UTF8",
        ));
    }
    let found = match row.try_get(2)? {
        true => {
            let rows = session.query(VERSIONS, &[]).await?;
            let row = rows.first().ok_or(Error::Damaged("`meta` has no row"))?;
            Found::Version {
                version: row.try_get(0)?,
                oldest_reader: row.try_get(1)?,
            }
        }
        false => Found::Nothing {
            has_schema: row.try_get(3)?,
        },
    };
    session.batch("COMMIT").await?;
    Ok(found)
}

/// Creates everything in one transaction. Returns false if another process was faster.
async fn create(session: Session, has_schema: bool) -> Result<bool, Error> {
    session.batch(BEGIN).await?;
    let created = async {
        if !has_schema {
            session.batch("CREATE SCHEMA {schema}").await?;
        }
        session.batch(V1).await?;
        session.batch(V2).await?;
        let versions: [(&(dyn ToSql + Sync), Type); 2] =
            [(&VERSION, Type::INT4), (&OLDEST_READER, Type::INT4)];
        session.query(META, &versions).await?;
        session.batch("COMMIT").await
    };
    match created.await {
        Ok(()) => Ok(true),
        Err(Error::Postgres(err)) if err.code().is_some_and(is_race) => {
            session.batch("ROLLBACK").await?;
            Ok(false)
        }
        Err(err) => Err(err),
    }
}

/// Brings a schema of an earlier version up to this one, in one transaction. Of several processes, one
/// does it and the others wait for it. Programs of the earlier version go on.
async fn upgrade(session: Session) -> Result<(), Error> {
    session.batch(BEGIN).await?;
    let rows = session.query(LOCK_META, &[]).await?;
    let row = rows.first().ok_or(Error::Damaged("`meta` has no row"))?;
    let version: i32 = row.try_get(0)?;
    if version < VERSION {
        session.batch(V2).await?;
        session
            .query(SET_VERSION, &[(&VERSION, Type::INT4)])
            .await?;
    }
    session.batch("COMMIT").await
}

/// Whether another process has created the same thing, or is about to.
fn is_race(code: &SqlState) -> bool {
    [
        SqlState::UNIQUE_VIOLATION,
        SqlState::DUPLICATE_SCHEMA,
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_OBJECT,
        SqlState::DUPLICATE_FUNCTION,
        SqlState::LOCK_NOT_AVAILABLE,
    ]
    .contains(code)
}

async fn compress(connections: &Connections) {
    let compressed = connections
        .with(LIMIT, |session| async move {
            session.batch(BEGIN).await?;
            session.batch(COMPRESS).await?;
            session.batch("COMMIT").await
        })
        .await;
    if let Err(err) = compressed {
        tracing::info!(%err, "the server cannot compress bodies by lz4; it uses its own method");
    }
}
