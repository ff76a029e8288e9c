//! The credits of the account: left, spent and refunded.

use std::num::NonZeroU64;

use serde_json::Value;

use crate::hundredths::{HUNDREDTHS, number};
use crate::profile::Refusal;

/// The credits of the account, in hundredths.
#[derive(Debug)]
pub(crate) struct CreditAccount {
    left: u64,
    spent: u64,
    refunded: u64,
}

impl CreditAccount {
    pub(crate) fn new(credits: u64) -> Self {
        Self {
            left: credits.saturating_mul(HUNDREDTHS),
            spent: 0,
            refunded: 0,
        }
    }

    /// Pays a price in hundredths and returns what can be refunded, which is nothing if the price
    /// is 0.
    pub(crate) fn pay(&mut self, price: u64) -> Result<Option<NonZeroU64>, Refusal> {
        self.left = self.left.checked_sub(price).ok_or(Refusal::NoCredits)?;
        self.spent = self.spent.saturating_add(price);
        Ok(NonZeroU64::new(price))
    }

    /// Returns the hundredths of credits that are left.
    pub(crate) fn left_hundredths(&self) -> u64 {
        self.left
    }

    pub(crate) fn refund(&mut self, paid: NonZeroU64) {
        self.left = self.left.saturating_add(paid.get());
        self.refunded = self.refunded.saturating_add(paid.get());
    }

    pub(crate) fn left(&self) -> Value {
        number(self.left)
    }

    pub(crate) fn spent(&self) -> Value {
        number(self.spent)
    }

    pub(crate) fn refunded(&self) -> Value {
        number(self.refunded)
    }
}
