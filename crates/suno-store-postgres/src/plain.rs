//! Stores plain deliveries in one round trip.
//!
//! The SQL function `accept_v1` decides which ones are plain under the locks of their tasks; it applies
//! the part of the rules that nearly every delivery needs. For everything else it stores nothing, and the
//! whole slice goes the general way.

use std::collections::{BTreeMap, HashMap, HashSet};

use suno_callback::{Acceptance, Content, Delivery};
use tokio_postgres::types::{ToSql, Type};

use crate::columns::{product_column, source_column, task_key, time_column, word_column};
use crate::connect::{Error, Session};
use crate::inner::Inner;
use crate::rows::{Raw, Rows, table};
use crate::transaction::Tried;

const ACCEPT: &str =
    "SELECT now, outcomes FROM {schema}.accept_v1($1, $2, $3, $4, $5, $6, $7, $8, $9,
    $10, $11, $12, $13, $14, $15, $16, $17, $18)";

table!(PlainRows {
    task_key: Vec<u8> = BYTEA_ARRAY,
    stage: String = TEXT_ARRAY,
    strict: Vec<u8> = BYTEA_ARRAY,
    semantic: Vec<u8> = BYTEA_ARRAY,
    code: i64 = INT8_ARRAY,
    results: i32 = INT4_ARRAY,
    source: i16 = INT2_ARRAY,
    verified_by: i16 = INT2_ARRAY,
    unconfirmed: bool = BOOL_ARRAY,
    received_at: i64 = INT8_ARRAY,
    product: Option<String> = TEXT_ARRAY,
    suffix: Option<String> = TEXT_ARRAY,
    task_id: String = TEXT_ARRAY,
    submit: Option<Vec<u8>> = BYTEA_ARRAY,
    raw: Raw = BYTEA_ARRAY,
});

/// The deliveries of a slice, if the process already knows that none of them needs the general way.
#[derive(Debug, Default)]
pub(crate) struct Plain {
    keys: Vec<Vec<u8>>,
    ids: Vec<String>,
    rows: PlainRows,
    /// For each delivery its row. Several deliveries with the same bytes have one.
    places: Vec<(usize, bool)>,
}

impl Plain {
    /// Returns `None` if a delivery was not decoded or has a stage without a rank, or if two are about one
    /// task or name one submit, and do not have the same bytes.
    pub(crate) fn of(deliveries: &[Delivery]) -> Option<Self> {
        let mut plain = Self::default();
        let mut tasks: BTreeMap<[u8; 16], &str> = BTreeMap::new();
        let mut known: HashMap<[u8; 16], usize> = HashMap::new();
        let mut submits = HashSet::new();
        for delivery in deliveries {
            let Content::Event {
                key,
                code,
                semantic,
                results,
                product,
                ..
            } = &delivery.content
            else {
                return None;
            };
            // Of stages without a rank a task has only so many.
            key.stage().rank()?;
            let task = task_key(key.task_id());
            if let Some(place) = known.get(&task) {
                let first = &deliveries[plain.places.iter().position(|it| it.0 == *place)?];
                let is_same =
                    first.strict == delivery.strict && first.unconfirmed == delivery.unconfirmed;
                if !is_same {
                    return None;
                }
                plain.places.push((*place, false));
                continue;
            }
            if delivery
                .submit
                .is_some_and(|submit| !submits.insert(submit))
            {
                return None;
            }
            let place = known.len();
            known.insert(task, place);
            tasks.insert(task, key.task_id().as_str());
            plain.places.push((place, true));
            let rows = &mut plain.rows;
            rows.task_key.push(task.to_vec());
            rows.stage.push(key.stage().as_str().to_owned());
            rows.strict.push(delivery.strict.0.to_vec());
            rows.semantic.push(semantic.0.to_vec());
            rows.code.push(code.0);
            rows.results.push((*results).into());
            rows.source.push(source_column(delivery.source));
            rows.verified_by.push(delivery.verified_by.bits().into());
            rows.unconfirmed.push(delivery.unconfirmed);
            rows.received_at.push(time_column(delivery.received_at));
            rows.product.push(product_column(product));
            let suffix = delivery.suffix.as_ref().map(ToString::to_string);
            rows.suffix.push(suffix.map(|text| word_column(&text)));
            rows.task_id.push(key.task_id().as_str().to_owned());
            let submit = delivery.submit.map(|submit| submit.bytes().to_vec());
            rows.submit.push(submit);
            rows.raw.push(Raw::new(delivery.raw.clone()));
        }
        plain.keys = tasks.keys().map(|key| key.to_vec()).collect();
        plain.ids = tasks.values().map(|id| (*id).to_owned()).collect();
        Some(plain)
    }

    /// Stores the deliveries. Returns `None` if nothing was stored because one of them is not plain.
    pub(crate) async fn accept(
        &self,
        store: &Inner,
        session: Session,
    ) -> Result<Tried<Option<Vec<Acceptance>>>, Error> {
        let sent = store.clock.reading();
        let expected = store.clock.expected();
        let mut parameters: Vec<(&(dyn ToSql + Sync), Type)> = vec![
            (&expected, Type::INT8),
            (&self.keys, Type::BYTEA_ARRAY),
            (&self.ids, Type::TEXT_ARRAY),
        ];
        parameters.extend(self.rows.parameters());
        let rows = session.query(ACCEPT, &parameters).await?;
        let row = rows.first().ok_or(Error::Damaged("`meta` has no row"))?;
        let outcomes: Option<Vec<i16>> = row.try_get(1)?;
        let Some(outcomes) = outcomes else {
            // The general way finds out whether the clock was the reason.
            return Ok(Tried::Done(None));
        };
        // It is stored: the function has compared the time.
        let _ = store.clock.check(row.try_get(0)?, sent);
        let accepted = self.places.iter().map(|(place, is_first)| {
            let outcome = outcomes.get(*place).copied();
            match (is_first, outcome) {
                (true, Some(0)) => Ok(Acceptance::New),
                (true, Some(1)) => Ok(Acceptance::Late),
                (_, Some(_)) => Ok(Acceptance::Duplicate),
                (_, None) => Err(Error::Damaged("an answer of the server is not complete")),
            }
        });
        let accepted: Result<Vec<_>, _> = accepted.collect();
        Ok(Tried::Done(Some(accepted?)))
    }
}
