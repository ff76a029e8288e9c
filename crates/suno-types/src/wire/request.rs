//! The body of a request.

use crate::AddInstrumental;

impl AddInstrumental {
    /// Writes the body of the request.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        super::write(self)
    }
}
