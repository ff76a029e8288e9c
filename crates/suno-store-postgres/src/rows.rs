//! Rows as parameters: one array for each column, so that a statement has one text for any number of
//! rows.

use std::error::Error as StdError;

use bytes::{Bytes, BytesMut};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

/// A body as a parameter, without a copy of it.
#[derive(Debug)]
pub(crate) struct Raw(Bytes);

impl Raw {
    pub(crate) fn new(raw: Bytes) -> Self {
        Self(raw)
    }

    pub(crate) fn of(raw: &Option<Bytes>) -> Self {
        Self(raw.clone().unwrap_or_default())
    }
}

impl ToSql for Raw {
    fn to_sql(
        &self,
        of: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        (&*self.0).to_sql(of, out)
    }

    fn accepts(of: &Type) -> bool {
        <&[u8] as ToSql>::accepts(of)
    }

    to_sql_checked!();
}

/// Rows that become the parameters of a statement.
pub(crate) trait Rows {
    fn is_empty(&self) -> bool;

    fn parameters(&self) -> Vec<(&(dyn ToSql + Sync), Type)>;
}

/// The rows to insert, as one array for each column.
macro_rules! table {
    ($name:ident { $($column:ident: $of:ty = $type:ident,)* }) => {
        #[derive(Debug, Default)]
        pub(crate) struct $name {
            $(pub(crate) $column: Vec<$of>,)*
        }

        impl $crate::rows::Rows for $name {
            fn is_empty(&self) -> bool {
                [$(self.$column.is_empty()),*].iter().all(|is_empty| *is_empty)
            }

            fn parameters(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
                vec![$((&self.$column as &(dyn ToSql + Sync), Type::$type)),*]
            }
        }
    };
}

pub(crate) use table;
