//! The parts that run in a process: the product, between the store, the provider and the handlers of a world.

use std::sync::Arc;
use std::time::Duration;

use suno_callback::*;

use crate::handler::Handler;
use crate::provider::{KEY, Provider};
use crate::store::Double;
use crate::world::node::{Life, Services};

/// Starts the services of a process, as its node and the plan say.
pub(crate) fn services(life: &Arc<Life>) -> Services {
    let (plan, knobs) = (&life.world.plan.nodes[life.node], &life.world.plan.knobs);
    let clock = life.world.nodes[life.node].clock.clone();
    let store = Arc::new(Double::new(life.clone()));
    let mut inbox = Inbox::start(store.clone());
    let mut received = inbox.clone();
    if knobs.confirm {
        inbox = inbox.with_confirmation();
    }
    if life.world.forged_counts {
        received = Inbox::start(store.clone());
    }
    let handler = Arc::new(Handler(life.clone()));
    let reconciler = Reconciler::new(inbox.clone(), Provider(life.clone()))
        .with_handler(handler.clone())
        .with_interval(Duration::from_millis(knobs.reconcile_every_ms))
        .with_clock(clock.clone());
    let dispatcher = match knobs.confirm {
        true => Dispatcher::new(inbox, reconciler.confirm(handler)),
        false => Dispatcher::new(inbox, handler),
    };
    let dispatcher = dispatcher
        .with_lease(Duration::from_millis(knobs.lease_ms))
        .with_handlers_max(usize::try_from(knobs.handlers_max).unwrap_or(1))
        .with_handler_timeout(Duration::from_millis(knobs.handler_timeout_ms))
        .with_retry_for(Duration::from_millis(knobs.retry_for_ms));
    let keys_for = Duration::from_millis(knobs.keys_for_ms);
    let retention = Retention::new(store)
        .with_keys_for(keys_for)
        .with_bodies_for(keys_for / 2)
        .with_dead_letters_for(keys_for * 2)
        .with_interval(Duration::from_millis(knobs.purge_every_ms));
    let dispatching = plan.dispatches.then(|| dispatcher.start());
    let reconciling = plan.reconciles.then(|| reconciler.start());
    let purging = plan.purges.then(|| retention.start());
    let running = [dispatching, reconciling, purging];
    let receiver = Receiver::new(received, Verification::webhook_key(KEY));
    (
        receiver.with_clock(clock),
        running.into_iter().flatten().collect(),
    )
}
