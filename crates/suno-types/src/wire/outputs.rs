//! Results in an object: tracks, lyrics, files, stems, notes, images, voices.

use serde_json::value::RawValue;

use super::members::{
    Members, at, filled, is_null, is_object, list_text, number, object_text, open, open_text,
    results,
};
use super::midi;
use super::object::UnknownLeft;
use super::track::{Spelled, lenient_tracks, plain_tracks};
use crate::output::Found;
use crate::{DecodeError, Extra, Lyrics, MediaFile, Product, Stem, Stems, Track, Voice};

const LISTS: [&str; 5] = ["data", "sunoData", "suno_data", "lyricsData", "tracks"];
/// Members by which an object is recognised as a track or as lyrics.
const SINGLE: [&str; 4] = ["id", "audio_url", "audioUrl", "text"];
const URL_LISTS: [&str; 2] = ["resultUrls", "result_urls"];
const WAV: [&str; 2] = ["audioWavUrl", "audio_wav_url"];
const MP4: [&str; 2] = ["videoUrl", "video_url"];
const STEM_OBJECTS: [&str; 4] = [
    "vocal_removal_info",
    "vocal_separation_info",
    "vocalRemovalInfo",
    "vocalSeparationInfo",
];
/// Members by which an object is recognised as one of stems. Other products have none of them.
const STEM_MEMBERS: [&str; 6] = [
    "vocal_url",
    "vocalUrl",
    "instrumental_url",
    "instrumentalUrl",
    "origin_data",
    "originData",
];
const ORIGIN: [&str; 2] = ["origin_url", "originUrl"];
const ORIGIN_DATA: [&str; 2] = ["origin_data", "originData"];
const PHRASE: [&str; 2] = ["validateInfo", "validate_info"];
const VOICE_ID: [&str; 2] = ["voiceId", "voice_id"];

/// The members that name a product even if they are null, as in a failure.
const NAMES: [(&[&str], Product); 8] = [
    (&WAV, Product::WAV),
    (&MP4, Product::MP4),
    (&STEM_OBJECTS, Product::STEMS),
    (&["midiData", "midi_data", "instruments"], Product::MIDI),
    (&["images"], Product::COVER),
    (&PHRASE, Product::VOICE),
    (&VOICE_ID, Product::VOICE),
    (&["lyricsData"], Product::LYRICS),
];

/// The product that the names of an object's members show.
pub(super) fn named(members: &Members<'_>) -> Option<Product> {
    let mut names = NAMES.iter();
    let found = names.find(|(names, _)| members.has_any(*names));
    found.map(|(_, product)| product.clone())
}

/// Returns whether the members are those of stems.
pub(super) fn has_stems(members: &Members<'_>) -> bool {
    members.has_any(&STEM_MEMBERS)
}

/// A result that was read.
pub(super) enum Finding {
    Tracks(Vec<Track>, Spelled),
    Other(Found),
}

/// Reads results with what is known of their body.
pub(super) struct Reader<'r> {
    /// The product that the body names.
    pub(super) hint: Option<Product>,
    pub(super) left: &'r mut UnknownLeft,
}

type Read<T> = Result<T, DecodeError>;

