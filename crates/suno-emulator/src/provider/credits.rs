//! The credits of the account: left, spent and refunded.

use std::num::NonZeroU64;

use serde_json::Value;

/// The price of one task (`PROTOCOL.md 1.42`).
pub(crate) const TASK_CREDITS: u64 = 12;

/// The credits of the account, in hundredths.
#[derive(Debug)]
pub(crate) struct CreditAccount {
    left: u64,
    spent: u64,
    refunded: u64,
}

/// The number of hundredths in a credit.
const HUNDREDTHS: u64 = 100;

impl CreditAccount {
    pub(crate) fn new(credits: u64) -> Self {
        Self {
            left: credits.saturating_mul(HUNDREDTHS),
            spent: 0,
            refunded: 0,
        }
    }

    /// Pays for a task. Returns `None` if the credits do not suffice.
    pub(crate) fn pay(&mut self) -> Option<NonZeroU64> {
        let price = NonZeroU64::new(TASK_CREDITS * HUNDREDTHS)?;
        self.left = self.left.checked_sub(price.get())?;
        self.spent = self.spent.saturating_add(price.get());
        Some(price)
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

/// Converts hundredths to a JSON number. A whole number has no fraction.
pub(crate) fn number(hundredths: u64) -> Value {
    if hundredths.is_multiple_of(HUNDREDTHS) {
        Value::from(hundredths / HUNDREDTHS)
    } else {
        Value::from(hundredths as f64 / HUNDREDTHS as f64)
    }
}
