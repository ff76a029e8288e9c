//! Tests of the store against a server.

#![allow(dead_code, reason = "more tests follow")]

mod database;
mod proxy;
