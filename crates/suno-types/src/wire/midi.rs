//! The notes of a song. They are many, so that they are read in one pass.

use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::member::{Member, Num, Shape};
use super::members::{Members, at, is_object, items, object_text, open, open_text, results};
use super::object::head;
use crate::error::DecodeErrorKind;
use crate::{DecodeError, Instrument, Midi, Note};

head! {
    /// A note.
    NoteHead<'de> {
        pitch: Num<'de> = "pitch",
        start: Num<'de> = "start",
        end: Num<'de> = "end",
        velocity: Num<'de> = "velocity",
    }
}

impl<'de> Shape<'de> for Note {
    fn from_map<A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
        let number = |member: Member<Num<'_>>| member.float("").ok().flatten();
        let note = NoteHead::from_map(map)?.map(|head| Self {
            pitch: number(head.pitch),
            start: number(head.start),
            end: number(head.end),
            velocity: number(head.velocity),
        });
        Ok(note)
    }
}

/// Reads the notes in an object, or in its member `midiData`.
pub(super) fn read(members: &Members<'_>, path: &str) -> Result<Option<Midi>, DecodeError> {
    for name in ["midiData", "midi_data"] {
        let path = at(path, name);
        let json = members.get(name).and_then(object_text);
        if let Some(inner) = open_text(json.as_deref(), &path)?
            && let Some(midi) = instruments(&inner, &path)?
        {
            return Ok(Some(midi));
        }
    }
    instruments(members, path)
}

fn instruments(members: &Members<'_>, path: &str) -> Result<Option<Midi>, DecodeError> {
    let path = at(path, "instruments");
    let Some(raw) = members.get("instruments") else {
        return Ok(None);
    };
    let Some(list) = results(raw, &path)? else {
        return Ok(None);
    };
    let mut left = Midi::NOTES_MAX;
    let mut instruments = Vec::with_capacity(list.len());
    for item in list {
        instruments.push(instrument(item, &mut left, &path)?);
    }
    let state = members.text(&["state"]).map(Into::into);
    Ok(Some(Midi { state, instruments }))
}

fn instrument(item: &RawValue, left: &mut usize, path: &str) -> Result<Instrument, DecodeError> {
    if !is_object(item) {
        return Ok(Instrument::default());
    }
    let members = open(item.get()).map_err(|err| err.inside(path))?;
    let notes = members.get("notes").map(|raw| {
        let path = format!("{path}.notes");
        items::<Member<Note>, { Midi::NOTES_MAX }>(raw, &path)
    });
    let notes = notes.transpose()?.flatten().unwrap_or_default();
    *left = left
        .checked_sub(notes.len())
        .ok_or_else(|| DecodeError::new(DecodeErrorKind::OutOfRange, path))?;
    let note = |member| match member {
        Member::Is(note) => note,
        _ => Note::default(),
    };
    Ok(Instrument {
        name: members.text(&["name"]).map(Into::into),
        notes: notes.into_iter().map(note).collect(),
    })
}
