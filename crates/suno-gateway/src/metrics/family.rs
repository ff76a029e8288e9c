//! Counters and histograms, each with its name and its text form. Their label values are bounded.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A label value.
pub(super) type Label = Cow<'static, str>;

/// The maximum number of different label values, or pairs of them, in a family. More are counted
/// together, with this label value.
pub(super) const SERIES_MAX: usize = 512;
/// The label value of all that exceed [`SERIES_MAX`].
const OTHER: &str = "other";

/// Writes the two lines that precede the samples of a family.
pub(super) fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string cannot fail.
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

/// Writes one sample.
pub(super) fn sample(out: &mut String, name: &str, labels: &[(&str, &str)], value: f64) {
    out.push_str(name);
    for (number, (label, text)) in labels.iter().enumerate() {
        out.push(if number == 0 { '{' } else { ',' });
        let _ = write!(out, "{label}=\"");
        text.chars().for_each(|c| match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            _ => out.push(c),
        });
        out.push('"');
    }
    let end = if labels.is_empty() { "" } else { "}" };
    let _ = writeln!(out, "{end} {value}");
}

/// The values of a family with labels, by their label values. `N` is the number of labels.
#[derive(Debug)]
pub(super) struct Labelled<const N: usize, T> {
    names: [&'static str; N],
    values: Mutex<BTreeMap<[Label; N], T>>,
}

impl<const N: usize, T: Default> Labelled<N, T> {
    pub(super) fn new(names: [&'static str; N]) -> Self {
        Self {
            names,
            values: Mutex::default(),
        }
    }

    /// Changes the value for these labels, which is created if it is not there yet.
    pub(super) fn with(&self, labels: [Label; N], change: impl FnOnce(&mut T)) {
        let mut values = self.lock();
        if values.len() >= SERIES_MAX && !values.contains_key(&labels) {
            let other = [const { Cow::Borrowed(OTHER) }; N];
            return change(values.entry(other).or_default());
        }
        change(values.entry(labels).or_default());
    }

    /// Creates the value for these labels, so that it is shown before anything has happened.
    pub(super) fn touch(&self, labels: [Label; N]) {
        self.with(labels, |_| {});
    }

    /// Calls `write` for each value with its labels, in their order.
    pub(super) fn each(&self, mut write: impl FnMut(&[(&str, &str); N], &T)) {
        for (labels, value) in &*self.lock() {
            let mut pairs = [("", ""); N];
            for ((pair, name), label) in pairs.iter_mut().zip(self.names).zip(labels) {
                *pair = (name, label);
            }
            write(&pairs, value);
        }
    }

    /// A value is whole after each change, so a panic elsewhere does not matter.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<[Label; N], T>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A distribution over buckets, whose upper bounds are `bounds`.
#[derive(Debug)]
pub(super) struct Histogram {
    bounds: &'static [f64],
    /// The observations that are in each bucket and in no smaller one; the last ones are larger than
    /// every bound.
    buckets: Vec<AtomicU64>,
    /// The sum as the bits of a number.
    sum: AtomicU64,
}

impl Histogram {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            buckets: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0.0_f64.to_bits()),
        }
    }

    pub(super) fn observe(&self, value: f64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        if let Some(bucket) = self.buckets.get(place) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // The closure always returns a value, so this cannot fail.
        let _ = self
            .sum
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    pub(super) fn observe_time(&self, time: Duration) {
        self.observe(time.as_secs_f64());
    }

    /// Returns the observations in each bucket and in no smaller one.
    pub(super) fn counts(&self) -> Vec<u64> {
        let buckets = self.buckets.iter();
        buckets
            .map(|bucket| bucket.load(Ordering::Relaxed))
            .collect()
    }

    /// Writes the samples: cumulative buckets, the sum, and the count, which is that of the last
    /// bucket whatever is observed meanwhile.
    pub(super) fn write(&self, out: &mut String, name: &str, labels: &[(&str, &str)]) {
        let sum = f64::from_bits(self.sum.load(Ordering::Relaxed));
        let mut count = 0_u64;
        for (place, bucket) in self.buckets.iter().enumerate() {
            count += bucket.load(Ordering::Relaxed);
            let bound = self
                .bounds
                .get(place)
                .map_or_else(|| "+Inf".to_owned(), f64::to_string);
            let labels: Vec<_> = labels.iter().copied().chain([("le", &*bound)]).collect();
            sample(out, &format!("{name}_bucket"), &labels, float(count));
        }
        sample(out, &format!("{name}_sum"), labels, sum);
        sample(out, &format!("{name}_count"), labels, float(count));
    }
}

/// A count as a sample's value.
pub(super) fn float(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "samples are doubles")]
    {
        count as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_is_in_its_bucket() {
        let histogram = Histogram::new(&[0.5, 1.0]);
        [0.5, 0.6, 1.0, 7.0]
            .into_iter()
            .for_each(|value| histogram.observe(value));
        let mut out = String::new();
        histogram.write(&mut out, "x", &[("d", "a")]);
        let expected = "x_bucket{d=\"a\",le=\"0.5\"} 1\nx_bucket{d=\"a\",le=\"1\"} 3\n\
            x_bucket{d=\"a\",le=\"+Inf\"} 4\nx_sum{d=\"a\"} 9.1\nx_count{d=\"a\"} 4\n";
        assert_eq!(out, expected);
    }

    #[test]
    fn labels_are_escaped_and_their_number_is_bounded() {
        let family = Labelled::<1, u64>::new(["reason"]);
        for number in 0..2 * SERIES_MAX {
            family.with([format!("{number}").into()], |count| *count += 1);
        }
        let mut series = 0;
        let mut others = 0;
        family.each(|labels, count| {
            series += 1;
            if labels[0].1 == OTHER {
                others = *count;
            }
        });
        assert_eq!((series, others), (SERIES_MAX + 1, SERIES_MAX as u64));
        let mut out = String::new();
        sample(&mut out, "x", &[("a", "q\"\\\n")], 1.0);
        assert_eq!(out, "x{a=\"q\\\"\\\\\\n\"} 1\n");
    }
}
