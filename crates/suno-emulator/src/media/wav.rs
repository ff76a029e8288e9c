//! A short piece of music as a WAV file: a seeded walk over a pentatonic scale above a bass note.

use std::f64::consts::TAU;

use bytes::{BufMut, Bytes, BytesMut};
use fastrand::Rng;

/// Samples per second.
const SAMPLE_RATE: u32 = 16_000;
/// Bytes per sample: 16 bit, one channel.
const SAMPLE_BYTES: u32 = 2;
/// The size of everything before the samples.
const HEADER_BYTES: u32 = 44;
/// Notes per second.
const NOTES_PER_SECOND: u32 = 4;
/// Half tones above the base note.
const SCALE: [i32; 6] = [0, 2, 4, 7, 9, 12];

/// Returns a WAV file of the given length, which is the same for the same seed.
pub(crate) fn file(seed: u64, duration_cs: u32) -> Bytes {
    let samples = duration_cs * (SAMPLE_RATE / 100);
    let data_bytes = samples * SAMPLE_BYTES;
    let mut file = BytesMut::with_capacity((HEADER_BYTES + data_bytes) as usize);
    put_header(&mut file, data_bytes);
    put_samples(&mut file, samples, &mut Rng::with_seed(seed));
    file.freeze()
}

fn put_header(file: &mut BytesMut, data_bytes: u32) {
    file.put_slice(b"RIFF");
    file.put_u32_le(HEADER_BYTES - 8 + data_bytes);
    file.put_slice(b"WAVEfmt ");
    file.put_u32_le(16);
    // 1 is linear PCM, then one channel.
    file.put_u16_le(1);
    file.put_u16_le(1);
    file.put_u32_le(SAMPLE_RATE);
    file.put_u32_le(SAMPLE_RATE * SAMPLE_BYTES);
    file.put_u16_le(SAMPLE_BYTES as u16);
    file.put_u16_le(SAMPLE_BYTES as u16 * 8);
    file.put_slice(b"data");
    file.put_u32_le(data_bytes);
}

fn put_samples(file: &mut BytesMut, samples: u32, rng: &mut Rng) {
    let base_hz = 196.0 * f64::powf(2.0, f64::from(rng.i32(0..8)) / 12.0);
    let note_samples = SAMPLE_RATE / NOTES_PER_SECOND;
    let mut note_hz = base_hz;
    let mut loudness = 0.0;
    for index in 0..samples {
        let in_note = index % note_samples;
        if in_note == 0 {
            let half_tones = SCALE[rng.usize(..SCALE.len())];
            note_hz = base_hz * f64::powf(2.0, f64::from(half_tones) / 12.0);
            loudness = 0.15 + 0.45 * rng.f64();
        }
        let seconds = f64::from(index) / f64::from(SAMPLE_RATE);
        let bass = (TAU * base_hz / 2.0 * seconds).sin() * 0.2;
        let fade = f64::from((samples - index).min(800)) / 800.0;
        let melody = (TAU * note_hz * seconds).sin() * loudness * pluck(in_note, note_samples);
        file.put_i16_le(((bass + melody) * fade * f64::from(i16::MAX)) as i16);
    }
}

/// How loud a plucked note is: a short attack, then fading, so that no note begins with a click.
fn pluck(in_note: u32, note_samples: u32) -> f64 {
    let attack = f64::from(in_note.min(80)) / 80.0;
    attack * (1.0 - f64::from(in_note) / f64::from(note_samples))
}
