//! Intents that deliveries name, and the tasks that they make expected.

use std::collections::BTreeMap;

use suno_callback::rules::KnownSubmit;
use suno_callback::{Delivery, SubmitId};
use suno_types::TaskId;
use tokio_postgres::types::Type;

use crate::columns::{self as columns, Columns};
use crate::connect::{Error, Session};
use crate::write::Sending;

const LOCK: &str = "
    SELECT i.submit, i.stored_at, i.due_after, i.reference, i.kind, i.task_id
    FROM {schema}.intent i WHERE i.submit = ANY ($1) ORDER BY i.submit FOR UPDATE";
const CLOSE: &str = "
    UPDATE {schema}.intent i SET task_id = d.task_id
    FROM unnest($1, $2) AS d (submit, task_id) WHERE i.submit = d.submit";
pub(crate) const EXPECT: &str = "
    INSERT INTO {schema}.expected (task_id, due, expected_since, submit, kind)
    SELECT * FROM unnest($1, $2, $3, $4, $5) AS d (task_id, due, expected_since, submit, kind)
    ORDER BY d.task_id
    ON CONFLICT (task_id) DO NOTHING";

/// An intent that is locked.
#[derive(Debug)]
struct LockedIntent {
    stored_at: i64,
    due_after: i64,
    known: KnownSubmit,
    kind: String,
    task_id: Option<TaskId>,
}

/// The intents that a slice of deliveries names.
#[derive(Debug, Default)]
pub(crate) struct Intents {
    locked: BTreeMap<SubmitId, LockedIntent>,
    closed: (Vec<Vec<u8>>, Vec<String>),
    due: (Vec<i64>, Vec<i64>, Vec<String>),
}

impl Intents {
    /// Returns the submits that deliveries with a task name.
    pub(crate) fn named_by(deliveries: &[Delivery]) -> Vec<Vec<u8>> {
        let named = deliveries.iter().filter(|it| it.task_id().is_some());
        let submits = named.filter_map(|delivery| delivery.submit);
        submits.map(|submit| submit.bytes().to_vec()).collect()
    }

    pub(crate) async fn lock(session: &Session, submits: &[Vec<u8>]) -> Result<Self, Error> {
        let mut intents = Self::default();
        if submits.is_empty() {
            return Ok(intents);
        }
        let rows = session
            .query(LOCK, &[(&submits, Type::BYTEA_ARRAY)])
            .await?;
        for row in &rows {
            let mut columns = Columns::of(row);
            let Some(submit) = columns::submit(columns.next()?)? else {
                continue;
            };
            let (stored_at, due_after) = (columns.next()?, columns.next()?);
            let reference = columns::reference(columns.next()?)?;
            let kind: String = columns.next()?;
            let task_id: Option<String> = columns.next()?;
            let mut known = KnownSubmit::default();
            known.reference = reference;
            known.kind = Some(columns::kind(&kind)?);
            let intent = LockedIntent {
                stored_at,
                due_after,
                known,
                kind,
                task_id: task_id.map(columns::task_id).transpose()?,
            };
            intents.locked.insert(submit, intent);
        }
        Ok(intents)
    }

    /// Closes the intent that a delivery names, and expects its task (A12). Returns what is known of
    /// the submit, unless it made another task (A15).
    pub(crate) fn meet(&mut self, delivery: &Delivery) -> KnownSubmit {
        let (Some(submit), Some(task_id)) = (delivery.submit, delivery.task_id()) else {
            return KnownSubmit::default();
        };
        let Some(intent) = self.locked.get_mut(&submit) else {
            return KnownSubmit::default();
        };
        match &intent.task_id {
            None => {
                intent.task_id = Some(task_id.clone());
                self.closed.0.push(submit.bytes().to_vec());
                self.closed.1.push(task_id.as_str().to_owned());
                let due = intent.stored_at.saturating_add(intent.due_after);
                self.due.0.push(due);
                self.due.1.push(intent.stored_at);
                self.due.2.push(intent.kind.clone());
            }
            Some(closed_for) if closed_for != task_id => return KnownSubmit::default(),
            Some(_) => {}
        }
        intent.known.clone()
    }

    /// Sends what has changed.
    pub(crate) fn send<'a>(&'a self, session: &'a Session) -> Vec<Sending<'a>> {
        if self.closed.0.is_empty() {
            return Vec::new();
        }
        let (submits, tasks) = &self.closed;
        let (due, since, kinds) = &self.due;
        let close = async move {
            let parameters = [
                (
                    submits as &(dyn tokio_postgres::types::ToSql + Sync),
                    Type::BYTEA_ARRAY,
                ),
                (tasks, Type::TEXT_ARRAY),
            ];
            session.query(CLOSE, &parameters).await
        };
        let expect = async move {
            let parameters = [
                (
                    tasks as &(dyn tokio_postgres::types::ToSql + Sync),
                    Type::TEXT_ARRAY,
                ),
                (due, Type::INT8_ARRAY),
                (since, Type::INT8_ARRAY),
                (submits, Type::BYTEA_ARRAY),
                (kinds, Type::TEXT_ARRAY),
            ];
            session.query(EXPECT, &parameters).await
        };
        vec![Box::pin(close), Box::pin(expect)]
    }
}
