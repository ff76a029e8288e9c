//! A durable idempotency store in PostgreSQL, shared by many receivers.

mod connect;
