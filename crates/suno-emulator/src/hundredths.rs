//! Amounts of credits in hundredths: integers, since prices and balances can have a fraction
//! (`PROTOCOL.md 4.15`).

use serde_json::Value;

/// The number of hundredths in a credit.
pub(crate) const HUNDREDTHS: u64 = 100;

/// Converts hundredths to a JSON number. A whole number has no fraction.
pub(crate) fn number(hundredths: u64) -> Value {
    if hundredths.is_multiple_of(HUNDREDTHS) {
        Value::from(hundredths / HUNDREDTHS)
    } else {
        Value::from(credits(hundredths))
    }
}

/// Converts hundredths to credits.
pub(crate) fn credits(hundredths: u64) -> f64 {
    hundredths as f64 / HUNDREDTHS as f64
}
