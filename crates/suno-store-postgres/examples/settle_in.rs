//! A handler whose row and the end of the event are one commit: the row is there once, however often the
//! process is stopped between two lines of it.
//!
//! ```sh
//! SUNO_POSTGRES_URL=postgres://localhost/test SUNO_WEBHOOK_KEY=… \
//!     cargo run -p suno-store-postgres --example settle_in
//! ```

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use std::error::Error;
use std::sync::Arc;

use suno_callback::{Event, HandlerError, Pipeline, SettleResult, Verification, handler_fn};
use suno_store_postgres::tokio_postgres::{self, Client, NoTls};
use suno_store_postgres::{PostgresConfig, PostgresStore, settle_in};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

/// Connects the application, to the database in which the store is.
async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(async move {
        if let Err(err) = connection.await {
            eprintln!("the connection of the application ended: {err}");
        }
    });
    Ok(client)
}

/// Writes the effect of an event, and settles the event in the same transaction.
async fn handle(client: &Mutex<Client>, event: Event) -> Result<(), HandlerError> {
    let mut client = client.lock().await;
    let mut transaction = client.transaction().await?;
    let (task, stage) = (event.task_id().as_str(), event.stage().as_str());
    let sql = "INSERT INTO songs (task_id, stage) VALUES ($1, $2)";
    transaction.execute(sql, &[&task, &stage]).await?;
    if settle_in(&mut transaction, &event.ticket()).await? == SettleResult::Settled {
        transaction.commit().await?;
        event.set_settled();
        println!("{}: written once", event.key());
    }
    // Otherwise the row is there already, or another process has the event; dropping the transaction
    // rolls it back.
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("SUNO_POSTGRES_URL")?;
    let key = std::env::var("SUNO_WEBHOOK_KEY")?;
    let client = connect(&url).await?;
    let table = "CREATE TABLE IF NOT EXISTS songs (task_id text, stage text)";
    client.batch_execute(table).await?;
    let client = Arc::new(Mutex::new(client));
    let store = PostgresStore::connect(PostgresConfig::parse(&url)?).await?;
    let handler = handler_fn(move |event: Event| {
        let client = Arc::clone(&client);
        async move { handle(&client, event).await }
    });
    let verification = Verification::webhook_key(key);
    let pipeline = Pipeline::builder(Arc::new(store), handler, verification).start()?;
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    println!("callbacks go to http://{}/", listener.local_addr()?);
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    pipeline.serve(listener, stop).await;
    pipeline.stop().await;
    Ok(())
}
