//! What the tests share: events and messages.

use jiff::Timestamp;
use suno_callback::{Content, Delivery, EventKey};
use suno_gateway::body::{BodyForm, EventParts, Message};

pub(crate) const TASK: &str = "0f8c1b6de2a94c7f8e5d3b2a1c0f9e8d";

/// The body of a callback about one song.
pub(crate) fn callback(task: &str, word: &str, title: &str) -> String {
    let title = serde_json::to_string(title).unwrap();
    format!(
        r#"{{"code":200,"msg":"ok","data":{{"callbackType":"{word}","task_id":"{task}",
            "data":[{{"id":"a","title":{title},"audio_url":"https://media.example.com/a.mp3",
            "duration":12.5,"createTime":1780000000000}}]}}}}"#
    )
}

/// The message of a body that arrived as a callback; `None` if it is no event.
pub(crate) fn message_of(body: &[u8], form: BodyForm) -> Option<Message> {
    let received_at = Timestamp::from_second(1_780_000_000).unwrap();
    let delivery = Delivery::decode(body.to_vec().into(), received_at);
    let Content::Event { key, .. } = &delivery.content else {
        return None;
    };
    let key: EventKey = key.clone();
    let callback = suno_types::Callback::decode(body).unwrap();
    let parts = EventParts::new(&key, &callback, received_at);
    Some(Message::new(parts, form))
}

/// The message of a song that is complete.
#[cfg(any(feature = "exec", feature = "forward"))]
pub(crate) fn message(task: &str) -> Message {
    let body = callback(task, "complete", "Harbour");
    message_of(body.as_bytes(), BodyForm::Full).unwrap()
}
