//! Converts what a task has made to the normalised form of the cases.

use serde_json::{Value, json};
use suno_types::{Lyrics, MediaFile, Midi, Output, Stem, Stems, Voice};

/// Null for songs, which are the tracks, and for what is not understood.
pub(crate) fn output(output: Output<'_>) -> Value {
    match output {
        Output::Songs(_) | Output::Other(_) => Value::Null,
        Output::Lyrics(all) => json!({"lyrics": all.iter().map(lyrics).collect::<Vec<_>>()}),
        Output::Wav(file) => json!({"wav": file.url}),
        Output::Mp4(file) => json!({"mp4": file.url}),
        Output::Stems(all) => json!({"stems": stems(all)}),
        Output::Midi(notes) => json!({"midi": midi(notes)}),
        Output::Covers(covers) => json!({"covers": urls(covers)}),
        Output::Voice(step) => json!({"voice": voice(step)}),
        _ => json!("an output that this runner does not know"),
    }
}

fn lyrics(lyrics: &Lyrics) -> Value {
    json!({
        "text": lyrics.text,
        "title": lyrics.title,
        "status": lyrics.status,
        "error_message": lyrics.error_message,
    })
}

fn urls(files: &[MediaFile]) -> Vec<&str> {
    files.iter().map(|file| file.url.as_str()).collect()
}

fn stems(stems: &Stems) -> Value {
    let origin_url = stems.origin_url.as_deref().filter(|url| !url.is_empty());
    json!({
        "origin_url": origin_url,
        "parts": stems.parts.iter().map(stem).collect::<Vec<_>>(),
    })
}

fn stem(stem: &Stem) -> Value {
    json!({
        "name": stem.name,
        "url": stem.url,
        "removed": stem.is_removed,
        "duration": stem.duration,
        "id": stem.id,
    })
}

fn midi(midi: &Midi) -> Value {
    let instruments = midi.instruments.iter().map(|instrument| {
        let notes = instrument.notes.iter().map(|note| {
            json!({
                "pitch": note.pitch,
                "start": note.start,
                "end": note.end,
                "velocity": note.velocity,
            })
        });
        json!({"name": instrument.name, "notes": notes.collect::<Vec<_>>()})
    });
    json!({"state": midi.state, "instruments": instruments.collect::<Vec<_>>()})
}

fn voice(voice: &Voice) -> Value {
    json!({"phrase": voice.phrase, "voice_id": voice.voice_id, "status": voice.status})
}