impl Reader<'_> {
    /// Reads the first result in an object. `path` is that of the object. The members of stems are
    /// only expected in an object of their own, which `data` is not (`is_data`): any other member of
    /// `data` could be a URL.
    pub(super) fn result(
        &mut self,
        members: &Members<'_>,
        path: &str,
        is_data: bool,
    ) -> Read<Option<Finding>> {
        for name in LISTS {
            let path = at(path, name);
            if let Some(raw) = members.get(name)
                && let Some(result) = self.listed(raw, &path)?
            {
                return Ok(Some(result));
            }
        }
        for name in URL_LISTS {
            let path = at(path, name);
            if let Some(raw) = members.get(name)
                && let Some(result) = self.urls(raw, &path)?
            {
                return Ok(Some(result));
            }
        }
        let file = |names| members.filled(names).map(MediaFile::new);
        let found = if let Some(file) = file(&WAV) {
            Some(Found::Wav(file))
        } else if let Some(file) = file(&MP4) {
            Some(Found::Mp4(file))
        } else if let Some(stems) = self.stems_inside(members, path, is_data)? {
            Some(Found::Stems(stems))
        } else if let Some(covers) = covers(members, path)? {
            Some(Found::Covers(covers))
        } else if let Some(midi) = midi::read(members, path)? {
            Some(Found::Midi(midi))
        } else {
            voice(members).map(Found::Voice)
        };
        Ok(found.map(Finding::Other))
    }

    /// Reads tracks or lyrics in an array, in the text of one, or one of them without an array.
    pub(super) fn listed(&mut self, raw: &RawValue, path: &str) -> Read<Option<Finding>> {
        if raw.get().starts_with('[') {
            return self.list(raw, path);
        }
        if let Some(json) = list_text(raw) {
            return match serde_json::from_str(&json) {
                Ok(list) => self.list(list, path),
                Err(_) => Ok(None),
            };
        }
        let json = object_text(raw);
        let Some(single) = open_text(json.as_deref(), path)? else {
            return Ok(None);
        };
        if !single.has_any(&SINGLE) {
            return Ok(None);
        }
        let list = format!("[{}]", json.unwrap_or_default());
        match serde_json::from_str(&list) {
            Ok(list) => self.list(list, path),
            Err(_) => Ok(None),
        }
    }

    /// Reads an array of tracks or of lyrics. An empty one is not a result.
    pub(super) fn list(&mut self, raw: &RawValue, path: &str) -> Read<Option<Finding>> {
        if let Some((tracks, spelled)) = plain_tracks(raw, self.left) {
            return Ok(Some(Finding::Tracks(tracks, spelled)));
        }
        let items = results(raw, path)?.unwrap_or_default();
        if items.is_empty() {
            return Ok(None);
        }
        if self.is_lyrics(&items, path)? {
            let lyrics = self.lyrics(&items, path)?;
            return Ok(Some(Finding::Other(Found::Lyrics(lyrics))));
        }
        let (tracks, spelled) = lenient_tracks(&items, path, self.left)?;
        Ok(Some(Finding::Tracks(tracks, spelled)))
    }

    /// Lyrics have a text, and nothing that only a track has. A null is as good as absent: encoding a
    /// track leaves it out.
    fn is_lyrics(&self, items: &[&RawValue], path: &str) -> Read<bool> {
        let mut has_text = false;
        for (place, item) in items.iter().enumerate().filter(|(_, item)| is_object(item)) {
            let members = open(item.get());
            let members = members.map_err(|err| err.inside(&format!("{path}[{place}]")))?;
            let of_tracks = members.first(&["id", "audio_url", "audioUrl"], |raw| {
                (!is_null(raw)).then_some(())
            });
            if of_tracks.is_some() {
                return Ok(false);
            }
            has_text |= members.has("text");
        }
        Ok(has_text || self.hint == Some(Product::LYRICS))
    }

    fn lyrics(&mut self, items: &[&RawValue], path: &str) -> Read<Vec<Lyrics>> {
        let mut all = Vec::with_capacity(items.len());
        for (place, item) in items.iter().enumerate() {
            let mut lyrics = Lyrics::default();
            if is_object(item) {
                let inside = |err: DecodeError| err.inside(&format!("{path}[{place}]"));
                let mut members = open(item.get()).map_err(inside)?;
                lyrics.text = members.take_string("text");
                lyrics.title = members.take_string("title");
                lyrics.status = members.take_string("status");
                let message = members.take_string("error_message");
                lyrics.error_message = message.or_else(|| members.take_string("errorMessage"));
                lyrics.extra = self.rest(members).map_err(inside)?;
            }
            all.push(lyrics);
        }
        Ok(all)
    }

    /// Keeps what is left of an object.
    fn rest(&mut self, members: Members<'_>) -> Read<Extra> {
        self.left.take(members.len())?;
        Ok(members.into())
    }

    /// Reads an array of URLs: what they are of, only the body's product tells.
    fn urls(&mut self, raw: &RawValue, path: &str) -> Read<Option<Finding>> {
        let items = results(raw, path)?.unwrap_or_default();
        let urls: Vec<Option<String>> = items.into_iter().map(filled).collect();
        let Some(first) = urls.iter().flatten().next() else {
            return Ok(None);
        };
        let file = MediaFile::new(first.clone());
        let hint = self.hint.as_ref();
        let known = |product| hint == Some(&product);
        let found = if known(Product::WAV) {
            Found::Wav(file)
        } else if known(Product::MP4) {
            Found::Mp4(file)
        } else if known(Product::COVER) {
            Found::Covers(urls.into_iter().flatten().map(MediaFile::new).collect())
        } else if known(Product::STEMS) {
            let part = |url| Stem {
                url,
                ..Stem::default()
            };
            Found::Stems(Stems {
                parts: urls.into_iter().flatten().map(part).collect(),
                ..Stems::default()
            })
        } else {
            let track = |(position, url): (usize, Option<String>)| Track {
                audio_url: url,
                ..Track::new(position)
            };
            let tracks = urls.into_iter().enumerate().map(track).collect();
            return Ok(Some(Finding::Tracks(tracks, Spelled::none())));
        };
        Ok(Some(Finding::Other(found)))
    }

    fn stems_inside(
        &mut self,
        members: &Members<'_>,
        path: &str,
        is_data: bool,
    ) -> Read<Option<Stems>> {
        for name in STEM_OBJECTS {
            let path = at(path, name);
            let json = members.get(name).and_then(object_text);
            let Some(info) = open_text(json.as_deref(), &path)? else {
                continue;
            };
            if let Some(stems) = self.stems(info, &path)? {
                return Ok(Some(stems));
            }
        }
        if is_data || !has_stems(members) {
            return Ok(None);
        }
        self.stems(members.clone(), path)
    }

    /// Reads the stems in an object of URLs, in either spelling.
    fn stems(&mut self, mut info: Members<'_>, path: &str) -> Read<Option<Stems>> {
        let mut stems = Stems::default();
        for name in ORIGIN {
            stems.origin_url = stems.origin_url.or_else(|| info.take_string(name));
        }
        for name in ORIGIN_DATA {
            let path = at(path, name);
            let list = info.get(name).map(|raw| results(raw, &path));
            let Some(list) = list.transpose()?.flatten() else {
                continue;
            };
            info.remove(name);
            for (place, item) in list.into_iter().enumerate() {
                self.pair(item, &format!("{path}[{place}]"), &mut stems.parts)?;
            }
        }
        let names: Vec<String> = info.iter().map(|(name, _)| name.to_owned()).collect();
        let mut parts = Vec::new();
        for name in names {
            let Some(stem) = stem_name(&name) else {
                continue;
            };
            if let Some(url) = info.take_string(&name).filter(|url| !url.is_empty()) {
                parts.push(Stem {
                    name: stem,
                    url,
                    ..Stem::default()
                });
            }
        }
        for stem in stems.parts {
            add_stem(&mut parts, stem);
        }
        stems.parts = parts;
        stems.extra = self.rest(info).map_err(|err| err.inside(path))?;
        Ok(Some(stems).filter(|stems| !stems.parts.is_empty()))
    }

    /// Reads an element of `origin_data`: a stem, or an object with the stem alone (`extract`) and
    /// with the rest of the song (`remove`).
    fn pair(&mut self, item: &RawValue, path: &str, parts: &mut Vec<Stem>) -> Read<()> {
        if !is_object(item) {
            return Ok(());
        }
        let members = open(item.get()).map_err(|err| err.inside(path))?;
        for (name, is_removed) in [("extract", false), ("remove", true)] {
            if let Some(raw) = members.get(name).filter(|raw| is_object(raw)) {
                let path = at(path, name);
                let stem = open(raw.get()).map_err(|err| err.inside(&path))?;
                parts.extend(self.stem(stem, is_removed)?);
            }
        }
        parts.extend(self.stem(members, false)?);
        Ok(())
    }

    fn stem(&mut self, mut members: Members<'_>, is_removed: bool) -> Read<Option<Stem>> {
        let url = members.take("audio_url", filled);
        let Some(url) = url.or_else(|| members.take("audioUrl", filled)) else {
            return Ok(None);
        };
        let name = members.take_string("stem_type_group_name");
        let name = name.or_else(|| members.take_string("stemTypeGroupName"));
        Ok(Some(Stem {
            name: name.unwrap_or_default(),
            url,
            is_removed,
            duration: members.take("duration", number),
            id: members.take_string("id"),
            extra: self.rest(members)?,
        }))
    }
}

/// Adds a stem. The provider can name the same audio twice, by a member and in a list that says more
/// about it: that is one result, and a record with the list says no more than a callback without it.
fn add_stem(parts: &mut Vec<Stem>, stem: Stem) {
    match parts.iter_mut().find(|part| part.url == stem.url) {
        Some(part) => {
            part.duration = part.duration.or(stem.duration);
            part.id = part.id.take().or(stem.id);
            if part.extra.is_empty() {
                part.extra = stem.extra;
            }
        }
        None => parts.push(stem),
    }
}

/// The name of a stem from that of its member: `backing_vocals` for `backing_vocals_url` and for
/// `backingVocalsUrl`.
fn stem_name(member: &str) -> Option<String> {
    if member.to_ascii_lowercase().replace('_', "") == "callbackurl" {
        return None;
    }
    let name = member.strip_suffix("_url").or(member.strip_suffix("Url"))?;
    let mut snake = String::with_capacity(name.len());
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    Some(snake)
}

fn covers(members: &Members<'_>, path: &str) -> Read<Option<Vec<MediaFile>>> {
    let Some(raw) = members.get("images") else {
        return Ok(None);
    };
    let images = results(raw, &at(path, "images"))?;
    let urls = images.into_iter().flatten().filter_map(filled);
    let covers: Vec<_> = urls.map(MediaFile::new).collect();
    Ok(Some(covers).filter(|covers| !covers.is_empty()))
}

fn voice(members: &Members<'_>) -> Option<Voice> {
    let voice = Voice {
        phrase: members.filled(&PHRASE),
        voice_id: members.filled(&VOICE_ID),
        status: members.text(&["status"]).map(Into::into),
    };
    (voice.phrase.is_some() || voice.voice_id.is_some()).then_some(voice)
}
